"""The tree of exceptions: bases, fields, pickles; and classes that are both RayTaskError and the user's own."""

import copy
import pickle

import cloudpickle
import pytest

from shoal import exceptions
from shoal.core.exception_parts import put_together, take_apart
from shoal.core.task_error import RayTaskError, as_both

# API.md 1.4: each class and its bases.
TREE = """
TaskCancelledError RayError
RayTaskError RayError
LocalRayletDiedError RayError
WorkerCrashedError RayError
RayActorError RayError
ActorDiedError RayActorError
ActorUnavailableError RayActorError
RaySystemError RayError
StreamingGeneratorReplayInconsistentError RaySystemError
RayChannelError RaySystemError
RayChannelTimeoutError RayChannelError TimeoutError
RayCgraphCapacityExceeded RaySystemError
RayDirectTransportError RaySystemError
AuthenticationError RayError
UserCodeException RayError
ObjectStoreFullError RayError
OutOfDiskError RayError
OutOfMemoryError RayError
NodeDiedError RayError
ObjectLostError RayError
ObjectFetchTimedOutError ObjectLostError
ReferenceCountingAssertionError ObjectLostError AssertionError
ObjectFreedError ObjectLostError
OwnerDiedError ObjectLostError
ObjectReconstructionFailedError ObjectLostError
ObjectReconstructionFailedMaxAttemptsExceededError ObjectReconstructionFailedError
ObjectReconstructionFailedLineageEvictedError ObjectReconstructionFailedError
RpcError RayError
GetTimeoutError RayError TimeoutError
PlasmaObjectNotAvailable RayError
AsyncioActorExit RayError
RuntimeEnvSetupError RayError
TaskPlacementGroupRemoved RayError
ActorPlacementGroupRemoved RayError
PendingCallsLimitExceeded RayError
TaskUnschedulableError RayError
ActorUnschedulableError RayError
ObjectRefStreamEndOfStreamError RayError
OufOfBandObjectRefSerializationException RayError
UnserializableException RayError
CrossLanguageError RayError
PersistenceError RayError
ActorAlreadyExistsError RayError ValueError
ActorHandleNotFoundError RayError ValueError
"""
ROWS = [line.split() for line in TREE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_bases(row):
    name, *bases = row
    for base in bases:
        builtin = {"TimeoutError": TimeoutError, "AssertionError": AssertionError, "ValueError": ValueError}
        assert issubclass(getattr(exceptions, name), builtin.get(base) or getattr(exceptions, base))


def test_nothing_else_is_public():
    assert set(exceptions.__all__) == {"RayError", *(row[0] for row in ROWS)}


@pytest.mark.parametrize("name", exceptions.__all__)
@pytest.mark.parametrize("way", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_each_pickles_with_its_text(name, way):
    error = way.loads(way.dumps(getattr(exceptions, name)("what went wrong")))
    assert type(error) is getattr(exceptions, name)
    assert str(error) == "what went wrong"
    assert type(copy.copy(error)) is type(error)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("TaskCancelledError", "task_id", "ab"),
        ("ActorDiedError", "actor_id", "cd"),
        ("ActorUnavailableError", "actor_id", "cd"),
        ("OwnerDiedError", "object_ref_hex", "ef"),
        ("RpcError", "rpc_code", 14),
    ],
)
def test_fields_survive(name, field, value):
    error = pickle.loads(pickle.dumps(getattr(exceptions, name)("text", **{field: value})))
    assert getattr(error, field) == value
    assert getattr(getattr(exceptions, name)(), field) is None


class Custom(Exception):
    """Its __init__ takes something else than `args`."""

    __slots__ = ("extra",)

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.extra = [detail]


class Reduces(Exception):
    def __init__(self, *, only):
        super().__init__()
        self.only = only

    def __reduce__(self):
        return _reduced, (self.only,)


def _reduced(only):
    return Reduces(only=only)


CAUSES = [
    ValueError("x"),
    KeyError("k"),
    Custom(3, "d"),
    Reduces(only=1),
    OSError(2, "no", "file"),
    FileNotFoundError(2, "no", "file"),
    UnicodeDecodeError("utf8", b"x", 0, 1, "why"),
    StopIteration(4),
    ImportError("m", name="n", path="p"),
    ExceptionGroup("g", [ValueError(1), Custom(1, "in")]),
    KeyboardInterrupt(),
    exceptions.GetTimeoutError("late"),
]
FIELDS = ("errno", "strerror", "filename", "reason", "value", "name", "path", "code", "extra", "only", "exceptions")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: type(cause).__name__)
def test_an_error_is_both_its_own_type_and_a_task_error(cause):
    for error in (as_both("f", "the text", cause, 7), pickle.loads(pickle.dumps(as_both("f", "the text", cause, 7)))):
        assert isinstance(error, RayTaskError)
        assert isinstance(error, type(cause))
        assert type(error).__name__ == f"RayTaskError({type(cause).__name__})"
        assert str(error) == "the text"
        assert (error.function_name, error.pid, type(error.cause)) == ("f", 7, type(cause))
        for name in FIELDS:
            assert repr(getattr(error, name, None)) == repr(getattr(cause, name, None))
        assert repr(error.args) == repr(cause.args)


def test_the_class_is_made_once():
    assert type(as_both("f", "", ValueError(1))) is type(as_both("g", "", ValueError(2)))


def test_as_instanceof_cause():
    assert isinstance(RayTaskError("f", "t", ValueError(1)).as_instanceof_cause(), ValueError)


def test_a_class_that_cannot_be_subclassed_gives_a_plain_error():
    class Final(Exception):
        def __init_subclass__(cls):
            raise TypeError("no")

    error = as_both("f", "t", Final("x"))
    assert type(error) is RayTaskError
    assert isinstance(error.cause, Final)


def test_an_instance_that_cannot_be_made_gives_a_plain_error():
    class Odd(Exception):
        def __setattr__(self, name, value):
            raise RuntimeError("no")

    error = as_both("f", "t", Odd("x"))
    assert isinstance(error, RayTaskError)
    assert str(error) == "t"


def test_causes_and_contexts_survive():
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise Custom(1, "outer") from inner
    except Custom as error:
        parts = pickle.loads(cloudpickle.dumps(take_apart(error)))
    again = put_together(parts)
    assert isinstance(again, Custom)
    assert isinstance(again.__cause__, KeyError)
    assert again.__suppress_context__
    assert isinstance(as_both("f", "", again).__cause__, KeyError)


def test_an_implicit_context_survives():
    try:
        try:
            raise KeyError("inner")
        except KeyError:
            raise ValueError("outer")  # noqa: B904
    except ValueError as error:
        again = put_together(pickle.loads(pickle.dumps(take_apart(error))))
    assert isinstance(again.__context__, KeyError)
    assert again.__cause__ is None


def test_notes_survive():
    error = ValueError("x")
    error.add_note("a note")
    assert pickle.loads(pickle.dumps(as_both("f", "", error))).__notes__ == ["a note"]


def test_a_ring_of_causes_ends():
    a, b = ValueError("a"), KeyError("b")
    a.__cause__, b.__cause__ = b, a
    depth, error = 0, put_together(take_apart(a))
    while error is not None:
        depth, error = depth + 1, error.__cause__
    assert depth < 30
