"""Which instance `init()` joins, without starting any."""

import json
import os

import pytest

from shoal.runtime import launch
from shoal.runtime.address import Target, resolve


@pytest.fixture(autouse=True)
def no_instance(monkeypatch, tmp_path):
    for name in ("SHOAL_ADDRESS", "RAY_ADDRESS", "SHOAL_COMPAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOAL_TMPDIR", str(tmp_path))


@pytest.fixture
def running(no_instance):
    """A record as `shoal start` leaves one, of this process."""
    with open("/proc/self/stat") as stat:
        started = int(stat.read().rsplit(")", 1)[1].split()[19])
    path = os.path.join(launch.root_folder(), "current.json")
    with open(path, "w") as file:
        json.dump({"address": "unix:/run/s", "pid": os.getpid(), "start_time": started}, file)


NEW, JOINED = Target(None, False), Target("/run/s", True)


def test_none_starts_one_where_none_runs():
    assert resolve(None, sized=False).path is None
    assert resolve(None, sized=True) == NEW


def test_none_joins_a_running_one_unless_a_size_is_given(running):
    assert resolve(None, sized=False) == JOINED
    assert resolve(None, sized=True) == NEW


def test_local_is_always_new(running, monkeypatch):
    assert resolve("local", sized=False) == NEW
    monkeypatch.setenv("SHOAL_ADDRESS", "unix:/run/e")
    assert resolve("local", sized=True) == NEW


def test_auto_never_starts_one(running):
    assert resolve("auto", sized=False).path == "/run/s"
    with pytest.raises(ValueError, match="can't be given for the instance 'unix:/run/s', which runs already"):
        resolve("auto", sized=True)


def test_auto_without_a_running_one():
    with pytest.raises(ConnectionError, match="found no running instance: 'shoal start --head' starts one"):
        resolve("auto", sized=False)


@pytest.mark.parametrize("address", [None, "auto"])
def test_the_environment_names_one(monkeypatch, address):
    monkeypatch.setenv("SHOAL_ADDRESS", "unix:/run/e")
    assert resolve(address, sized=False) == Target("/run/e", False)
    monkeypatch.setenv("SHOAL_ADDRESS", "auto" if address is None else "unix:/run/e")
    assert resolve("unix:/run/x", sized=False) == Target("/run/x", False)


def test_rays_variable_counts_under_compat_only(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "unix:/run/r")
    assert resolve(None, sized=False).path is None
    monkeypatch.setenv("SHOAL_COMPAT", "1")
    assert resolve(None, sized=False).path == "/run/r"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://h:1", "address='ray://h:1' is not supported yet"),
        ("h:6379", "address='h:6379' is not supported yet: name the instance by 'auto' or 'unix:PATH'"),
        ("h", "address takes None, 'auto', 'local', 'unix:PATH' or 'HOST:PORT', not 'h'"),
        ("unix:", "address takes None, 'auto', 'local', 'unix:PATH' or 'HOST:PORT', not 'unix:'"),
    ],
)
def test_the_words_for_a_wrong_address(address, words):
    with pytest.raises(ValueError) as caught:
        resolve(address, sized=False)
    assert str(caught.value) == words


def test_a_size_with_a_named_one():
    with pytest.raises(ValueError, match="can't be given for the instance 'unix:/run/x', which runs already"):
        resolve("unix:/run/x", sized=True)


def test_nobody_answers(tmp_path):
    import shoal

    with pytest.raises(ConnectionError, match="no instance of shoal answers at 'unix:/no/such': No such file"):
        shoal.init(address="unix:/no/such")
    assert not shoal.is_initialized()
