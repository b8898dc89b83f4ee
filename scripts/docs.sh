#!/usr/bin/env bash
# Builds the documentation into docs/_build/html.
source "$(dirname "$0")/lib.sh"

install_sphinx() {
    "$VENV/bin/python" -m pip install --quiet --requirement requirements-docs.txt
    touch "$STAMPS/docs"
}

write_tables() {
    "$VENV/bin/python" -m shoal.core.compat_table >docs/compatibility.md.new
    mv docs/compatibility.md.new docs/compatibility.md
    "$VENV/bin/python" -m shoal.core.settings >docs/settings.md.new
    mv docs/settings.md.new docs/settings.md
}

fresh "$STAMPS/docs" requirements-docs.txt || step "Install sphinx into .venv" install_sphinx
step "Write the pages that are made from tables in the code" write_tables
step "Build docs/_build/html" "$VENV/bin/python" -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
