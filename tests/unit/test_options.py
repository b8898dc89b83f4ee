"""The table of options: what it knows, what it takes, and the words for what it doesn't."""

import re

import pytest

import shoal
from shoal.core.compat_table import page
from shoal.core.options import Scope, Status, check_options, table


def words(text):
    return text.split()


COMMON = words("""num_cpus num_gpus memory resources accelerator_type label_selector fallback_strategy name
    scheduling_strategy runtime_env enable_task_events placement_group
    placement_group_bundle_index placement_group_capture_child_tasks _labels""")
TASK = words("""num_returns max_calls max_retries retry_exceptions object_store_memory
    _generator_backpressure_num_objects _num_objects_per_yield""")
ACTOR = words("""concurrency_groups lifetime max_concurrency max_restarts max_task_retries max_pending_calls namespace
    get_if_exists allow_out_of_order_execution enable_tensor_transport""")
METHOD = words("""num_returns concurrency_group max_task_retries retry_exceptions enable_task_events tensor_transport
    _generator_backpressure_num_objects""")
INIT = words("""address num_cpus num_gpus resources labels object_store_memory local_mode ignore_reinit_error
    include_dashboard dashboard_host dashboard_port job_config configure_logging logging_level logging_format
    logging_config log_to_driver namespace runtime_env enable_resource_isolation cgroup_path system_reserved_cpu
    system_reserved_memory proxy_server_url _temp_dir _system_config _node_ip_address _memory _metrics_export_port
    _plasma_directory _object_spilling_directory _tracing_startup_hook _labels""")

SUPPORTED = {
    Scope.TASK: """num_cpus num_gpus memory resources num_returns max_retries retry_exceptions max_calls name
        runtime_env _generator_backpressure_num_objects""",
    Scope.ACTOR: """num_cpus num_gpus memory resources name runtime_env max_concurrency max_restarts max_task_retries
        max_pending_calls lifetime namespace get_if_exists concurrency_groups allow_out_of_order_execution
        persistent""",
}


@pytest.mark.parametrize(
    ("scope", "names"),
    [(Scope.TASK, COMMON + TASK), (Scope.ACTOR, COMMON + ACTOR), (Scope.METHOD, METHOD), (Scope.INIT, INIT)],
    ids=lambda value: value.name if isinstance(value, Scope) else "",
)
def test_every_option_of_ray_is_known(scope, names):
    assert set(names) - set(table(scope)) == set()


@pytest.mark.parametrize("scope", SUPPORTED)
def test_these_are_supported(scope):
    found = {name for name, option in table(scope).items() if option.status is Status.SUPPORTED}
    assert found == set(SUPPORTED[scope].split())


def refused(scope, name, value):
    with pytest.raises((ValueError, TypeError)) as caught:
        check_options(scope, {name: value}, what="here")
    return f"{type(caught.value).__name__}: {caught.value}"


RETURNS = 'num_returns takes a whole number ≥ 0, "streaming" or "dynamic", not '
UNREAD = "_generator_backpressure_num_objects takes a whole number ≥ 1 or -1 (without limit), not "
NUMBER = "num_cpus takes a number ≥ 0, not "
RETRIES = "max_retries takes a whole number ≥ 0 or -1 (without limit), not "
LEVEL = "logging_level takes a level of logging, such as 'INFO' or 20, not "
TYPES = "retry_exceptions takes True, False or a list of exception types, not "

TASK_WORDS = [
    ("num_cpus", "1", f"TypeError: {NUMBER}'1' (str)"),
    ("num_cpus", True, f"TypeError: {NUMBER}True (bool)"),
    ("num_cpus", -1, f"ValueError: {NUMBER}-1 (int)"),
    ("num_cpus", float("nan"), f"ValueError: {NUMBER}nan (float)"),
    ("num_cpus", 0.00001, "ValueError: num_cpus takes at most four decimals, not 1e-05 (float)"),
    ("num_gpus", 1.5, "ValueError: num_gpus takes a number from 0 to 1 or a whole number, not 1.5 (float)"),
    ("memory", "1", "TypeError: memory takes a number of bytes ≥ 0, not '1' (str)"),
    ("memory", 0.5, "ValueError: memory takes a number of bytes ≥ 0, not 0.5 (float)"),
    ("memory", float("nan"), "ValueError: memory takes a number of bytes ≥ 0, not nan (float)"),
    ("memory", float("inf"), "ValueError: memory takes a number of bytes ≥ 0, not inf (float)"),
    ("max_calls", 1 << 31, "ValueError: max_calls takes at most 2,147,483,647, not 2147483648 (int)"),
    ("max_retries", 10**12, "ValueError: max_retries takes at most 2,147,483,647, not 1000000000000 (int)"),
    ("resources", ["a"], "TypeError: resources takes a dict of numbers by name, not ['a'] (list)"),
    ("resources", {1: 1}, "TypeError: resources takes names that are strings, not 1 (int)"),
    ("resources", {"CPU": 1}, "ValueError: resources doesn't take 'CPU': use num_cpus="),
    ("resources", {"GPU": 1}, "ValueError: resources doesn't take 'GPU': use num_gpus="),
    ("resources", {"a": -1}, "ValueError: resources['a'] takes a number ≥ 0, not -1 (int)"),
    ("num_returns", -1, f"ValueError: {RETURNS}-1 (int)"),
    ("num_returns", 1.0, f"TypeError: {RETURNS}1.0 (float)"),
    ("num_returns", "stream", f"ValueError: {RETURNS}'stream' (str)"),
    ("num_returns", 10**9, "ValueError: num_returns takes at most 1,000,000, not 1000000000 (int)"),
    ("_generator_backpressure_num_objects", 0, f"ValueError: {UNREAD}0 (int)"),
    ("_generator_backpressure_num_objects", "1", f"TypeError: {UNREAD}'1' (str)"),
    ("max_retries", -2, f"ValueError: {RETRIES}-2 (int)"),
    ("max_retries", "3", f"TypeError: {RETRIES}'3' (str)"),
    ("max_calls", -1, "ValueError: max_calls takes a whole number ≥ 0, not -1 (int)"),
    ("retry_exceptions", [1], f"TypeError: {TYPES}1 (int)"),
    ("retry_exceptions", ValueError, f"TypeError: {TYPES}<class 'ValueError'> (type)"),
    ("name", "", "ValueError: name takes a string that is not empty, not '' (str)"),
    ("name", 1, "TypeError: name takes a string, not 1 (int)"),
    ("enable_task_events", 1, "TypeError: enable_task_events takes True or False, not 1 (int)"),
    ("scheduling_strategy", "NEAR", "ValueError: scheduling_strategy='NEAR' is not supported yet"),
    ("label_selector", {"a": "b"}, "ValueError: label_selector is not supported yet"),
    ("accelerator_type", "H100", "ValueError: accelerator_type='H100' is not supported yet"),
    ("num_cpu", 1, "ValueError: here has no option 'num_cpu'; did you mean 'num_cpus'?"),
    ("lifetime", "detached", "ValueError: here has no option 'lifetime'; it is an option of actors"),
]
ACTOR_WORDS = [
    ("max_concurrency", 0, "ValueError: max_concurrency takes a whole number ≥ 1, not 0 (int)"),
    ("max_restarts", -2, "ValueError: max_restarts takes a whole number ≥ 0 or -1 (without limit), not -2 (int)"),
    ("max_task_retries", None, None),
    (
        "max_pending_calls",
        0,
        "ValueError: max_pending_calls takes a whole number ≥ 1 or -1 (without limit), not 0 (int)",
    ),
    ("lifetime", "eternal", "ValueError: lifetime takes 'detached' or 'non_detached', not 'eternal' (str)"),
    ("lifetime", 1, "TypeError: lifetime takes 'detached' or 'non_detached', not 1 (int)"),
    ("namespace", "", "ValueError: namespace takes a string that is not empty, not '' (str)"),
    ("get_if_exists", "yes", "TypeError: get_if_exists takes True or False, not 'yes' (str)"),
    ("concurrency_groups", 3, "TypeError: concurrency_groups takes a dict of limits by name, not 3 (int)"),
    ("concurrency_groups", [{}], "TypeError: concurrency_groups takes a dict of limits by name, not [{}] (list)"),
    ("concurrency_groups", {"io": 0}, "ValueError: concurrency_groups['io'] takes a whole number ≥ 1, not 0 (int)"),
    ("max_retries", 1, "ValueError: here has no option 'max_retries'; did you mean 'max_task_retries'?"),
    ("max_calls", 1, "ValueError: here has no option 'max_calls'; it is an option of tasks"),
]
NO_SETTING = "_system_config has 'log_rotate_byte', which is no setting"
DRIVERS = "_system_config has 'dedup_logs', which is a driver's own"
ROTATE = "_system_config['log_rotate_bytes']"
INIT_WORDS = [
    ("address", 1, "TypeError: address takes a string, not 1 (int)"),
    ("num_gpus", 0.5, "TypeError: num_gpus takes a whole number ≥ 0, not 0.5 (float)"),
    ("object_store_memory", 0, "ValueError: object_store_memory takes a whole number of bytes > 0, not 0 (int)"),
    ("object_store_memory", "1", "TypeError: object_store_memory takes a whole number of bytes > 0, not '1' (str)"),
    ("dashboard_port", "x", "TypeError: dashboard_port takes a whole number ≥ 0, not 'x' (str)"),
    ("local_mode", True, "ValueError: local_mode=True is not supported yet"),
    ("_system_config", {"a": 1}, "ValueError: _system_config has 'a', which is no setting"),
    ("_system_config", {"log_rotate_byte": 1}, f"ValueError: {NO_SETTING}; did you mean 'log_rotate_bytes'?"),
    ("_system_config", {"dedup_logs": 1}, f"ValueError: {DRIVERS}: set SHOAL_DEDUP_LOGS"),
    ("_system_config", {"log_rotate_bytes": 7}, f"ValueError: {ROTATE} takes a whole number of bytes ≥ 1024, not '7'"),
    ("_system_config", 7, "TypeError: _system_config takes a dict of settings, not 7"),
    ("logging_config", "JSON", "TypeError: logging_config takes a LoggingConfig, not 'JSON' (str)"),
    ("logging_level", "LOUD", f"ValueError: {LEVEL}'LOUD' (str)"),
    ("logging_level", 1.5, f"TypeError: {LEVEL}1.5 (float)"),
    ("_labels", 1, "TypeError: _labels takes a dict, not 1 (int)"),
    ("num_cpu", 1, "ValueError: here has no option 'num_cpu'; did you mean 'num_cpus'?"),
]
WORDS = [
    (scope, *row)
    for scope, rows in ((Scope.TASK, TASK_WORDS), (Scope.ACTOR, ACTOR_WORDS), (Scope.INIT, INIT_WORDS))
    for row in rows
    if row[2]
]


@pytest.mark.parametrize(("scope", "name", "value", "words"), WORDS, ids=lambda value: str(value)[:20])
def test_the_words_for_a_wrong_option(scope, name, value, words):
    assert refused(scope, name, value) == words


@pytest.mark.parametrize("scope", Scope)
def test_what_is_not_there_yet_says_so_and_takes_what_changes_nothing(scope):
    for name, option in table(scope).items():
        if option.status is Status.NOT_YET:
            assert refused(scope, name, object()).endswith(f"{name} is not supported yet")
            assert check_options(scope, {name: None}, what="") == {}
            for value in option.harmless:
                assert check_options(scope, {name: value}, what="") == {}


@pytest.mark.parametrize("scope", Scope)
def test_none_means_unset_everywhere(scope):
    assert check_options(scope, dict.fromkeys(table(scope)), what="") == {}


def test_what_is_taken_without_effect_is_left_out():
    assert check_options(Scope.TASK, {"enable_task_events": False, "num_cpus": 2}, what="") == {"num_cpus": 2.0}


def test_values_come_as_they_are_used():
    given = {"num_cpus": 1, "retry_exceptions": [OSError], "resources": {"disk": 1}, "max_retries": -1}
    assert check_options(Scope.TASK, given, what="") == {
        "num_cpus": 1.0,
        "retry_exceptions": (OSError,),
        "resources": {"disk": 1.0},
        "max_retries": -1,
    }
    groups = [{"name": "io", "max_concurrency": 2}]
    assert check_options(Scope.ACTOR, {"concurrency_groups": groups}, what="") == {"concurrency_groups": {"io": 2}}


def test_max_calls_is_no_option_of_options():
    with pytest.raises(ValueError, match=re.escape("max_calls is an option of @remote, not of .options()")):
        shoal.remote(lambda: 1).options(max_calls=1)


def test_an_unknown_option_without_a_near_one_lists_what_there_is():
    assert refused(Scope.METHOD, "zzz", 1) == (
        "ValueError: here has no option 'zzz'; it takes concurrency_group, enable_task_events, max_task_retries, name, "
        "num_returns, read_only, retry_exceptions, tensor_transport"
    )


def test_the_page_has_a_row_for_each_option():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(table(scope)) for scope in Scope)
    assert "| `max_retries` | int ≥ -1 | 3 | supported | -1: without limit |" in rows
