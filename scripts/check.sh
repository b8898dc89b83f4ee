#!/usr/bin/env bash
# The whole gate: build, lint, Rust tests, loom models, Python tests. pytest's closing line comes last.
source "$(dirname "$0")/lib.sh"

scripts/build.sh
step "Look for the servers, tools and libraries that tests need" scripts/servers.sh
step "Lint" scripts/lint.sh
# Of the whole workspace, though the extension has no such test: macros then have the features that they were built with for
# it, and the crates that use them aren't compiled once more.
step "Test the Rust crates" cargo test --quiet --workspace
if grep -qs 'cfg(loom)' crates/shoal-ring/Cargo.toml; then
    # Other flags for the compiler, so another target folder: the two would rebuild each other's crates for ever.
    step "Check rings, bell, waiting and pins with loom" env RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
        cargo test --quiet --profile loom --package shoal-ring --package shoal-wait --package shoal-store --lib
fi
printf '==> Test the Python API, the acceptance programs among them\n'
# Tests wait for most of their time, so there is one process more than CPUs. Who is marked `alone` runs when no other does.
exec "$VENV/bin/python" -m pytest --numprocesses $(($(nproc) + 1)) --dist worksteal "$@"
