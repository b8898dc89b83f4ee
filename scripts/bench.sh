#!/usr/bin/env bash
# Builds shoal with cargo's release profile into an environment of its own, and runs the benchmarks there.
# Arguments go to benchmarks/run.py. The environment of `make build` is left alone.
source "$(dirname "$0")/lib.sh"

BENCH=$ROOT/target/bench-venv
wheel=target/bench-wheel

install_release() {
    [ -x "$BENCH/bin/python" ] || "$VENV/bin/python" -m venv "$BENCH"
    rm -rf "$wheel"
    "$VENV/bin/maturin" build --release --out "$wheel"
    "$BENCH/bin/python" -m pip install --quiet --constraint requirements-dev.txt numpy
    "$BENCH/bin/python" -m pip install --quiet --force-reinstall --constraint requirements-dev.txt "$wheel"/*.whl
    touch "$BENCH/installed"
}

if ! fresh "$BENCH/installed" Cargo.toml Cargo.lock pyproject.toml requirements-dev.txt crates python; then
    step "Build shoal's release profile into target/bench-venv" install_release
fi
exec "$BENCH/bin/python" benchmarks/run.py "$@"
