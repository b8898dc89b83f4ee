"""Threads of a threaded actor: a cancel interrupts a call's own code and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shoal.core.actor_threads import _Pool

# How the fixture ends a pool's thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Call:
    """What an executor sees of a call; `at` names the moment when it is cancelled, by this very thread."""

    streaming = cancelled = False

    def __init__(self, pool: _Pool, number: int, at: str) -> None:
        self.pool, self.at, self.task_id = pool, at, number.to_bytes(2, "big")
        self.answer: object = None
        self.answered = threading.Event()

    def moment(self, name: str) -> None:
        if name == self.at:
            self.pool.cancel(self.task_id)

    def enter(self) -> None:
        self.moment("enter")

    def leave(self) -> None:
        self.moment("leave")

    def done(self, value: object) -> None:
        self.moment("done")
        if self.at == "end":
            raise SystemExit
        self.answer = value
        self.answered.set()

    def failed(self, error: BaseException) -> None:
        self.moment("failed")
        self.answer = type(error)
        self.answered.set()


@pytest.fixture
def pool() -> Iterator[_Pool]:
    pool = _Pool("", 1)
    yield pool
    threads = [t for t in threading.enumerate() if t.name.startswith("shoal-actor-")]
    pool.add((Call(pool, 0, "end"), lambda: None, (), {}))
    for thread in threads:
        thread.join(20)


def run(call: Call) -> object:
    call.pool.add((call, lambda: call.moment("code") or "value", (), {}))
    assert call.answered.wait(20)
    return call.answer


@pytest.mark.parametrize(
    ("at", "answer"),
    [("enter", KeyboardInterrupt), ("code", KeyboardInterrupt), ("leave", KeyboardInterrupt), ("done", "value")],
)
def test_a_cancel_at_any_moment_leaves_an_answer_and_the_thread(pool, at, answer):
    assert [run(Call(pool, n, at)) for n in range(5)] == 5 * [answer]
    assert run(Call(pool, 9, "never")) == "value"
    assert pool.threads == 1 and pool.running == {}


def test_a_call_that_was_cancelled_before_it_began_does_not_run(pool):
    class Late(Call):
        cancelled = True

    from shoal.exceptions import TaskCancelledError

    assert run(Late(pool, 1, "never")) is TaskCancelledError
