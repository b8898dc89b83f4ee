#!/usr/bin/env bash
# Makes .venv with shoal in it, built with cargo's dev profile. A second run does only what changed.
source "$(dirname "$0")/lib.sh"

python=$("$ROOT/scripts/preflight.sh")

make_environment() {
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
    mkdir -p "$STAMPS"
}

install_tools() {
    "$VENV/bin/python" -m pip install --quiet --requirement requirements-dev.txt
    touch "$STAMPS/tools"
}

build_core() {
    local begun
    begun=$(mktemp "$STAMPS/begun.XXXXXX")
    "$VENV/bin/maturin" develop --profile dev
    mv "$begun" "$STAMPS/core"
}

if ! { [ -d "$STAMPS" ] && "$VENV/bin/python" -m pip --version; } >/dev/null 2>&1; then
    step "Make .venv with $python" make_environment
fi
if ! fresh "$STAMPS/tools" requirements-dev.txt; then
    step "Install the build and test tools into .venv" install_tools
fi
if ! fresh "$STAMPS/core" Cargo.toml Cargo.lock pyproject.toml crates; then
    step "Build shoal's core and install shoal into .venv" build_core
fi
printf 'shoal is in .venv: .venv/bin/python -c "import shoal"\n'
