"""Log lines, blocks of a dataset, the command's own words."""

import io
import sys

import pytest
from click.testing import CliRunner

import shoal
from shoal.cli import main
from shoal.core.nearest import nearest
from shoal.core.screen import write
from shoal.data.create import _split


def test_lines_of_workers_are_printed_whole(capsys):
    write([("f", 7, False, False, "one"), ("A", 8, True, False, "bad"), ("f", 7, False, False, "two")])
    out, err = capsys.readouterr()
    assert out == "(f pid=7) one\n(f pid=7) two\n"
    assert err == "(A pid=8) bad\n"


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_stream_that_is_gone_is_no_error(monkeypatch, stream):
    if stream:
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    write([("f", 7, False, False, "one")])


def test_the_nearest_name():
    assert nearest("num_cpu", ["num_gpus", "num_cpus"]) == "num_cpus"
    assert nearest("xyz", ["num_cpus"]) is None


@pytest.mark.parametrize(
    ("rows", "blocks", "sizes"), [(10, 3, [4, 3, 3]), (2, 2, [1, 1]), (0, 1, [0]), (8, 8, [1] * 8)]
)
def test_blocks_keep_the_order(rows, blocks, sizes):
    split = _split(list(range(rows)), blocks)
    assert [len(block) for block in split] == sizes
    assert [row for block in split for row in block] == list(range(rows))


def test_log_once():
    assert shoal.util.log_once("a key of this test")
    assert not shoal.util.log_once("a key of this test")


def test_an_address_of_this_machine():
    assert len(shoal.util.get_node_ip_address().split(".")) == 4
    assert shoal.util.get_node_ip_address("no.such.host.invalid:1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--version"], 0, f"shoal, version {shoal.__version__}"),
        (["start"], 2, "joining another machine is not supported yet: use 'shoal start --head'"),
        (["start", "--head", "--resources", "{"], 2, "--resources takes JSON, not '{'"),
        (["start", "--head", "--num-cpus", "-1"], 1, "num_cpus takes a number ≥ 0, not -1.0 (float)"),
        (["start", "--head", "--resources", '{"CPU": 1}'], 1, "resources doesn't take 'CPU': use num_cpus="),
        (["stop"], 0, "no instance runs"),
        (["status"], 1, "found no running instance: 'shoal start --head' starts one"),
    ],
)
def test_the_words_of_the_command(args, code, words, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOAL_TMPDIR", str(tmp_path))
    monkeypatch.delenv("SHOAL_ADDRESS", raising=False)
    result = CliRunner().invoke(main, args)
    assert words in result.output
    assert result.exit_code == code
