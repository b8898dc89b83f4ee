"""The words of every ValueError and TypeError of the calls; a wrong call starts nothing."""

import pytest

import shoal
from shoal import ObjectRef

REF = ObjectRef.nil()


@shoal.remote
def f(x): ...


@shoal.remote
def items():
    yield 1


@shoal.remote
class A:
    def __init__(self, x): ...


def call(text):
    return eval(
        text, {"shoal": shoal, "REF": REF, "f": f, "A": A, "items": items, "ActorClass": shoal.actor.ActorClass}
    )


WORDS = {
    "shoal.get(1)": "ValueError: get() takes an ObjectRef or a list of them, not 'int'",
    "shoal.get((REF,))": "ValueError: get() takes an ObjectRef or a list of them, not 'tuple'",
    "shoal.get([REF, 1])": "TypeError: get() takes a list of ObjectRefs, and this one has a 'int' in it",
    "shoal.get(REF, timeout=-1)": "ValueError: get(timeout=) takes a number of seconds ≥ 0 or None, not -1 (int)",
    "shoal.get(REF, timeout='1')": "TypeError: get(timeout=) takes a number of seconds ≥ 0 or None, not '1' (str)",
    "shoal.get(REF, timeout=float('nan'))": (
        "ValueError: get(timeout=) takes a number of seconds ≥ 0 or None, not nan (float)"
    ),
    "shoal.put(REF)": (
        "TypeError: put() of an ObjectRef is not possible: pass the reference itself, or put it in a list"
    ),
    "shoal.put(1, _owner=1)": "ValueError: put(_owner=, _tensor_transport=) is not supported yet",
    "shoal.put(1, _tensor_transport='nccl')": "ValueError: put(_owner=, _tensor_transport=) is not supported yet",
    "shoal.wait(REF)": "TypeError: wait() takes a list of ObjectRefs, not a single ObjectRef",
    "shoal.wait((REF,))": "TypeError: wait() takes a list of ObjectRefs, not 'tuple'",
    "shoal.wait([1])": "TypeError: wait() takes a list of ObjectRefs, and this one has a 'int' in it",
    "shoal.wait([REF, REF])": ("ValueError: wait() takes a list of different ObjectRefs, and this one has one twice"),
    "shoal.wait([REF], num_returns=2)": "ValueError: wait(num_returns=2) is more than the 1 ObjectRefs given",
    "shoal.wait([REF], num_returns=0)": "ValueError: wait(num_returns=) takes a whole number ≥ 1, not 0 (int)",
    "shoal.wait([REF], num_returns=1.0)": "TypeError: wait(num_returns=) takes a whole number ≥ 1, not 1.0 (float)",
    "shoal.wait([REF], timeout=-0.1)": (
        "ValueError: wait(timeout=) takes a number of seconds ≥ 0 or None, not -0.1 (float)"
    ),
    "shoal.cancel()": "TypeError: cancel() takes at least one ObjectRef",
    "shoal.cancel(1)": "TypeError: cancel() takes ObjectRefs, not 'int'",
    "shoal.cancel([REF])": "TypeError: cancel() takes ObjectRefs, not 'list': cancel(*refs) cancels several",
    "shoal.kill(1)": "ValueError: kill() takes the handle of an actor, not 'int'",
    "shoal.kill(REF)": "ValueError: kill() takes the handle of an actor, not 'ObjectRef'; a task is ended by cancel()",
    "shoal.get_actor('')": "ValueError: get_actor(name=) takes a string that is not empty, not '' (str)",
    "shoal.get_actor(1)": "TypeError: get_actor(name=) takes a string, not 1 (int)",
    "shoal.get_actor('a', namespace='')": (
        "ValueError: get_actor(namespace=) takes a string that is not empty, not '' (str)"
    ),
    "f(1)": "TypeError: a remote function can't be called directly: instead of 'f()' use 'f.remote()'",
    "f.remote()": "TypeError: f() missing a required argument: 'x'",
    "f.remote(y=1)": "TypeError: f() got an unexpected keyword argument 'y'",
    "f.bind(1)": "ValueError: bind() is not supported yet",
    "f.options(num_cpus=-1)": "ValueError: num_cpus takes a number ≥ 0, not -1 (int)",
    "f.options(num_cpu=1)": "ValueError: f.options() has no option 'num_cpu'; did you mean 'num_cpus'?",
    "items.remote(1)": "TypeError: items() takes 0 positional arguments but 1 were given",
    "A(1)": "TypeError: an actor can't be made directly: instead of 'A()' use 'A.remote()'",
    "A.remote()": "TypeError: A() missing a required argument: 'x'",
    "A.bind(1)": "ValueError: bind() is not supported yet",
    "A.options(lifetime='x')": ("ValueError: lifetime takes 'detached' or 'non_detached', not 'x' (str)"),
    "A.options(get_if_exists=True).remote(1)": "ValueError: get_if_exists=True needs a name",
    "A.options(max_concurrency=2, allow_out_of_order_execution=False)": (
        "ValueError: allow_out_of_order_execution=False is not possible for A: calls of threaded and async actors may "
        "overtake each other"
    ),
    "shoal.remote(1)": (
        "TypeError: @remote is applied to a function or a class, bare or with options by name such as "
        "@remote(num_cpus=2), not to 'int'"
    ),
    "shoal.remote(num_cpus=1)(1)": "TypeError: @remote is applied to a function or a class, not to 'int'",
    "shoal.remote(num_cpu=1)(lambda: 1)": (
        "ValueError: @remote of a function has no option 'num_cpu'; did you mean 'num_cpus'?"
    ),
    "shoal.method(lambda: 1)": "TypeError: @method takes options by name, such as @method(num_returns=2)",
    "shoal.method()": "TypeError: @method takes options by name, such as @method(num_returns=2)",
    "shoal.method(num_return=2)": "ValueError: @method has no option 'num_return'; did you mean 'num_returns'?",
    "shoal.init(num_cpu=1)": "ValueError: init() has no option 'num_cpu'; did you mean 'num_cpus'?",
    "shoal.init(num_cpus='1')": "TypeError: num_cpus takes a number ≥ 0, not '1' (str)",
    "shoal.init(job_config=1)": "TypeError: job_config takes a JobConfig, not int",
    "shoal.init(runtime_env={'conda': 'x'})": "ValueError: runtime_env['conda'] is not supported yet",
    "shoal.init(address='nowhere')": (
        "ValueError: address takes None, 'auto', 'local', 'unix:PATH' or 'HOST:PORT', not 'nowhere'"
    ),
    "shoal.timeline(1)": "TypeError: filename takes a path or None, not 1 (int)",
    "shoal.util.placement_group([])": "ValueError: util.placement_group is not supported yet",
    "shoal.actor.exit_actor()": "TypeError: exit_actor() works in an actor's methods only, and this is none",
    "shoal.util.as_completed([], chunk_size=0).__next__()": (
        "ValueError: as_completed(chunk_size=) takes a whole number ≥ 1, not 0"
    ),
    "shoal.util.map_unordered(f, [], backpressure_size=1).__next__()": (
        "ValueError: map_unordered(backpressure_size=1) is below chunk_size=10"
    ),
    "shoal.data.from_items([1], override_num_blocks=0)": (
        "ValueError: override_num_blocks takes a whole number ≥ 1, not 0"
    ),
    "shoal.data.range(1).iter_batches(batch_size=0).__next__()": (
        "ValueError: iter_batches(batch_size=) takes a whole number ≥ 1 or None, not 0"
    ),
}


@pytest.mark.parametrize("text", WORDS)
def test_the_words_for_a_wrong_call(text):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(text)
    assert f"{type(caught.value).__name__}: {caught.value}" == WORDS[text]
    assert not shoal.is_initialized()


def test_an_actor_class_cannot_be_subclassed():
    with pytest.raises(TypeError, match="the actor class A can't be subclassed: keep A a plain class"):

        class B(A): ...


def test_an_async_function_cannot_be_a_task():
    with pytest.raises(ValueError, match="g is an async function, which can't be a task; make it a method of an actor"):

        @shoal.remote
        async def g(): ...


def test_a_method_in_a_group_that_there_is_not():
    with pytest.raises(ValueError, match=r"C\.m names the concurrency group 'io', which the actor lacks"):

        @shoal.remote
        class C:
            @shoal.method(concurrency_group="io")
            def m(self): ...


def test_empty_lists_need_no_session():
    assert shoal.get([]) == []
    assert shoal.wait([]) == ([], [])
    assert not shoal.is_initialized()


def test_shutdown_without_a_session_does_nothing():
    shoal.shutdown()
    shoal.shutdown()
    assert not shoal.is_initialized()
