#!/usr/bin/env bash
# Installs the servers that tests of stores run against, the tools that count instructions and system calls, and the library
# that sets clocks, where they are missing and this is root on Debian. No service is started: tests start their own, in
# folders of their own. Without them, and without root, those tests are skipped.
source "$(dirname "$0")/lib.sh"

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
[ -n "$(find /usr/lib/postgresql/*/bin -name initdb -print -quit 2>/dev/null)" ] || command -v initdb >/dev/null ||
    missing+=(postgresql)
for tool in strace valgrind; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
[ -n "$(find /usr/lib -path '*/faketime/libfaketimeMT.so.1' -print -quit 2>/dev/null)" ] || missing+=(libfaketime)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    printf '    %s: not found, and only root on Debian has it installed from here; tests that need it are skipped\n' \
        "${missing[*]}"
    exit 0
fi

# Packages start what they bring, unless this says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null; }
install 2>/dev/null || { apt-get update -qq && install; } || die "apt-get can't install ${missing[*]}"
