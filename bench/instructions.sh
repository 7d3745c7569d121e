#!/usr/bin/env bash
# Counts the instructions of the core's hot functions, one operation at a time, with callgrind, and compares them with those of
# bench/instructions.txt: a regression is seen without a clock. Fails where one takes more than LEEWAY_PERCENT more.
#
# Usage: bench/instructions.sh [--record]    --record writes bench/instructions.txt anew. What a compiler makes of the same code
# changes with its version, and so does the C library's part, so counts of other versions are shown and not judged.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

LEEWAY_PERCENT=5
kept=bench/instructions.txt
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed: apt-get install valgrind"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binary=$(cargo bench --quiet --locked -p precede-core --bench hot --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\/hot-[^"]*\)".*/\1/p')
read -r times names < <("$binary" --names)
{
    echo "# Instructions of one operation, as bench/instructions.sh counts them."
    echo "# $(rustc --version), $(getconf GNU_LIBC_VERSION), $(uname -m)"
    for name in $names; do
        valgrind --tool=callgrind --toggle-collect='hot::counted' \
            --callgrind-out-file="$work/out" "$binary" --count "$name" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
        awk -v name="$name" -v times="$times" '/^(summary|totals):/ { total = $2 } END { printf "%s %.0f\n", name, total / times }' "$work/out"
    done
} >"$work/new"

if [[ ${1:-} == --record ]]; then
    cp "$work/new" "$kept"
    cat "$kept"
    exit
fi
is_same=$(cmp -s <(sed -n 2p "$work/new") <(sed -n 2p "$kept") && echo 1 || echo 0)
((is_same)) || echo "not judged: counted now for $(sed -n '2s/# //p' "$work/new"), kept for $(sed -n '2s/# //p' "$kept")"
awk -v leeway=$LEEWAY_PERCENT -v judge="$is_same" '
    /^#/ { next }
    FNR == NR { kept[$1] = $2; next }
    {
        change = $1 in kept ? ($2 / kept[$1] - 1) * 100 : 0
        printf "%-18s %8d  was %8s  %+.1f %%\n", $1, $2, $1 in kept ? kept[$1] : "new", change
        if (judge && change > leeway) { print "error: " $1 " takes more: mend it, or say why and record it with --record"; failed = 1 }
    }
    END { exit failed }' "$kept" "$work/new"
