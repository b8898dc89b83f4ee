"""A working folder's snapshot: by content, complete, without what is never part of a program."""

import os
import socket

import pytest

from shoal.runtime import working_dir


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "w"
    (root / "pkg").mkdir(parents=True)
    (root / "a.py").write_text("A = 1\n")
    (root / "pkg" / "b.py").write_text("B = 2\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.py")
    for name in (".git", "__pycache__"):
        (root / name).mkdir()
        (root / name / "x").write_text("no")
    return root


def files(root):
    return sorted(os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names)


def test_all_that_belongs_to_a_program_is_copied(folder, tmp_path):
    copy = working_dir.snapshot(str(folder), str(tmp_path / "home"), "1")
    assert files(copy) == ["a.py", "link", "pkg/b.py", "run.sh"]
    assert os.readlink(os.path.join(copy, "link")) == "a.py"
    assert os.access(os.path.join(copy, "run.sh"), os.X_OK)
    assert os.path.basename(copy) == f"{working_dir.digest(str(folder))}-1"
    assert os.listdir(tmp_path / "home") == [os.path.basename(copy)]


def test_it_is_made_once_for_a_job_and_its_content(folder, tmp_path):
    home = str(tmp_path / "home")
    one = working_dir.snapshot(str(folder), home, "1")
    with open(os.path.join(one, "made by a task"), "w"):
        pass
    assert working_dir.snapshot(str(folder), home, "1") == one
    assert working_dir.snapshot(str(folder), home, "2") != one
    (folder / "a.py").write_text("A = 2\n")
    assert working_dir.snapshot(str(folder), home, "1") != one
    assert not (folder / "made by a task").exists()


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "new"])
def test_each_change_is_another_content(folder, change):
    before = working_dir.digest(str(folder))
    if change == "content":
        (folder / "a.py").write_text("A = 3\n")
    elif change == "name":
        (folder / "a.py").rename(folder / "c.py")
    elif change == "mode":
        (folder / "a.py").chmod(0o700)
    elif change == "link":
        (folder / "link").unlink()
        (folder / "link").symlink_to("run.sh")
    else:
        (folder / "empty").mkdir()
    assert working_dir.digest(str(folder)) != before


def test_what_is_left_out_does_not_count(folder):
    before = working_dir.digest(str(folder))
    (folder / ".git" / "y").write_text("no")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s"))
        assert working_dir.digest(str(folder)) == before


def test_too_much_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(working_dir, "MAX_BYTES", 8)
    with pytest.raises(ValueError, match=r"the working_dir .* holds more than 0 MiB"):
        working_dir.snapshot(str(folder), str(tmp_path / "home"), "1")
