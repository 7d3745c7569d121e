#!/usr/bin/env bash
# Runs the scripts of this directory one after the other, or those named, and keeps what each prints, below a head that says on what and
# of which commit, in bench/results/NAME.txt. bench/plot.py draws the pictures of docs/performance from those. Takes about half an hour on a
# machine that should do nothing else.
#
# Usage: bench/all.sh [NAME...]    With BRIEF=1 it is only seen that each works, in a few minutes; what they print goes to bench-brief in
# the target directory then. RESULTS may be set to another directory.
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
((${#names[@]})) || names=(p1 redis etcd wrk proxied contexts memory idle lag view_change recovery dead_replica growth)
for name in "${names[@]}"; do
    [[ $name != all && $name != lib && -x bench/$name.sh ]] || { echo "error: there is no bench/$name.sh" >&2; exit 2; }
done
results=bench/results
[[ -z ${BRIEF:-} ]] || results=${CARGO_TARGET_DIR:-target}/bench-brief
results=${RESULTS:-$results}
mkdir -p "$results"

# head_of NAME: on what, of which commit, and with which settings.
head_of() {
    local changes setting settings=
    changes=$(git status --porcelain --untracked-files=no -- . ':!bench/results' ':!docs/performance')
    echo "script: bench/$1.sh"
    echo "commit: $(git rev-parse --short=12 HEAD)${changes:+, with changes that are not committed}"
    echo "kernel: $(uname -srm)"
    echo "processors: $(nproc) ×$(sed -n '0,/^model name/s/^model name[^:]*://p' /proc/cpuinfo), $(awk '/^MemTotal:/ { printf "%d", $2 / 1048576 }' /proc/meminfo) GiB"
    for setting in BRIEF PRECEDE ROUNDS SECONDS_EACH SECONDS_IDLE SECONDS_AROUND SECONDS_BEFORE SECONDS_DEAD SECONDS_AFTER CONNECTIONS \
        CONNECTIONS_MAX KEYS KEYS_MAX VALUE_BYTES RATE; do
        [[ -z ${!setting:-} ]] || settings+=" $setting=${!setting}"
    done
    echo "settings:${settings:- the usual}"
    echo
}

failed=()
for name in "${names[@]}"; do
    echo "== $name"
    new=$results/$name.txt.new
    if { head_of "$name" && "bench/$name.sh"; } | tee "$new"; then
        mv "$new" "$results/$name.txt"
    else
        # What was there stays.
        rm -f "$new"
        failed+=("$name")
    fi
done
((${#failed[@]} == 0)) || { echo "failed: ${failed[*]}" >&2; exit 1; }
