"""Every error that a user can meet, with cause and mend; `python -m shoal.core.error_table` prints `docs/errors.md`."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """One class of `shoal.exceptions`, or of Python's own."""

    name: str
    """The class."""
    when: str
    """What has happened."""
    mend: str
    """What to do about it."""
    kinds: tuple[str, ...] = ()
    """The variants of `ErrorKind` (crates/shoal-types/src/error.rs) that arrive as it."""


TASKS = (
    Row(
        "RayTaskError",
        "The function, the method or the actor's constructor raised. The exception is also of the class that was "
        "raised, so `except ValueError` catches it; its text is the remote traceback.",
        "Mend the function. If it may fail and succeed another time: `max_retries=` with `retry_exceptions=`, for "
        "actors `max_task_retries=`. `shoal.exceptions.RayTaskError` alone, without a second class, means that the "
        "exception could not be pickled: its text says so.",
        ("Task",),
    ),
    Row(
        "TaskCancelledError",
        "`shoal.cancel` was called for this task, or for the one that submitted it.",
        "Nothing, if that was meant; `recursive=False` leaves children alone.",
        ("Cancelled",),
    ),
    Row(
        "WorkerCrashedError",
        "The process that ran the task died of a signal or left by `sys.exit()` or `os._exit()`, as many times as the "
        "task had retries. The text has the signal or exit code and the last lines of its output.",
        "Look for native code that crashes, for a process killed from outside, for `sys.exit()`. `max_retries=` lets "
        "more deaths pass.",
        ("WorkerCrashed",),
    ),
    Row(
        "OutOfMemoryError",
        "Memory ran out, and the process that ran the task was killed for it, as many times as the task had retries: "
        "by shoal's monitor, before the kernel would have chosen one, or by the kernel. The text has how much of how "
        "much was used, where the limit is, and who held most.",
        "Let fewer tasks run at once (`num_cpus=`, `memory=`) or each need less; let go of what the driver holds; give "
        "the machine or the control group more. `SHOAL_MEMORY_USAGE_THRESHOLD` is the share that may be used.",
        ("OutOfMemory",),
    ),
    Row(
        "TaskUnschedulableError",
        "No node can ever run the task: it needs more than there is, and the text says of what. Or all processes that "
        "may run wait in nested calls for one that can't begin.",
        "Ask for less (`num_cpus=`, `resources=`), or give more to `shoal.init()`. For nested calls: fewer levels, or "
        "return refs instead of waiting for them.",
        ("Unschedulable",),
    ),
    Row(
        "RuntimeEnvSetupError",
        "A worker process could not be started: its runtime environment could not be made, or it ended three times "
        "before it was up. The text says why.",
        "Mend what the text names (`working_dir`, `env_vars`, a `sitecustomize` that fails, a limit on processes); "
        "`shoal why` and the log that the text names tell more.",
        ("RuntimeEnv",),
    ),
    Row(
        "GetTimeoutError",
        "`get(timeout=)` ran out of time; the task goes on. It is a `TimeoutError` too.",
        "Wait longer, `shoal.cancel` it, or ask `shoal.util.why(ref)` what it waits for.",
    ),
)
ACTORS = (
    Row(
        "RayActorError",
        "Base of `ActorDiedError` and `ActorUnavailableError`, never raised itself; `actor_id` says which actor.",
        "Catch it to catch both.",
    ),
    Row(
        "ActorDiedError",
        "The actor is dead for good: killed by `shoal.kill()`, ended by itself, its constructor raised (that is the "
        "`__cause__`), its process died with no restart left (of memory, too), or its job or creator ended. The "
        "text says which.",
        "Make a new one. `max_restarts=` lets it outlive its process, `lifetime='detached'` its driver, `persistent=` "
        "keeps its state.",
        ("ActorDied",),
    ),
    Row(
        "ActorUnavailableError",
        "The actor's process died and another is being started; the call had begun, was sent, or was made meanwhile. "
        "The text says whether it had begun, and when the next life begins.",
        "Call again later, if that does no harm; or let shoal do it: with `max_task_retries=-1` (or how often), for "
        "the class, in `@method` or in `.options()` of the method, calls wait for the next life.",
        ("ActorUnavailable",),
    ),
    Row(
        "ActorUnschedulableError",
        "No node can ever hold the actor: it needs more than there is, and the text says of what.",
        "Ask for less (`num_cpus=`, `resources=`), or give more to `shoal.init()`.",
        ("ActorUnschedulable",),
    ),
    Row(
        "PendingCallsLimitExceeded",
        "This process has as many calls of the actor pending as its `max_pending_calls` allows.",
        "Wait for some (`shoal.wait`) before sending more, or raise the limit.",
        ("PendingCalls",),
    ),
    Row(
        "ActorAlreadyExistsError",
        "Another actor of the namespace has the name. It is a `ValueError` too.",
        "`get_if_exists=True` gives that one; or `shoal.kill` it, or take another name or namespace.",
    ),
    Row(
        "ActorHandleNotFoundError",
        "`get_actor` knows no such name in the namespace. It is a `ValueError` too.",
        "Look at `shoal list actors`; give `namespace=` if the actor is of another one.",
    ),
    Row(
        "AsyncioActorExit",
        "Raise it inside a method of an asyncio actor to end the actor. Callers get `ActorDiedError`.",
        "Nothing.",
    ),
    Row(
        "PersistenceError",
        "A store could not save or load, what it has is damaged, or an actor's state can't be pickled. `key` says "
        "which, the `__cause__` why.",
        "Mend the store (disk, connection, rights); leave what can't be pickled out of the state with "
        "`__getstate__`. The call whose state was not saved has failed.",
    ),
)
GENERATORS = (
    Row(
        "ObjectRefStreamEndOfStreamError",
        "A ref to an item of a generator was had before the item was, and the generator ended without it.",
        "End the loop there; `for ref in generator` does it by itself.",
        ("EndOfStream",),
    ),
    Row(
        "StreamingGeneratorReplayInconsistentError",
        "A generator that was run again, after its worker died or it raised, or for an item that was lost, yielded "
        "fewer items than before.",
        "Make the generator yield the same each time (no clock, no randomness without a seed), or `max_retries=0`.",
        ("ReplayInconsistent",),
    ),
)
OBJECTS = (
    Row(
        "ObjectStoreFullError",
        "Neither shared memory nor a disk has room for the value, also after `object_store_full_seconds`; the text "
        "says why, and has the largest objects and who holds them.",
        "Let go of refs and of arrays that were got, make room on the disk, or "
        "`shoal.init(object_spilling_directory=, object_store_memory=)`.",
        ("StoreFull",),
    ),
    Row(
        "ObjectLostError",
        "The value is gone: its owner freed it while this process still used a copy of the ref that was made outside "
        "of shoal (pickled by hand), or it was spilled to disk and can't be read back. `object_ref_hex` says which.",
        "Keep a ref where the value is needed, and send refs as arguments or results only.",
        ("ObjectLost",),
    ),
    Row(
        "ObjectReconstructionFailedError",
        "The value was lost from the object store and nothing can make it again; the text says why. Puts and what "
        "actors' methods gave are not made again, nor what a task with `max_retries=0` gave, or a generator that was "
        "cancelled.",
        "Return large values from tasks that may be tried again, or have the text's cause mended.",
        ("Reconstruction",),
    ),
    Row(
        "ObjectReconstructionFailedMaxAttemptsExceededError",
        "The value was lost, and its task has been tried as often as its `max_retries` allows.",
        "Raise `max_retries`.",
        ("RetriesSpent",),
    ),
    Row(
        "ObjectReconstructionFailedLineageEvictedError",
        "The value was lost, and what its owner kept of the task had been let go of to stay within bounds.",
        "Raise `SHOAL_MAX_LINEAGE_BYTES`.",
        ("LineageEvicted",),
    ),
    Row(
        "OwnerDiedError",
        "The process that put the value, or submitted the task that makes it, died; the value went with it. The text "
        "says how it died.",
        "Have long-lived values put by the driver or by an actor that lives as long.",
        ("OwnerDied",),
    ),
)
SYSTEM = (
    Row(
        "RayError",
        "Base of all of shoal's own exceptions, never raised itself.",
        "Catch it to catch all of them; errors of the user's code are among them.",
    ),
    Row(
        "LocalRayletDiedError",
        "The node daemon of this instance is gone, and with it workers, actors and objects. The text names its log.",
        "`shoal.shutdown()`, then `shoal.init()`. If nobody killed it, the log says why.",
        ("NodeDied",),
    ),
    Row(
        "RaySystemError",
        "Something of shoal's own broke, or a limit of the system is reached (the text has it); or this process has "
        "no session: `shoal is not initialised`.",
        "`shoal.init()` if there is no session; raise the limit (`ulimit -n`, `ulimit -v`) if the text names one; "
        "else report the text, its code and the log that it names.",
        ("System",),
    ),
)
PYTHON = (
    Row(
        "ValueError",
        "An argument or option has a value that can't be, or that is not supported yet; or something was written "
        "into an array that is shared (`assignment destination is read-only`).",
        "The text has the argument, what it takes and the nearest name. For arrays: `get(copy=True)`, or `.copy()`.",
    ),
    Row(
        "TypeError",
        "An argument has the wrong type, a call does not fit the function's signature, or something "
        "`can't be serialized`: the text has the path to it.",
        "`shoal.util.inspect_serializability` finds all such things; {doc}`serialization` says what travels how.",
    ),
    Row(
        "RuntimeError",
        "`init()` can't start or join an instance, or a call comes at a moment when it can't be.",
        "The text says why and what to do (`SHOAL_TMPDIR`, `shoal stop`, `shoal.shutdown()`).",
    ),
    Row(
        "ConnectionError",
        "`init(address=)` or a command finds no instance, or several.",
        "`shoal start --head` starts one; `shoal status` shows those that run.",
    ),
    Row(
        "TimeoutError",
        "`ActorPool.get_next(timeout=)` ran out of time. `GetTimeoutError` is one too.",
        "Ask again, or wait longer.",
    ),
    Row(
        "shoal.util.state.RayStateApiException",
        "A listing could not be had whole: some process did not answer in time.",
        "`raise_on_missing_output=False` shows the others.",
    ),
    Row(
        "KeyboardInterrupt",
        "Ctrl-C ended a wait; the tasks go on until the driver ends.",
        "`shoal.cancel` what is no longer wanted.",
    ),
)
NEVER = (
    "ActorPlacementGroupRemoved",
    "AuthenticationError",
    "CrossLanguageError",
    "NodeDiedError",
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "OufOfBandObjectRefSerializationException",
    "OutOfDiskError",
    "PlasmaObjectNotAvailable",
    "RayCgraphCapacityExceeded",
    "RayChannelError",
    "RayChannelTimeoutError",
    "RayDirectTransportError",
    "ReferenceCountingAssertionError",
    "RpcError",
    "TaskPlacementGroupRemoved",
    "UnserializableException",
    "UserCodeException",
)
"""Classes that are there so that programs which catch them run; nothing raises them yet."""

SECTIONS = {
    "Tasks and waiting": TASKS,
    "Actors": ACTORS,
    "Generators": GENERATORS,
    "Objects": OBJECTS,
    "The instance": SYSTEM,
    "Python's own": PYTHON,
}
_HEAD = """# Errors

Made from `python/shoal/core/error_table.py` by `python -m shoal.core.error_table`; don't edit it by hand.

Every error that a program can meet: what has happened, and what to do. The classes are those of `shoal.exceptions`, but
for the section of Python's own. `str(error)` always has the case at hand: names, sizes, processes, the log.
"""


def page() -> str:
    """The whole page.

    Example:
        >>> from shoal.core.error_table import page
        >>> page().splitlines()[0]
        '# Errors'
    """
    from shoal import exceptions

    never = "\n".join(f"| `{name}` | {getattr(exceptions, name).__doc__} |" for name in NEVER)
    known = f"## Known, not raised yet\n\nPrograms that catch them run.\n\n| Error | Stands for |\n|---|---|\n{never}\n"
    return "\n".join([_HEAD, *(_section(title, rows) for title, rows in SECTIONS.items()), known]).rstrip() + "\n"


def _section(title: str, rows: tuple[Row, ...]) -> str:
    lines = "\n".join(f"| `{row.name}` | {row.when} | {row.mend} |" for row in rows)
    return f"## {title}\n\n| Error | Cause | Mend |\n|---|---|---|\n{lines}\n"


if __name__ == "__main__":
    print(page(), end="")
