"""Reads every Python file of this Python's standard library in parallel, and checks the result against a plain loop.

    python examples/stdlib_survey.py [FOLDER] [--no-check]

What it shows: a table that is `put` once and read by every task, a task for each group of small files, nested tasks
for the large ones, an actor that collects the counts, and `wait`, which hands over what is ready while the rest runs.
"""

import argparse
import builtins
import heapq
import keyword
import sys
import sysconfig
import time
import tokenize
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import shoal

GROUP_BYTES = 512 * 1024
LARGE_FILE_BYTES = 128 * 1024
LONGEST = 8
SKIPPED_TOKENS = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


@dataclass
class Counts:
    """What was counted in some files."""

    files: int = 0
    size: int = 0
    tokens: int = 0
    unreadable: list[str] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    functions: int = 0
    longest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        self.files += other.files
        self.size += other.size
        self.tokens += other.tokens
        self.unreadable = sorted(self.unreadable + other.unreadable)
        self.names.update(other.names)
        self.kinds.update(other.kinds)
        self.functions += other.functions
        self.longest = heapq.nlargest(LONGEST, self.longest + other.longest)


def known_words() -> dict[str, str]:
    """The words that the language and its library give a meaning, and which."""
    table = dict.fromkeys(sys.stdlib_module_names, "module")
    table.update(dict.fromkeys(dir(builtins), "built-in"))
    table.update(dict.fromkeys(keyword.kwlist, "keyword"))
    return table


def count_file(path: str, table: dict[str, str]) -> Counts:
    """Counts one file's tokens, names and functions; a file that is no valid Python only by its name and size."""
    counts = Counts(files=1, size=Path(path).stat().st_size)
    blocks: list[tuple[str, int] | None] = []  # a function's name and first line, or None for another block
    header: tuple[str, int] | None = None
    last_word = ""
    last_line = 0
    found: list[tuple[int, str]] = []
    try:
        with tokenize.open(path) as file:
            for kind, text, (line, _), (end_line, _), _ in tokenize.generate_tokens(file.readline):
                if kind == tokenize.INDENT:
                    blocks.append(header)
                    header = None
                elif kind == tokenize.DEDENT:
                    function = blocks.pop()
                    if function:
                        found.append((last_line - function[1] + 1, f"{function[0]}  {path}:{function[1]}"))
                elif kind not in SKIPPED_TOKENS:
                    if header and last_word == "\n":  # no block followed: the body stood on the header's line
                        found.append((1, f"{header[0]}  {path}:{header[1]}"))
                        header = None
                    counts.tokens += 1
                    if kind == tokenize.NAME:
                        if last_word == "def":
                            header = (text, line)
                        counts.names[text] += 1
                        counts.kinds[table.get(text, "the program's own")] += 1
                    if kind != tokenize.COMMENT:
                        last_line = end_line
                if kind not in (tokenize.NL, tokenize.COMMENT):
                    last_word = "\n" if kind == tokenize.NEWLINE else text
    except (SyntaxError, ValueError, tokenize.TokenError):
        return Counts(files=1, size=counts.size, unreadable=[path])
    counts.functions = len(found)
    counts.longest = heapq.nlargest(LONGEST, found)
    return counts


@shoal.remote
class Tally:
    """Collects the counts of all tasks."""

    def __init__(self):
        self.counts = Counts()

    def add(self, counts):
        self.counts.add(counts)

    def result(self):
        return self.counts


@shoal.remote
def survey_large_file(path, table):
    return count_file(path, table)


@shoal.remote
def survey_group(paths, tables, tally):
    """Counts some files and returns how many bytes those were.

    `tables` is a list of one ref: a ref inside a list is passed on as it is, so that the nested tasks can have it, too.
    """
    large = [path for path in paths if Path(path).stat().st_size > LARGE_FILE_BYTES]
    nested = [survey_large_file.remote(path, tables[0]) for path in large]
    table = shoal.get(tables[0])
    counts = Counts()
    for path in paths:
        if path not in large:
            counts.add(count_file(path, table))
    for part in shoal.get(nested):
        counts.add(part)
    shoal.get(tally.add.remote(counts))
    return counts.size


def groups(paths: list[str]) -> list[list[str]]:
    """The files in groups of about `GROUP_BYTES`."""
    result: list[list[str]] = [[]]
    size = 0
    for path in paths:
        if size > GROUP_BYTES:
            result.append([])
            size = 0
        result[-1].append(path)
        size += Path(path).stat().st_size
    return result


class Progress:
    """A bar on a terminal, otherwise a line for each tenth."""

    def __init__(self, total: int):
        self.total = total
        self.done = 0
        self.shown = -1
        self.live = sys.stdout.isatty()

    def advance(self, size: int) -> None:
        self.done += size
        share = self.done / max(self.total, 1)
        if self.live:
            bar = "█" * int(40 * share)
            print(f"\r  {bar:░<40} {share:4.0%}", end="\n" if share >= 1 else "", flush=True)
        elif int(10 * share) > self.shown:
            self.shown = int(10 * share)
            print(f"  {share:4.0%} of {self.total / 1e6:.1f} MB", flush=True)


def survey(paths: list[str]) -> Counts:
    """All files, on all CPUs of the instance."""
    table = shoal.put(known_words())
    tally = Tally.remote()
    pending = [survey_group.remote(group, [table], tally) for group in groups(paths)]
    progress = Progress(sum(Path(path).stat().st_size for path in paths))
    while pending:
        ready, pending = shoal.wait(pending, num_returns=1)
        for size in shoal.get(ready):
            progress.advance(size)
    return shoal.get(tally.result.remote())


def survey_plainly(paths: list[str]) -> Counts:
    """All files, one after the other, in this process."""
    table = known_words()
    counts = Counts()
    for path in paths:
        counts.add(count_file(path, table))
    return counts


def show(counts: Counts, folder: str) -> None:
    own = Counter({name: n for name, n in counts.names.items() if not keyword.iskeyword(name)})
    print(f"\n  files      {counts.files:>11,}   {counts.size / 1e6:.1f} MB, {len(counts.unreadable)} not valid Python")
    print(f"  tokens     {counts.tokens:>11,}")
    print(f"  names      {counts.names.total():>11,}   {len(counts.names):,} different")
    for kind, number in counts.kinds.most_common():
        print(f"    {kind:<17} {number:>11,}")
    print(f"  functions  {counts.functions:>11,}")
    print("\n  most used names:   " + ", ".join(f"{name} {number:,}" for name, number in own.most_common(6)))
    print("  longest functions:")
    for lines, where in counts.longest:
        name, _, place = where.partition("  ")
        print(f"    {lines:>5} lines  {name:<32} {place.removeprefix(folder).lstrip('/')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", default=sysconfig.get_path("stdlib"), help="default: the standard library")
    parser.add_argument("--no-check", action="store_true", help="leave out the plain loop")
    options = parser.parse_args()
    folder = Path(options.folder)
    paths = sorted(str(path) for path in folder.rglob("*.py") if "site-packages" not in path.relative_to(folder).parts)
    if not paths:
        parser.error(f"no Python files in {folder}")

    print(f"Reading {len(paths):,} Python files in {folder}")
    begin = time.perf_counter()
    shoal.init()
    started = time.perf_counter()
    counts = survey(paths)
    taken = time.perf_counter() - started
    cpus = int(shoal.cluster_resources()["CPU"])
    shoal.shutdown()
    show(counts, str(folder))
    print(f"\n  shoal, {cpus} CPUs:  {taken:6.2f} s, and {started - begin:.2f} s to start")
    if options.no_check:
        return 0
    begin = time.perf_counter()
    plain = survey_plainly(paths)
    alone = time.perf_counter() - begin
    print(f"  plain loop:     {alone:6.2f} s; shoal took {taken / alone:.0%} of it")
    if counts != plain:
        print("  the two results differ", file=sys.stderr)
        return 1
    print("  both results are equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
