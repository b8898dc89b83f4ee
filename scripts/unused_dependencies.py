"""Names each dependency that a manifest lists and no source file uses, and fails if there is one.

Looked at: every crate's dependencies against its own Rust files, the workspace's table against the crates, and the
Python package's dependencies against the imports under python/.
"""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("dependencies", "dev-dependencies", "build-dependencies")


def tables(manifest):
    """The dependency tables of a manifest, those under [target.'cfg(…)'] among them."""
    for part in (manifest, *manifest.get("target", {}).values()):
        for table in TABLES:
            yield table, part.get(table, {})


def unused_in_crate(folder):
    manifest = tomllib.loads((folder / "Cargo.toml").read_text())
    sources = [path.read_text() for path in folder.rglob("*.rs") if "target" not in path.parts]
    for table, dependencies in tables(manifest):
        for name in dependencies:
            word = re.compile(rf"\b{name.replace('-', '_')}\b")
            if not any(word.search(text) for text in sources):
                yield f"{folder.name}/Cargo.toml: {name} in [{table}]"


def unused_in_workspace(crates):
    listed = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"].get("dependencies", {})
    used = set()
    for folder in crates:
        for _, dependencies in tables(tomllib.loads((folder / "Cargo.toml").read_text())):
            used.update(dependencies)
    return [f"Cargo.toml: {name} in [workspace.dependencies]" for name in sorted(set(listed) - used)]


def unused_in_python():
    imported = set()
    for path in (ROOT / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w-]+", requirement).group() for requirement in project["dependencies"]]
    return [f"pyproject.toml: {name} in dependencies" for name in names if name.replace("-", "_") not in imported]


def main():
    crates = sorted(path.parent for path in ROOT.glob("crates/*/Cargo.toml"))
    unused = [line for folder in crates for line in unused_in_crate(folder)]
    unused += unused_in_workspace(crates) + unused_in_python()
    for line in unused:
        print(f"unused dependency: {line}", file=sys.stderr)
    return bool(unused)


if __name__ == "__main__":
    sys.exit(main())
