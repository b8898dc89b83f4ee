"""Actors with `persistent=`: what callers saw survives."""

import asyncio
import os
import random
import signal
import threading
import time

import pytest

import shoal
from shoal.core.actor_saved import Saver
from shoal.core.actor_state import ActorState
from shoal.exceptions import ActorDiedError, PersistenceError, RayActorError
from shoal.util.persistence import EventLog, FilePersistence, Persistence, RedisPersistence, SQLAlchemyPersistence

KINDS = ["sync", "threaded", "async"]


class Slow(FilePersistence):
    """Takes its time, counts, and fails while there is a file `refuse`."""

    def write_bytes(self, key, pickled):
        if os.path.exists(f"{self.folder}/refuse"):
            raise OSError("the disk said no")
        time.sleep(0.02)
        with open(f"{self.folder}/writes", "a") as file:
            file.write("w")
        super().write_bytes(key, pickled)

    @property
    def writes(self):
        return os.path.getsize(f"{self.folder}/writes")


class Counter:
    def __init__(self, start=0):
        self.n = start

    def add(self, k=1):
        self.n += k
        return self.n

    def add_and_fail(self):
        self.n += 1
        raise ValueError("added, and failed")

    @shoal.method(read_only=True)
    def get(self):
        return self.n

    @shoal.method(read_only=True)
    def pid(self):
        return os.getpid()

    def leave(self):
        self.n += 100
        shoal.actor.exit_actor()


class AsyncCounter(Counter):
    async def add(self, k=1):
        self.n += k
        return self.n

    async def add_slowly(self, seconds):
        self.n += 1
        await asyncio.sleep(seconds)
        self.n += 1
        return self.n


class ThreadedCounter(Counter):
    """Counts below a lock, which its state leaves out."""

    def __init__(self, start=0):
        super().__init__(start)
        self.lock = threading.Lock()

    def add(self, k=1):
        with self.lock:
            self.n += k
            return self.n

    def __shoal_save__(self):
        with self.lock:
            return {"n": self.n}

    def __shoal_restore__(self, state):
        self.n = state["n"]


CLASSES = {"sync": (Counter, {}), "threaded": (ThreadedCounter, {"max_concurrency": 4}), "async": (AsyncCounter, {})}


def make(kind, store, *args, key="counter", every="call", **options):
    cls, more = CLASSES[kind]
    options = {"max_restarts": -1, **more, **options, "persistent": Persistence(store, key, every)}
    return shoal.remote(**options)(cls).remote(*args)


def saved(store, key="counter"):
    return store.restore(key)["n"]


def kill(actor):
    """SIGKILL, and waits until the next life answers."""
    os.kill(shoal.get(actor.pid.remote()), signal.SIGKILL)


def ask(method, *args, seconds=20):
    """Calls until the actor is back."""
    end = time.monotonic() + seconds
    while True:
        try:
            return shoal.get(method.remote(*args), timeout=seconds)
        except RayActorError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_is_saved_before_its_reply(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store, 10)
    for n in range(11, 14):
        assert shoal.get(actor.add.remote()) == n
        assert saved(store) == n


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_crash_the_state_is_back(shared_instance, tmp_path, kind):
    actor = make(kind, Slow(tmp_path), 10)
    assert shoal.get(actor.add.remote(5)) == 15
    kill(actor)
    assert ask(actor.add) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_caller_saw_survives_kills(shared_instance, tmp_path, kind):
    """Calls from two sides, one of them reading; the process is killed at random moments."""
    actor, stop, problems = make(kind, FilePersistence(tmp_path)), threading.Event(), []
    highest, lock = [0], threading.Lock()

    def use(method):
        while not stop.is_set():
            with lock:
                before = highest[0]
            try:
                seen = shoal.get(method.remote(), timeout=30)
            except RayActorError:
                time.sleep(0.005)
                continue
            with lock:
                if seen < before:
                    problems.append((method, before, seen))
                highest[0] = max(highest[0], seen)

    users = [threading.Thread(target=use, args=(method,)) for method in (actor.add, actor.add, actor.get)]
    rounds, choice = 8, random.Random(1)
    for user in users:
        user.start()
    try:
        for _ in range(rounds):
            pid = ask(actor.pid)
            time.sleep(choice.random() * 0.05)
            os.kill(pid, signal.SIGKILL)
    finally:
        stop.set()
        for user in users:
            user.join()
    assert problems == []
    assert ask(actor.get) >= highest[0] > rounds


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_replies_that_wait_share_a_save(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store)
    assert shoal.get(actor.get.remote()) == 0
    before = store.writes
    assert sorted(shoal.get([actor.add.remote() for _ in range(100)])) == list(range(1, 101))
    assert saved(store) == 100
    assert store.writes - before < 60


@pytest.mark.parametrize("kind", KINDS)
def test_reading_writes_nothing(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store)
    shoal.get(actor.add.remote())
    before = store.writes
    assert shoal.get([actor.get.remote() for _ in range(20)]) == [1] * 20
    assert store.writes == before


def test_a_method_that_changes_nothing_writes_nothing(shared_instance, tmp_path):
    store = Slow(tmp_path)
    actor = make("sync", store)
    shoal.get(actor.add.remote())
    before = store.writes
    assert shoal.get([actor.add.remote(0) for _ in range(20)]) == [1] * 20
    assert store.writes == before


def test_a_reader_waits_for_the_save_of_what_it_saw(shared_instance, tmp_path):
    store = Slow(tmp_path)
    actor = make("async", store)
    slow = actor.add_slowly.remote(0.3)
    seen = 0
    while not seen:
        seen = shoal.get(actor.get.remote())
        assert saved(store) >= seen
    assert shoal.get(slow) == 2 == saved(store)


def test_the_reply_is_what_the_method_returned_also_after_a_wait(shared_instance, tmp_path):
    @shoal.remote(persistent=Persistence(Slow(tmp_path), "list"))
    class Lists:
        def __init__(self):
            self.items = []

        async def append(self, item):
            self.items.append(item)
            return self.items

    actor = Lists.remote()
    got = shoal.get([actor.append.remote(n) for n in range(10)])
    assert got == [list(range(n + 1)) for n in range(10)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_failed_method_changed_is_saved_too(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store)
    with pytest.raises(ValueError, match="added, and failed"):
        shoal.get(actor.add_and_fail.remote())
    assert saved(store) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_fails(shared_instance, tmp_path, kind):
    """The call has a typed error, memory is ahead, nobody sees it before a save has succeeded."""
    store = Slow(tmp_path)
    actor = make(kind, store)
    shoal.get(actor.add.remote())
    (tmp_path / "refuse").write_text("")
    text = r"saving the state of \w+ as 'counter' failed: OSError: the disk said no"
    for call in (actor.add, actor.get):
        with pytest.raises(PersistenceError, match=text) as info:
            shoal.get(call.remote())
        assert info.value.key == "counter"
    assert saved(store) == 1
    (tmp_path / "refuse").unlink()
    assert shoal.get(actor.get.remote()) == 2 == saved(store)


def test_a_store_that_fails_loses_only_what_nobody_saw(shared_instance, tmp_path):
    actor = make("sync", Slow(tmp_path))
    shoal.get(actor.add.remote())
    pid = shoal.get(actor.pid.remote())
    (tmp_path / "refuse").write_text("")
    with pytest.raises(PersistenceError):
        shoal.get(actor.add.remote())
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "refuse").unlink()
    assert ask(actor.get) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_with_seconds_saves_are_rare(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store, every=0.2)
    assert shoal.get(actor.get.remote()) == 0
    assert store.writes == 1
    begin = time.monotonic()
    assert max(shoal.get([actor.add.remote() for _ in range(100)])) == 100
    while saved(store) < 100:
        assert time.monotonic() < begin + 10
        time.sleep(0.01)
    assert store.writes <= 3 + (time.monotonic() - begin) / 0.2
    kill(actor)
    assert ask(actor.get) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_with_seconds_a_clean_end_saves(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store, every=3600)
    assert shoal.get(actor.add.remote()) == 1
    assert saved(store) == 0
    del actor
    wait_for(store, 1)
    actor = make(kind, store, every=3600)
    with pytest.raises(ActorDiedError):
        shoal.get(actor.leave.remote())
    wait_for(store, 101)


END = """
import os, sys, time
import shoal
from shoal.util.persistence import FilePersistence, Persistence

store, how, detached = FilePersistence(sys.argv[1]), sys.argv[2], sys.argv[3] == "detached"
shoal.init(num_cpus=1)

class Counter:
    def __init__(self):
        self.n = 0
    def add(self):
        self.n += 1
        return self.n
    def slow(self, path):
        open(path, "w").close()
        self.n += 10
        time.sleep(0.5)
        self.n += 10

class Async(Counter):
    async def add(self):
        return Counter.add(self)

def make(cls, key, **options):
    lifetime = {"lifetime": "detached", "name": key} if detached else {}
    options |= {"persistent": Persistence(store, key, every=3600), "max_restarts": -1}
    return shoal.remote(cls).options(**lifetime, **options).remote()

plain = make(Counter, "plain")
others = [make(Async, "async"), make(Counter, "threads", max_concurrency=2)]
print(shoal.get([a.add.remote() for a in [plain, *others]]))
path = __file__ + ".runs"
running = plain.slow.remote(path)
while not os.path.exists(path):
    time.sleep(0.01)
begun = time.monotonic()
if how == "shutdown":
    shoal.shutdown()
    print(time.monotonic() - begun < 4)
"""


@pytest.mark.parametrize("how", ["shutdown", "end of the script"])
@pytest.mark.parametrize("detached", ["plain", "detached"])
def test_with_seconds_the_end_of_the_instance_saves(shoal_run, tmp_path, how, detached):
    run = shoal_run(END, tmp_path, how, detached)
    assert run.stdout.splitlines()[0] == "[1, 1, 1]" and "False" not in run.stdout
    store = FilePersistence(tmp_path)
    found = {key: store.restore(key)["n"] for key in ("plain", "async", "threads")}
    assert found == {"plain": 21, "async": 1, "threads": 1}


def wait_for(store, n):
    deadline = time.monotonic() + 60
    while saved(store) != n:
        assert time.monotonic() < deadline, saved(store)
        time.sleep(0.01)


def test_with_seconds_a_failed_save_is_made_up_for_by_the_next_call(shared_instance, tmp_path):
    store = Slow(tmp_path)
    # Long enough that no save of its own comes between the failed call and the next.
    actor = make("sync", store, every=3)
    shoal.get(actor.get.remote())
    (tmp_path / "refuse").write_text("")
    deadline = time.monotonic() + 60
    with pytest.raises(PersistenceError, match="the disk said no"):
        while time.monotonic() < deadline:
            shoal.get(actor.add.remote())
            time.sleep(0.01)
    (tmp_path / "refuse").unlink()
    n = shoal.get(actor.add.remote())
    assert saved(store) == n


def test_a_new_actor_with_the_key_has_the_state(shared_instance, tmp_path):
    store = FilePersistence(tmp_path)
    first = make("sync", store, 5, max_restarts=0)
    assert shoal.get(first.add.remote()) == 6
    shoal.kill(first)
    assert shoal.get(make("sync", store, 70).get.remote()) == 6
    assert shoal.get(make("sync", store, 70, key="other").get.remote()) == 70


def test_hooks_say_what_the_state_is(shared_instance, tmp_path):
    store = FilePersistence(tmp_path)

    @shoal.remote(max_restarts=-1)
    class Hooked:
        def __init__(self, factor):
            self.factor, self.n, self.file = factor, 1, open(os.devnull)  # noqa: SIM115

        def __shoal_save__(self):
            return ("version 1", self.n)

        def __shoal_restore__(self, state):
            version, self.n = state
            assert version == "version 1"

        def multiply(self):
            self.n *= self.factor
            return self.n

        def pid(self):
            return os.getpid()

    actor = Hooked.options(persistent=Persistence(store, "hooked")).remote(3)
    assert shoal.get([actor.multiply.remote() for _ in range(3)]) == [3, 9, 27]
    assert store.restore("hooked") == ("version 1", 27)
    kill(actor)
    assert ask(actor.multiply) == 81
    with pytest.raises(AttributeError, match="has no method '__shoal_save__'"):
        actor.__shoal_save__  # noqa: B018


class Iterates(Counter):
    def items(self, k):
        return map(self.add, [1] * k)

    def value(self):
        return iter([1, 2, 3])


class IteratesAsync(Iterates):
    async def one(self): ...


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_an_iterator_that_is_no_generator_leave_after_they_are_saved(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    options = {"max_concurrency": 2} if kind == "threaded" else {}
    cls = IteratesAsync if kind == "async" else Iterates
    actor = shoal.remote(cls).options(persistent=Persistence(store, "counter"), **options).remote()
    stream = actor.items.options(num_returns="streaming", _generator_backpressure_num_objects=1).remote(5)
    for n, ref in enumerate(stream, 1):
        assert shoal.get(ref) == n
        assert saved(store) >= n
    assert list(shoal.get(actor.value.remote())) == [1, 2, 3]


def test_a_state_with_a_handle_is_told_as_such(shoal_run, tmp_path):
    run = shoal_run(
        """
        import sys
        import shoal
        from shoal.util.persistence import EventLog, FilePersistence, Persistence

        shoal.init(num_cpus=2)

        class Holds:
            def __init__(self, other):
                self.other = other

            def use(self):
                return 1

            async def pause(self):
                return 1

        other = shoal.remote(Holds).remote(None)
        store = Persistence(FilePersistence(sys.argv[1]), "k")
        shoal.get(shoal.remote(Holds).options(persistent=store).remote(other).use.remote())
        log = EventLog(FilePersistence(sys.argv[1]), "log", apply=lambda state, ref: state + 1, initial=0)
        log.append(other)
        """,
        tmp_path,
    )
    text = (
        "UserWarning: an ObjectRef or actor handle was pickled into a value that is saved: what it names is kept until"
    )
    assert run.stderr.count(text) == 2 and "cloudpickle" not in run.stderr, run
    assert f"program.py:22: {text}" in run.stderr, run


def test_slots_are_attributes(shared_instance, tmp_path):
    class Slotted:
        __slots__ = ("n",)

        def __init__(self):
            self.n = 0

        def add(self):
            self.n += 1
            return self.n

        def pid(self):
            return os.getpid()

    actor = shoal.remote(max_restarts=-1, persistent=Persistence(FilePersistence(tmp_path), "slots"))(Slotted).remote()
    assert shoal.get(actor.add.remote()) == 1
    kill(actor)
    assert ask(actor.add) == 2


def test_a_state_that_cant_be_pickled_is_told_when_the_actor_is_made(shared_instance, tmp_path):
    class Holder:
        def __init__(self):
            self.inner = {"lock": threading.Lock()}

        def use(self): ...

    actor = shoal.remote(persistent=Persistence(FilePersistence(tmp_path), "k"))(Holder).remote()
    with pytest.raises(ActorDiedError, match=r"the attribute|\['lock'\]") as info:
        shoal.get(actor.use.remote())
    assert "define __shoal_save__() to say what its state is" in str(info.value)
    assert isinstance(info.value.__cause__, PersistenceError)


class SavesOnly:
    def __init__(self, state):
        self.state = state

    def __shoal_save__(self):
        return self.state

    def __ray_ready__(self): ...


@pytest.mark.parametrize(("state", "kind"), [(7, "int"), (None, "NoneType"), ((1, 2), "tuple")])
def test_a_state_that_could_not_be_given_back_is_told_when_the_actor_is_made(shared_instance, tmp_path, state, kind):
    store = FilePersistence(tmp_path)
    actor = shoal.remote(persistent=Persistence(store, "k"))(SavesOnly).remote(state)
    text = rf"__shoal_save__\(\) of SavesOnly returned a {kind}: define __shoal_restore__\(state\) to take it back"
    with pytest.raises(ActorDiedError, match=text):
        shoal.get(actor.__ray_ready__.remote())
    assert store.list() == []


def test_attributes_that_a_hook_chooses_come_back_without_a_second_hook(shared_instance, tmp_path):
    class Chooses(Counter):
        def __shoal_save__(self):
            return {"n": self.n}

    actor = shoal.remote(max_restarts=-1, persistent=Persistence(FilePersistence(tmp_path), "k"))(Chooses).remote()
    assert shoal.get(actor.add.remote()) == 1
    kill(actor)
    assert ask(actor.add) == 2


def test_what_another_class_saved_is_not_taken_for_attributes(shared_instance, tmp_path):
    store = FilePersistence(tmp_path)
    store.save("counter", [1, 2, 3])
    text = r"what is saved as 'counter' is a list, and no dict of attributes: Counter needs __shoal_restore__\(state\)"
    with pytest.raises(ActorDiedError, match=text):
        shoal.get(make("sync", store).get.remote())
    assert store.restore("counter") == [1, 2, 3]


def test_hooks_are_plain_methods(shared_instance, tmp_path):
    class Odd:
        async def __shoal_save__(self): ...

        def use(self): ...

    actor = shoal.remote(persistent=Persistence(FilePersistence(tmp_path), "k"))(Odd).remote()
    with pytest.raises(ActorDiedError, match=r"Odd\.__shoal_save__ is async: it has to be a plain method"):
        shoal.get(actor.use.remote())


def test_a_hook_that_raises_is_named(shared_instance, tmp_path):
    class Odd:
        bad = False

        def __shoal_save__(self):
            return 1 // (not self.bad)

        def __shoal_restore__(self, state): ...

        def use(self):
            self.bad = True

    actor = shoal.remote(persistent=Persistence(FilePersistence(tmp_path), "k"))(Odd).remote()
    with pytest.raises(PersistenceError, match=r"__shoal_save__\(\) of .*Odd raised ZeroDivisionError"):
        shoal.get(actor.use.remote())


def test_a_damaged_state_is_told_and_nothing_is_overwritten(shared_instance, tmp_path):
    store = FilePersistence(tmp_path)
    store.save("counter", {"n": 7})
    path = tmp_path / "counter.state"
    path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes()
    with pytest.raises(ActorDiedError, match=r"restoring the state of Counter: the file .* is damaged"):
        shoal.get(make("sync", store).get.remote())
    assert path.read_bytes() == before


def test_a_store_without_write_bytes_gets_the_state_itself(shared_instance, tmp_path):
    class Own:
        def __init__(self, path):
            self.path = path

        def exists(self, key):
            return os.path.exists(self.path)

        def save(self, key, data):
            with open(self.path, "w") as file:
                file.write(repr((key, data)))

        def restore(self, key):
            with open(self.path) as file:
                return eval(file.read())[1]

    actor = make("sync", Own(str(tmp_path / "own")))
    assert shoal.get(actor.add.remote()) == 1
    assert (tmp_path / "own").read_text() == "('counter', {'n': 1})"
    kill(actor)
    assert ask(actor.add) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancel_does_not_interrupt_a_save(shared_instance, tmp_path, kind):
    store = Slow(tmp_path)
    actor = make(kind, store)
    for _ in range(10):
        ref = actor.add.remote()
        time.sleep(0.01)
        shoal.cancel(ref)
        with pytest.raises(shoal.exceptions.TaskCancelledError):
            shoal.get(ref)
    n = shoal.get(actor.add.remote())
    assert saved(store) == n


def test_calls_by_handles_everywhere_and_order_stay(shared_instance, tmp_path):
    actor = make("sync", FilePersistence(tmp_path))

    @shoal.remote
    def use(actor):
        return shoal.get([actor.add.remote() for _ in range(5)])

    results = shoal.get([use.remote(actor) for _ in range(2)])
    assert sorted(n for result in results for n in result) == list(range(1, 11))
    assert all(result == sorted(result) for result in results)


def test_an_event_log_in_an_actor(shared_instance, tmp_path):
    @shoal.remote(max_restarts=-1)
    class Account:
        def __init__(self, store):
            self.log = EventLog(store, "account", apply=lambda a, b: a + b, initial=100, snapshot_every=3)

        def deposit(self, amount):
            return self.log.append(amount)

        def pid(self):
            return os.getpid()

    actor = Account.remote(FilePersistence(tmp_path))
    for turn in range(1, 6):
        assert ask(actor.deposit, 10) == 100 + 10 * turn
        kill(actor)


def test_postgresql_keeps_an_actor(shared_instance, postgresql_url):
    store = SQLAlchemyPersistence(postgresql_url, table="actors")
    actor = make("async", store)
    assert shoal.get([actor.add.remote() for _ in range(20)]) == list(range(1, 21))
    kill(actor)
    assert ask(actor.add) == 21
    assert saved(store) == 21
    store.close()


def test_redis_keeps_an_actor(shared_instance, redis_url):
    store = RedisPersistence(redis_url)
    actor = make("threaded", store)
    shoal.get([actor.add.remote() for _ in range(20)])
    kill(actor)
    assert ask(actor.add) == 21
    assert saved(store) == 21
    store.close()


WORDS = {
    "Persistence(None, 'k')": (
        "TypeError: Persistence(store=) takes an object with exists, save and restore, not None (NoneType)"
    ),
    "Persistence(store, '')": "ValueError: Persistence(key=) takes a string that is not empty, not '' (str)",
    "Persistence(store, 5)": "TypeError: Persistence(key=) takes a string, not 5 (int)",
    "Persistence(store, 'k', every='day')": (
        "ValueError: Persistence(every=) takes \"call\" or a number of seconds > 0, not 'day' (str)"
    ),
    "Persistence(store, 'k', every=0)": (
        'ValueError: Persistence(every=) takes "call" or a number of seconds > 0, not 0 (int)'
    ),
    "Persistence(store, 'k', every=[])": (
        'TypeError: Persistence(every=) takes "call" or a number of seconds > 0, not [] (list)'
    ),
    "shoal.remote(persistent=1)(Counter)": (
        "TypeError: persistent takes a shoal.util.persistence.Persistence, not 1 (int)"
    ),
    "shoal.method(read_only=1)": "TypeError: read_only takes True or False, not 1 (int)",
    "shoal.remote(persistent=Persistence(store, 'k'))(len_of)": (
        "ValueError: @remote of a function has no option 'persistent'; it is an option of actors"
    ),
}


@pytest.mark.parametrize("text", WORDS)
def test_the_words_of_a_wrong_call(text):
    def len_of(x): ...

    names = {"shoal": shoal, "Persistence": Persistence, "Counter": Counter, "len_of": len_of}
    with pytest.raises((TypeError, ValueError)) as info:
        eval(text, {**names, "store": FilePersistence("/nowhere")})
    assert f"{type(info.value).__name__}: {info.value}" == WORDS[text]


def test_read_only_is_an_option_of_the_decorator(shared_instance, tmp_path):
    actor = make("sync", FilePersistence(tmp_path))
    with pytest.raises(ValueError, match=r"^read_only is an option of @method, not of \.options\(\)$"):
        actor.get.options(read_only=True)


def test_an_actor_that_has_ended_saves_nothing_more(tmp_path):
    store, counter = FilePersistence(tmp_path), Counter(1)
    state = ActorState(Persistence(store, "counter", "call"), counter)
    state.begin()
    saver = Saver(state, None, state.take)
    saver.change()
    counter.n = 2
    # The call goes on beside the one that ends the actor.
    saver.close()
    assert saved(store) == 2
    counter.n = 3
    saver.changed()
    saver.change()
    saver.changed()
    assert saver.save() is None and saved(store) == 2
