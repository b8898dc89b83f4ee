"""Writes a run's table and chart into docs/performance.md and docs/performance.svg.

python benchmarks/page.py [JSON [FOLDER]]
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import report

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
#: The rows of the chart: case, row.
SHOWN = (
    ("task_sync", "calls"),
    ("actor_sync", "calls"),
    ("task_chain", "calls"),
    ("task_pipelined", "calls"),
    ("actor_pipelined", "calls"),
    ("actor_async", "calls"),
    ("task_nested", "calls"),
    ("small_values", "put"),
    ("small_values", "get"),
)
COLOURS = {
    "shoal": "#0f766e",
    "multiprocessing": "#a3a3a3",
    "futures": "#737373",
    "dask": "#d97706",
    "ray": "#2563eb",
}
LEFT, WIDTH, BAR, GAP = 270, 880, 11, 12


def markdown(data: report.Data) -> str:
    """What the run was, and its table."""
    head, *body = report.lines(data)
    about = data["about"]
    told = [
        f"{about['date']}, {about['machine']}; rounds: {about['rounds']}; {about['seconds']:,} s in all."
        f" Medians; the quartiles are shoal's. {about.get('note', '')}".rstrip(),
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for line in body:
        indent = "&emsp;" if line[0].startswith(" ") else ""
        cells = [indent + line[0].strip(), *(cell.replace("missed:", "**missed:**") for cell in line[1:])]
        told.append("| " + " | ".join(cells) + " |")
    return "\n".join(told)


def chart(data: report.Data) -> str:
    """Calls a second on a logarithmic scale, as an SVG picture."""
    groups = [data["cases"][case][key] for case, key in SHOWN if key in data["cases"].get(case, {})]
    medians = [found["median"] for row in groups for found in row["systems"].values()]
    low, high = math.floor(math.log10(min(medians))), math.ceil(math.log10(max(medians)))
    scale = (WIDTH - LEFT - 90) / (high - low)
    parts, y = [], 46
    for row in groups:
        top = y
        for system, found in row["systems"].items():
            long = (math.log10(found["median"]) - low) * scale
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{long:.1f}" height="{BAR - 2}" fill="{COLOURS[system]}"/>')
            parts.append(f'<text x="{LEFT + long + 5:.1f}" y="{y + BAR - 3}">{found["median"]:,.0f}</text>')
            y += BAR
        middle = (top + y) / 2 + 3
        parts.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(row["title"].strip())}</text>')
        y += GAP
    return "\n".join([_head(y, data["systems"]), *_scale(low, high, scale, y), *parts, "</svg>", ""])


def _head(height: int, systems: Sequence[str]) -> str:
    told = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="10">',
        "<title>Calls a second, logarithmic</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for n, system in enumerate(systems):
        x = LEFT + n * 115
        told.append(f'<rect x="{x}" y="10" width="10" height="10" fill="{COLOURS[system]}"/>')
        told.append(f'<text x="{x + 14}" y="19">{system}</text>')
    return "\n".join(told)


def _scale(low: int, high: int, scale: float, height: int) -> list[str]:
    told = []
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        told.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="{height - GAP}" stroke="#e5e5e5"/>')
        told.append(f'<text x="{x:.1f}" y="37" text-anchor="middle" fill="#737373">{10**power:,} /s</text>')
    return told


def write(data: report.Data, folder: Path = DOCS) -> None:
    page = folder / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{page} has no {BEGIN} … {END} to write the table between")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(data)}\n\n{END}{after}")
    (folder / "performance.svg").write_text(chart(data))
    print(f"written to {page} and performance.svg beside it")


def main(source: str = "target/bench.json", folder: str = str(DOCS)) -> None:
    write(json.loads(Path(source).read_text()), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
