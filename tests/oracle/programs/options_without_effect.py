"""An option that changes nothing is taken; an unknown or a wrong one is an error."""

from oracle import SHOAL, raises, ray

ray.init(num_cpus=1, include_dashboard=False, configure_logging=True, logging_level="ERROR", _metrics_export_port=0)


def f():
    return 1


assert ray.get(ray.remote(enable_task_events=False)(f).remote()) == 1
assert ray.get(ray.remote(f).options(enable_task_events=True, name="x", scheduling_strategy="SPREAD").remote()) == 1
raises(ValueError, lambda: ray.remote(no_such_option=1)(f))
raises(ValueError, lambda: ray.remote(f).options(num_cpus=-1))
raises(ValueError, lambda: ray.remote(max_restarts=1)(f))
if SHOAL:
    raises(ValueError, lambda: ray.remote(num_cpu=1)(f), "did you mean 'num_cpus'?")
    raises(ValueError, lambda: ray.remote(label_selector={"a": "b"})(f), "label_selector is not supported yet")
