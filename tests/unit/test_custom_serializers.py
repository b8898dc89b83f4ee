"""`shoal.util.register_serializer`: what it takes, and what it changes."""

import pickle
import threading

import numpy as np
import pytest

from shoal.core.serialization import deserialize, serialize
from shoal.util import deregister_serializer, register_serializer


class Locked:
    def __init__(self, data):
        self.data, self.lock = data, threading.Lock()


class Inherits(Locked): ...


@pytest.fixture
def registered():
    register_serializer(Locked, serializer=lambda obj: obj.data, deserializer=Locked)
    yield
    deregister_serializer(Locked)


def test_the_data_of_a_registered_class_leaves_out_of_band(registered):
    pickled, buffers = serialize([Locked(np.arange(1000))])
    assert len(pickled) < 500 and len(buffers) == 1
    assert deserialize(pickled, [buffer.raw() for buffer in buffers])[0].data.sum() == 499_500


def test_a_subclass_is_not_concerned(registered):
    with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object"):
        serialize(Inherits(1))


def test_other_pickling_is_not_concerned(registered):
    with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object"):
        pickle.dumps(Locked(1))


def test_registering_again_replaces(registered):
    register_serializer(Locked, serializer=lambda obj: None, deserializer=lambda _: "other")
    assert deserialize(*serialize(Locked(1))) == "other"


def test_it_goes_before_the_reducers_of_numpy():
    register_serializer(np.ndarray, serializer=lambda array: array.shape, deserializer=str)
    try:
        assert deserialize(*serialize(np.zeros((2, 3)))) == "(2, 3)"
    finally:
        deregister_serializer(np.ndarray)
    assert deserialize(*serialize(np.zeros(2))).tolist() == [0, 0]


def test_after_deregistering_all_is_as_before():
    register_serializer(Locked, serializer=lambda obj: obj.data, deserializer=Locked)
    deregister_serializer(Locked)
    deregister_serializer(Locked)
    with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object"):
        serialize(Locked(1))


@pytest.mark.parametrize(
    ("cls", "serializer", "deserializer", "words"),
    [
        (3, str, str, "register_serializer takes a class, not int"),
        (dict, str, str, "register_serializer: instances of dict are always pickled in one way"),
        (Locked, 1, str, "register_serializer takes a function as serializer, not int"),
        (Locked, str, None, "register_serializer takes a function as deserializer, not NoneType"),
    ],
)
def test_words(cls, serializer, deserializer, words):
    with pytest.raises(TypeError, match=f"^{words}$"):
        register_serializer(cls, serializer=serializer, deserializer=deserializer)


def test_words_of_deregister():
    with pytest.raises(TypeError, match=r"^deregister_serializer takes a class, not str$"):
        deregister_serializer("Locked")
