"""What `import shoal` gives, and what it costs."""

import importlib
import inspect

import pytest

import shoal

CALLS = """init shutdown is_initialized remote get put wait cancel kill get_actor method nodes cluster_resources
    available_resources get_gpu_ids get_runtime_context timeline"""
IDS = "ActorClassID ActorID NodeID JobID WorkerID FunctionID ObjectID TaskID UniqueID PlacementGroupID"
LATER = "client ClientBuilder java_function java_actor_class cpp_function Language"
CONTEXT = """get_job_id get_node_id get_temp_dir get_session_name get_worker_id get_task_id get_task_name
    get_task_function_name get_actor_id get_actor_name namespace was_current_actor_reconstructed get_assigned_resources
    get_runtime_env_string runtime_env get_accelerator_ids is_canceled"""
CONTEXT_LATER = """get_placement_group_id should_capture_child_tasks_in_placement_group gcs_address
    get_node_labels"""
POOL = "map map_unordered submit has_next get_next get_next_unordered has_free pop_idle push"
UTIL_LATER = """accelerators disable_log_once_globally enable_periodic_logging iter pdb ray_debugpy placement_group
    get_node_instance_id collective connect disconnect"""


@pytest.mark.parametrize(
    "name", (CALLS + " " + IDS + " ObjectRef ObjectRefGenerator DynamicObjectRefGenerator LoggingConfig").split()
)
def test_each_name_is_there(name):
    assert name in shoal.__all__
    assert callable(getattr(shoal, name))


@pytest.mark.parametrize("name", shoal.__all__)
def test_each_public_name_can_be_had_and_is_documented(name):
    value = getattr(shoal, name)
    assert inspect.getdoc(value)


@pytest.mark.parametrize("name", LATER.split())
def test_what_is_not_there_yet_says_so_when_it_is_used(name):
    with pytest.raises(ValueError, match=f"^{name} is not supported yet$"):
        getattr(shoal, name)()


@pytest.mark.parametrize("name", UTIL_LATER.split())
def test_so_do_the_helpers(name):
    with pytest.raises(ValueError, match=f"^util.{name} is not supported yet$"):
        getattr(shoal.util, name)()


def test_any_other_name_is_an_attribute_error():
    for module in (shoal, shoal.util):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nothing'"):
            module.nothing  # noqa: B018


@pytest.mark.parametrize("name", CONTEXT.split())
def test_the_runtime_context_has(name):
    assert hasattr(shoal.RuntimeContext, name)


@pytest.mark.parametrize("name", CONTEXT_LATER.split())
def test_the_runtime_context_knows(name):
    with pytest.raises(ValueError, match=f"{name} is not supported yet"):
        getattr(shoal.RuntimeContext(), name)


@pytest.mark.parametrize("name", POOL.split())
def test_an_actor_pool_has(name):
    assert inspect.getdoc(getattr(shoal.util.ActorPool, name))


@pytest.mark.parametrize(
    "name", ["shoal.actor", "shoal.cloudpickle", "shoal.exceptions", "shoal.util", "shoal.data", "shoal.job_config"]
)
def test_modules_can_be_imported_by_name(name):
    assert importlib.import_module(name).__all__ if name != "shoal.job_config" else importlib.import_module(name)


def test_importing_shoal_imports_next_to_nothing(shoal_run):
    shoal_run("""
        import sys
        before = set(sys.modules)
        import shoal
        new = {name for name in set(sys.modules) - before if not name.startswith("shoal")}
        assert new == set(), new
    """)


def test_a_session_needs_neither_numpy_nor_asyncio(shoal_run):
    shoal_run("""
        import sys, shoal.core.hooks, shoal.runtime.api, shoal.core.decorators, shoal.runtime.worker
        assert not {"numpy", "asyncio", "concurrent.futures", "multiprocessing", "click", "difflib"} & set(sys.modules)
    """)


def test_only_one_module_imports_the_core():
    from pathlib import Path

    root = Path(shoal.__file__).parent
    # The node daemon loads it by its path; the zygote, only to have it in memory.
    allowed = {"core/_ffi.py", "runtime/launch.py", "runtime/zygote.py", "runtime/node.py"}
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(word in path.read_text() for word in ("import _core", "from shoal._core", "import shoal._core"))
    }
    assert found <= allowed


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert shoal.__version__ == version("shoal")
