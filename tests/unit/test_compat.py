"""`import ray` is shoal under `shoal.compat`: in the program, and in the processes that it starts."""

import sys

import pytest

from support.programs import run_command

PROGRAM = """
    import subprocess, sys
    import ray
    import ray.util.actor_pool
    import ray.exceptions as errors
    from ray.util import ActorPool
    from ray import cloudpickle
    import shoal
    assert ray is shoal and sys.modules["ray"] is shoal
    assert errors is shoal.exceptions and sys.modules["ray.exceptions"] is errors
    assert ray.util.actor_pool.ActorPool is ActorPool is shoal.util.ActorPool
    assert shoal.__name__ == "shoal" and shoal.__spec__.name == "shoal", shoal.__spec__
    assert shoal.exceptions.__spec__.name == "shoal.exceptions"
    assert errors.RayTaskError.__module__ == "shoal.exceptions"
    assert __name__ == "__main__" and sys.argv[1:] == ["a", "--b"], sys.argv
    import beside
    class Mine: pass
    assert Mine.__module__ == "__main__" and sys.modules["__main__"].Mine is Mine
    try:
        import ray.rllib
    except ModuleNotFoundError as e:
        assert str(e) == "ray.rllib is not supported yet: shoal has no shoal.rllib", e
    else:
        raise AssertionError
    code = "import ray, ray.util, shoal; assert ray is shoal and ray.util is shoal.util; from ray.util import ActorPool"
    subprocess.run([sys.executable, "-c", code], check=True)
    sys.exit(7)
"""


def test_a_program(tmp_path):
    import textwrap

    (tmp_path / "beside.py").write_text("")
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    run = run_command([sys.executable, "-m", "shoal.compat", program, "a", "--b"], check=False)
    assert run.returncode == 7, run


def test_a_program_that_fails_shows_its_own_lines(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("def f():\n    1 / 0\nf()\n")
    run = run_command([sys.executable, "-m", "shoal.compat", program], check=False)
    assert run.returncode == 1
    assert f'File "{program}", line 2, in f' in run.stderr


@pytest.mark.parametrize(("args", "code"), [([], 2), (["--help"], 0)])
def test_usage(args, code):
    run = run_command([sys.executable, "-m", "shoal.compat", *args], check=False)
    assert run.returncode == code
    assert run.stdout.startswith("usage: python -m shoal.compat PROGRAM [ARGS]")


def test_without_it_ray_is_not_shoal(shoal_run):
    shoal_run("""
        import shoal
        try:
            import ray
        except ImportError:
            pass
        else:
            assert ray is not shoal
    """)
