#!/usr/bin/env bash
# Builds the wheel with cargo's release profile into dist/, and looks that no crash point is left in it.
source "$(dirname "$0")/lib.sh"

no_crash_points() {
    "$VENV/bin/python" - dist/*.whl <<'PY'
import sys
import zipfile

with zipfile.ZipFile(sys.argv[-1]) as wheel:
    for name in wheel.namelist():
        if name.endswith(".so") and b"SHOAL_CRASH_POINT" in wheel.read(name):
            sys.exit(f"{name} in {sys.argv[-1]} has crash points: they belong to the dev profile only (CRASH-1)")
PY
}

rm -rf dist
step "Build the wheel" "$VENV/bin/maturin" build --release --out dist
step "Look for crash points in it" no_crash_points
