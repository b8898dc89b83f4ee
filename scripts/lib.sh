# Shared by the scripts beside this file: where things are, steps that say what they do, one clear sentence on failure.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
STAMPS=$VENV/.stamps
cd "$ROOT"

command -v cargo >/dev/null || PATH=$PATH:${HOME:-/root}/.cargo/bin
export PYO3_PYTHON=$VENV/bin/python PYO3_BUILD_EXTENSION_MODULE=1
export VIRTUAL_ENV=$VENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

die() {
    printf 'shoal: %s\n' "$*" >&2
    exit 1
}

# step "what it does" command...: says what is done, and how long it took.
# The command stands alone, in no `||` and no `if`: there a function would go on after a command that fails. A step is to
# stand so, too.
step() {
    STEP=$1 BEGUN=$SECONDS
    shift
    printf '==> %s\n' "$STEP"
    trap 'step_failed $?' EXIT
    "$@"
    trap - EXIT
    printf '    %s: %d s\n' "$STEP" $((SECONDS - BEGUN))
}

step_failed() { printf 'shoal: %s: failed after %d s (exit code %d)\n' "$STEP" $((SECONDS - BEGUN)) "$1" >&2; }

# has_files FOLDER PATTERN: whether FOLDER holds a file of that name.
has_files() { [ -n "$(find "$1" -name "$2" -print -quit 2>/dev/null)" ]; }

# fresh STAMP SOURCE...: whether STAMP exists and nothing under the sources (folders' own times tell of deletions) is newer.
fresh() {
    local stamp=$1
    shift
    [ -e "$stamp" ] && [ -z "$(find "$@" -newer "$stamp" -print -quit)" ]
}
