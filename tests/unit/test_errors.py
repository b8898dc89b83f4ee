"""Errors on their way: text, parts, and the exceptions that they become."""

import os
import pickle
import re
import threading
from pathlib import Path

import pytest

from shoal import exceptions
from shoal.core.actor_exit import ActorExit
from shoal.core.actor_runtime import ends_actor
from shoal.core.errors import make_exception, name_taken, pack_error, system_exit_text
from shoal.core.task_error import RayTaskError, as_both

RUST = Path(__file__).parents[2] / "crates/shoal-types/src/error.rs"


def raised(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def divide():
    return 1 / 0


def test_the_text_has_the_function_the_process_and_the_users_lines():
    message, pickled, retryable = pack_error(raised(divide), "divide", None)
    assert message.startswith(f"shoal::divide() (pid={os.getpid()})\nTraceback (most recent call last):\n")
    assert "in divide\n    return 1 / 0\n" in message
    assert message.endswith("ZeroDivisionError: division by zero")
    assert retryable
    error = make_exception("Task", message, pickled, None)
    assert isinstance(error, ZeroDivisionError)
    assert isinstance(error, RayTaskError)
    assert str(error) == message
    assert (error.function_name, error.pid) == ("divide", os.getpid())


def test_our_own_frames_are_folded_away():
    from shoal.core.checks import text

    message, _, _ = pack_error(raised(lambda: text("name", 1)), "f", None)
    assert "checks.py" not in message
    assert "TypeError: name takes a string" in message


def test_an_error_that_passes_through_keeps_its_type_and_shows_its_text_once():
    inner = make_exception("Task", *pack_error(raised(divide), "inner", None)[:2], None)

    def outer():
        raise inner

    message, pickled, _ = pack_error(raised(outer), "outer", None)
    error = make_exception("Task", message, pickled, None)
    assert type(error).__name__ == "RayTaskError(ZeroDivisionError)"
    assert error.function_name == "outer"
    assert message.count("shoal::inner()") == 1
    assert message.count("return 1 / 0") == 1
    assert "in outer\n" in message


def test_retry_types_decide():
    assert pack_error(OSError(), "f", (OSError,))[2]
    assert pack_error(FileNotFoundError(), "f", (OSError,))[2]
    assert not pack_error(ValueError(), "f", (OSError,))[2]
    assert pack_error(ValueError(), "f", None)[2]
    assert not pack_error(KeyboardInterrupt(), "f", None)[2]
    assert pack_error(as_both("g", "", OSError(1)), "f", (OSError,))[2]


class Stubborn(Exception):
    """Neither it nor its arguments pickle."""

    def __init__(self, what):
        super().__init__("stubborn", what)
        self.lock = threading.Lock()
        self.kept = 5


def test_what_does_not_pickle_is_dropped_and_the_type_stays():
    message, pickled, _ = pack_error(Stubborn(threading.Lock()), "f", None)
    error = make_exception("Task", message, pickled, None)
    assert isinstance(error, Stubborn)
    assert error.kept == 5
    assert not hasattr(error, "lock")
    assert error.args[0] == "stubborn"
    assert "lock" in error.args[1]


def test_a_class_that_does_not_pickle_arrives_as_text():
    class Local(Exception):
        lock = threading.Lock()

    message, pickled, _ = pack_error(Local("the cause"), "f", None)
    assert pickled == b""
    error = make_exception("Task", message, pickled, None)
    assert type(error) is RayTaskError
    assert error.function_name == "f"
    assert "the cause" in str(error)


class Bomb(Exception):
    def __reduce__(self):
        return int, ("no number",)


def test_what_does_not_unpickle_is_taken_apart():
    _, pickled, _ = pack_error(Bomb("x"), "f", None)
    assert isinstance(make_exception("Task", "t", pickled, None), Bomb)


def test_what_does_not_unpickle_here_arrives_as_text():
    error = make_exception("Task", "shoal::f() (pid=1)\ntext", b"not a pickle", None)
    assert type(error) is RayTaskError
    assert str(error).startswith("shoal::f() (pid=1)\ntext\n(The exception itself could not be unpickled here: ")


def test_an_error_whose_text_cannot_be_had_arrives():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

    assert "Mute" in pack_error(Mute(), "f", None)[0]


SIMPLE = {
    "WorkerCrashed": "WorkerCrashedError",
    "ActorDied": "ActorDiedError",
    "ActorUnavailable": "ActorUnavailableError",
    "Cancelled": "TaskCancelledError",
    "OwnerDied": "OwnerDiedError",
    "ObjectLost": "ObjectLostError",
    "Reconstruction": "ObjectReconstructionFailedError",
    "RetriesSpent": "ObjectReconstructionFailedMaxAttemptsExceededError",
    "LineageEvicted": "ObjectReconstructionFailedLineageEvictedError",
    "StoreFull": "ObjectStoreFullError",
    "NodeDied": "LocalRayletDiedError",
    "Unschedulable": "TaskUnschedulableError",
    "ActorUnschedulable": "ActorUnschedulableError",
    "PendingCalls": "PendingCallsLimitExceeded",
    "RuntimeEnv": "RuntimeEnvSetupError",
    "System": "RaySystemError",
    "EndOfStream": "ObjectRefStreamEndOfStreamError",
    "ReplayInconsistent": "StreamingGeneratorReplayInconsistentError",
    "OutOfMemory": "OutOfMemoryError",
    "GetTimeout": "GetTimeoutError",
    "NotConnected": "RaySystemError",
}


@pytest.mark.parametrize("kind", SIMPLE)
def test_each_kind_is_one_class(kind):
    error = make_exception(kind, "words", b"", None)
    assert type(error) is getattr(exceptions, SIMPLE[kind])
    assert str(error) == "words"


def test_the_kinds_are_those_of_rust():
    variants = re.findall(r"^    (\w+),$", RUST.read_text().partition("pub enum ErrorKind")[2], re.M)
    assert set(variants) == {"Task", *SIMPLE} - {"GetTimeout", "NotConnected"}


def test_an_actor_is_named_and_its_constructors_error_is_the_cause():
    message, pickled, _ = pack_error(raised(divide), "A.__init__", None)
    error = make_exception("ActorDied", message, pickled, b"\xab" * 16)
    assert error.actor_id == "ab" * 16
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert str(error).startswith("the actor died because its constructor raised an exception:\nshoal::A.__init__()")


def test_words_for_exits():
    assert system_exit_text(SystemExit()) == "the task ended its process with sys.exit(): exit code 0"
    assert system_exit_text(SystemExit(3)) == "the task ended its process with sys.exit(3): exit code 3"
    assert system_exit_text(SystemExit("bye")) == "the task ended its process with sys.exit('bye'): exit code 1"
    assert ends_actor(SystemExit(3)) == "the actor ended itself by sys.exit(3)"
    assert ends_actor(ActorExit("exit_actor()")) == "the actor ended itself by exit_actor()"
    assert ActorExit("exit_actor()").code is None
    assert ends_actor(exceptions.AsyncioActorExit()) == "the actor ended itself by AsyncioActorExit"
    assert ends_actor(ValueError()) is None


def test_words_for_a_name_that_is_taken():
    error = name_taken("a", "n")
    assert isinstance(error, exceptions.ActorAlreadyExistsError)
    assert isinstance(error, ValueError)
    assert str(error).startswith("the actor name 'a' is taken in the namespace 'n'")


def test_all_that_arrives_pickles_again():
    error = make_exception("Task", *pack_error(raised(divide), "f", None)[:2], None)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
