#!/usr/bin/env bash
# Puts Ray into an environment of its own and runs the oracle tests on it as well as on shoal.
source "$(dirname "$0")/lib.sh"

ORACLE=$ROOT/.oracle

install_ray() {
    [ -x "$ORACLE/bin/python" ] || "$VENV/bin/python" -m venv "$ORACLE"
    "$ORACLE/bin/python" -m pip install --quiet --requirement requirements-oracle.txt
    touch "$ORACLE/installed"
}

fresh "$ORACLE/installed" requirements-oracle.txt || step "Install Ray into .oracle" install_ray
printf '==> Run the oracle tests on shoal and on Ray\n'
ORACLE_PYTHON=$ORACLE/bin/python exec "$VENV/bin/python" -m pytest tests/oracle "$@"
