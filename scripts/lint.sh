#!/usr/bin/env bash
# Everything that is checked without running a test. Needs `make build` first.
source "$(dirname "$0")/lib.sh"

# As maturin sets it: otherwise maturin and plain cargo take turns in building PyO3 anew in the folder that they share.
config=$(find target/maturin -name 'pyo3-config-*.txt' -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n1 | cut -d' ' -f2)
[ -z "$config" ] || export PYO3_CONFIG_FILE=$ROOT/$config

step "Check the format of Rust code" cargo fmt --all --check
step "Check Rust code with clippy" cargo clippy --quiet --workspace --all-targets -- --deny warnings
step "Check Python code with ruff" "$VENV/bin/ruff" check --quiet
step "Check the format of Python code" "$VENV/bin/ruff" format --check --quiet
step "Check the types of the Python API" "$VENV/bin/mypy" --no-error-summary
if [ -e python/shoal/_core.pyi ]; then
    step "Compare the stub of shoal._core with the built module" \
        "$VENV/bin/python" -m mypy.stubtest shoal._core --mypy-config-file pyproject.toml --concise
fi
step "Look for unused dependencies" "$VENV/bin/python" scripts/unused_dependencies.py
