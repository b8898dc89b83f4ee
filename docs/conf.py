"""How sphinx builds these pages: `make docs`."""

import tomllib
from pathlib import Path

project = "shoal"
copyright = "the shoal developers"
_manifest = tomllib.loads((Path(__file__).parents[1] / "Cargo.toml").read_text())
version = release = _manifest["workspace"]["package"]["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "shoal"
