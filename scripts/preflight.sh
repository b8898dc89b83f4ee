#!/usr/bin/env bash
# Looks for what the project takes for granted; prints the path of the Python to use, or one sentence about what is missing.
source "$(dirname "$0")/lib.sh"

newest() { printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n1; }

[ "$(uname -s)" = Linux ] || die "this is $(uname -s); shoal runs on Linux only"
kernel=$(uname -r)
[ "$(newest "${kernel%%-*}" 5.10)" = "${kernel%%-*}" ] || die "Linux $kernel is too old; shoal needs 5.10 or later"

cc=${CC:-cc}
command -v "${cc%% *}" >/dev/null ||
    die "no C compiler: '$cc' was not found; install one (on Debian: apt-get install build-essential)"

command -v cargo >/dev/null || die "no cargo: install Rust 1.88 or later, or put cargo on PATH"
rust=$(cargo --version | cut -d' ' -f2) || die "cargo is on PATH but does not run"
[ "$(newest "$rust" 1.88)" = "$rust" ] || die "cargo $rust is too old; shoal needs Rust 1.88 or later (rustup update)"

# A Python shim may be on PATH and yet run nothing: each candidate is asked, and answers with its real path.
ask='import sys
if sys.version_info < (3, 11) or sys.implementation.name != "cpython": sys.exit(1)
print(sys.executable)'
python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    python=$("$candidate" -c "$ask" 2>/dev/null) && break || python=
done
[ -n "$python" ] || die "no CPython 3.11 or later: ${PYTHON:-python3} is none; name one with 'make ... PYTHON=/path/to/python3'"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python has no venv module; install it (on Debian: apt-get install python3-venv)"

# A first build takes about 2.5 GB; a later one little.
need=3000
[ ! -e "$STAMPS/core" ] || need=300
free=$(df -Pm . | awk 'NR == 2 { print $4 }')
[ "$free" -ge "$need" ] || die "$free MB free on the disk of $ROOT; the build needs $need MB"

printf '%s\n' "$python"
