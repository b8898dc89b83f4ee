"""Runtime environments: the words for wrong ones, merging, encoding."""

import pytest

from shoal.core.runtime_env import check, decode, encode, merge
from shoal.job_config import JobConfig
from shoal.logging_config import LoggingConfig
from shoal.runtime_env import RuntimeEnv, RuntimeEnvConfig

WORDS = [
    ([], "TypeError: runtime_env takes a dict, not list"),
    ({"env_vars": []}, "TypeError: runtime_env['env_vars'] takes a dict of strings, not list"),
    ({"env_vars": {"A": 1}}, "TypeError: runtime_env['env_vars'] takes strings, not 'A': 1"),
    (
        {"env_vars": {"A=B": "1"}},
        "ValueError: runtime_env['env_vars'] has 'A=B', which is no name of an environment variable",
    ),
    ({"working_dir": 1}, "TypeError: runtime_env['working_dir'] takes a path, not int"),
    ({"working_dir": b"/"}, "TypeError: runtime_env['working_dir'] takes a path, not bytes"),
    ({"working_dir": "/no/such"}, "ValueError: runtime_env['working_dir']='/no/such' is not a folder"),
    (
        {"working_dir": "s3://b/k.zip"},
        "ValueError: runtime_env['working_dir']='s3://b/k.zip': archives and addresses are not supported yet",
    ),
    ({"pip": ["x"]}, "ValueError: runtime_env['pip'] is not supported yet"),
    ({"excludes": ["x"]}, "ValueError: runtime_env['excludes'] is not supported yet"),
    ({"env_var": {}}, "ValueError: runtime_env has no field 'env_var'; did you mean 'env_vars'?"),
    ({"zzzzz": 1}, "ValueError: runtime_env has no field 'zzzzz'"),
]


@pytest.mark.parametrize(("env", "words"), WORDS, ids=lambda value: str(value)[:30])
def test_the_words_for_a_wrong_environment(env, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        check(env)
    assert f"{type(caught.value).__name__}: {caught.value}" == words


def test_what_counts_is_kept(tmp_path):
    given = {"env_vars": {"A": "1"}, "working_dir": tmp_path, "pip": None, "config": {"eager_install": True}}
    assert check(given) == {"env_vars": {"A": "1"}, "working_dir": str(tmp_path)}


def test_a_relative_folder_becomes_absolute(tmp_path, monkeypatch):
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path)
    assert check({"working_dir": "w"}) == {"working_dir": str(tmp_path / "w")}


def test_a_childs_variables_are_merged_with_its_parents():
    parent = {"env_vars": {"A": "1", "B": "2"}, "working_dir": "/p"}
    assert merge(parent, {"env_vars": {"B": "3"}}) == {"env_vars": {"A": "1", "B": "3"}, "working_dir": "/p"}
    assert merge(parent, {"working_dir": "/c"}) == {"env_vars": {"A": "1", "B": "2"}, "working_dir": "/c"}


def test_equal_environments_are_equal_strings():
    assert encode({"working_dir": "/w", "env_vars": {"B": "2", "A": "1"}}) == encode(
        {"env_vars": {"A": "1", "B": "2"}, "working_dir": "/w"}
    )
    assert encode({}) == encode({"env_vars": {}}) == ""
    assert decode(encode({"env_vars": {"A": "1"}})) == {"env_vars": {"A": "1"}}
    assert decode("") == {}


def test_environments_as_objects():
    assert RuntimeEnv(env_vars={"A": "1"}) == {"env_vars": {"A": "1"}}
    assert RuntimeEnvConfig(eager_install=False)["eager_install"] is False
    with pytest.raises(ValueError, match=r"runtime_env\['uv'\] is not supported yet"):
        RuntimeEnv(uv=["x"])
    with pytest.raises(ValueError, match="log_files is not supported yet"):
        RuntimeEnvConfig(log_files=["x"])


def test_job_and_logging_configurations():
    config = JobConfig(runtime_env={"env_vars": {"A": "1"}}, ray_namespace="n")
    config.set_metadata("k", "v")
    assert (config.runtime_env, config.ray_namespace, config.metadata) == ({"env_vars": {"A": "1"}}, "n", {"k": "v"})
    with pytest.raises(ValueError, match="jvm_options and code_search_path are not supported yet"):
        JobConfig(jvm_options=["x"])
    with pytest.raises(ValueError, match="default_actor_lifetime='detached' is not supported yet"):
        JobConfig(default_actor_lifetime="detached")
    with pytest.raises(ValueError, match="encoding is 'TEXT' or 'JSON', not 'XML'"):
        LoggingConfig(encoding="XML")
    with pytest.raises(ValueError, match="log_level is the name of a level of logging, such as 'INFO', not 'LOUD'"):
        LoggingConfig(log_level="LOUD")
    with pytest.raises(ValueError, match="additional_log_standard_attrs has 'x', which not every log record has"):
        LoggingConfig(additional_log_standard_attrs=["name", "x"])
