#!/usr/bin/env bash
# Builds shoal with cargo's release profile into an environment of its own, puts the peers into another, and runs the
# benchmarks. Arguments go to benchmarks/run.py. The environment of `make build` is left alone.
source "$(dirname "$0")/lib.sh"

BENCH=$ROOT/target/bench-venv
PEERS=$ROOT/target/peers-venv
wheel=target/bench-wheel

install_release() {
    rm -rf "$wheel"
    "$VENV/bin/maturin" build --release --out "$wheel"
    "$VENV/bin/python" -m venv --clear "$BENCH"
    grep -hE '^(numpy|click|cloudpickle)==' requirements-dev.txt >"$BENCH/requirements.txt"
    "$BENCH/bin/python" -m pip install --quiet --requirement "$BENCH/requirements.txt" "$wheel"/*.whl
    touch "$BENCH/installed"
}

install_peers() {
    "$VENV/bin/python" -m venv --clear "$PEERS"
    "$PEERS/bin/python" -m pip install --quiet --requirement requirements-bench.txt
    touch "$PEERS/installed"
}

if ! fresh "$BENCH/installed" Cargo.toml Cargo.lock pyproject.toml requirements-dev.txt crates python; then
    step "Build shoal's release profile into target/bench-venv" install_release
fi
if [[ " $* " != *" --quick "* ]] && ! fresh "$PEERS/installed" requirements-bench.txt; then
    step "Install the peers into target/peers-venv" install_peers
fi
exec "$BENCH/bin/python" benchmarks/run.py "$@"
