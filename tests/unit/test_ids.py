"""Ids as objects."""

import pickle

import pytest

from shoal import ids

CLASSES = [getattr(ids, name) for name in ids.__all__]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_id_is_its_bytes(cls):
    one = cls.from_random()
    assert cls.from_hex(one.hex()) == one == cls.from_binary(one.binary()) == pickle.loads(pickle.dumps(one))
    assert hash(cls.from_hex(one.hex())) == hash(one)
    assert len(one.binary()) == cls.size()
    assert not one.is_nil()
    assert cls.nil().is_nil()
    assert repr(one) == f"{cls.__name__}({one.hex()})"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_wrong_id_is_refused(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__} takes bytes, not str"):
        cls("ab")
    with pytest.raises(ValueError, match=f"{cls.__name__} takes {cls.SIZE} bytes, not 1"):
        cls(b"a")
    with pytest.raises(ValueError, match="non-hexadecimal"):
        cls.from_hex("zz" * cls.SIZE)


def test_ids_of_different_classes_differ():
    assert ids.NodeID(b"a" * 16) != ids.WorkerID(b"a" * 16)


def test_an_objects_task_and_a_jobs_number():
    assert ids.ObjectID(b"a" * 16 + b"\0\0\0\1").task_id() == ids.TaskID(b"a" * 16)
    assert ids.JobID.from_int(7).int() == 7
