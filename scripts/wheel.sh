#!/usr/bin/env bash
# Builds the wheel with cargo's release profile into dist/.
source "$(dirname "$0")/lib.sh"

step "Build the wheel" "$VENV/bin/maturin" build --release --out dist
