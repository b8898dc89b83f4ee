"""What the machine, or the container, gives."""

import os

import pytest

from shoal.runtime import machine
from shoal.runtime.config import node_config


def test_cpus_are_those_of_the_affinity_at_most():
    assert 1 <= machine.cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("text", "quota"), [("150000 100000", 1.5), ("max 100000", None), ("", None)])
def test_a_quota_of_cgroup_v2(tmp_path, text, quota):
    (tmp_path / "cpu.max").write_text(text)
    assert machine.cgroup_cpus(tmp_path) == quota


@pytest.mark.parametrize(("quota", "cpus"), [("50000", 0.5), ("-1", None)])
def test_a_quota_of_cgroup_v1(tmp_path, quota, cpus):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert machine.cgroup_cpus(tmp_path) == cpus


def test_a_quota_is_rounded_up(monkeypatch):
    monkeypatch.setattr(machine, "cgroup_cpus", lambda: 0.3)
    assert machine.cpus() == 1.0


def test_memory_is_what_the_machine_has_without_a_limit(tmp_path):
    with open("/proc/meminfo") as info:
        total = next(int(line.split()[1]) << 10 for line in info if line.startswith("MemTotal"))
    assert 64 << 20 <= machine.available_memory(tmp_path) <= total


def test_memory_is_what_a_limit_leaves(tmp_path):
    (tmp_path / "memory.max").write_text(str(300 << 20))
    (tmp_path / "memory.current").write_text(str(150 << 20))
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {50 << 20}\n")
    assert machine.available_memory(tmp_path) == 200 << 20


def test_memory_of_cgroup_v1(tmp_path):
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(300 << 20))
    (folder / "memory.usage_in_bytes").write_text(str(100 << 20))
    (folder / "memory.stat").write_text("total_inactive_file 0\n")
    assert machine.available_memory(tmp_path) == 200 << 20


def test_a_limit_that_is_none_is_none(tmp_path):
    (tmp_path / "memory.max").write_text("max")
    (tmp_path / "memory.current").write_text("1")
    assert machine.available_memory(tmp_path) > 64 << 20


@pytest.mark.parametrize(
    ("visible", "ids"), [("", []), ("-1", []), ("0,2", ["0", "2"]), ("GPU-ab", ["GPU-ab"]), ("NoDevFiles", [])]
)
def test_gpus_that_are_visible(monkeypatch, visible, ids):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpu_ids() == ids


def test_a_nodes_defaults(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    monkeypatch.setattr(machine, "available_memory", lambda: 1000 << 20)
    config = node_config({}, owned=True)
    assert config["object_store_memory"] == 300 << 20
    assert config["memory"] == 700 << 20
    assert config["num_cpus"] == machine.cpus()
    assert (config["num_gpus"], config["gpu_ids"]) == (2, ["1", "3"])
    assert config["owned_by_first_client"] is True


def test_a_nodes_size_as_given(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    given = {"num_cpus": 3.0, "num_gpus": 2, "resources": {"a": 1.0}, "object_store_memory": 64 << 20, "_memory": 5}
    monkeypatch.setattr(machine, "gpu_ids", list)
    config = node_config(given, owned=False)
    assert (config["num_cpus"], config["num_gpus"], config["gpu_ids"]) == (3.0, 2, ["0", "1"])
    assert (config["resources"], config["object_store_memory"], config["memory"]) == ({"a": 1.0}, 64 << 20, 5)


def test_a_size_that_cannot_be(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ValueError, match=r"num_gpus=2 is more than the 1 GPUs that are visible \(0\)"):
        node_config({"num_gpus": 2}, owned=True)
    with pytest.raises(ValueError, match=r"object_store_memory takes at least 67108864 bytes \(64 MiB\), not 5"):
        node_config({"object_store_memory": 5}, owned=True)
    with pytest.raises(ValueError, match=r"object_store_memory takes at most 8796093022208 bytes \(8 TiB\), not 9796"):
        node_config({"object_store_memory": 9796093022208}, owned=True)
