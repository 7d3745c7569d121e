#!/usr/bin/env bash
# What the store costs over the HTTP server it is built on: the requests per second of one node next to those of the bare
# server, which gives fixed answers of the same size. Both run all the time; they are loaded alternately.
#
# Usage: bench/p1.sh    ROUNDS, SECONDS_EACH and CONNECTIONS may be set in the environment, and PRECEDE to a binary, which
# is then not built.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} connections=${CONNECTIONS:-32}
precede=${PRECEDE:-${CARGO_TARGET_DIR:-target}/release/precede}
work=$(mktemp -d)
pids=()

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

# start NAME ARGUMENTS...: starts a server; its address is in ${addresses[NAME]}, its pid in ${servers[NAME]}.
declare -A addresses servers
start() {
    local name=$1 address=
    shift
    "$precede" "$@" >"$work/$name.out" 2>"$work/$name.err" &
    servers[$name]=$!
    pids+=("$!")
    for _ in $(seq 100); do
        address=$(sed -n 's/^listening on //p' "$work/$name.out")
        [[ -n $address ]] && break
        sleep 0.1
    done
    if [[ -z $address ]]; then
        echo "error: the $name server does not start" >&2
        cat "$work/$name.err" >&2
        exit 1
    fi
    addresses[$name]=$address
}

# load NAME MIX SECONDS: loads a server and prints the report, one line of JSON.
load() {
    "$precede" bench --node "${addresses[$1]}" --mix "$2" --seconds "$3" --connections "$connections" --contexts on --json
}

# field NAME: a number of a report.
field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }

# ticks NAME: the processor time of a server, in ticks of the clock.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${servers[$1]}/stat"; }

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# round NAME MIX: loads a server and notes the requests per second and the processor time per request.
round() {
    local before report rate errors requests
    before=$(ticks "$1")
    report=$(load "$1" "$2" "$seconds")
    rate=$(field requests_per_second <<<"$report") errors=$(field errors <<<"$report") requests=$(field requests <<<"$report")
    if ((errors > 0)); then
        echo "error: $1 $2: $report" >&2
        exit 1
    fi
    echo "$rate" >>"$work/$1.$2.rate"
    awk -v a="$before" -v b="$(ticks "$1")" -v hz="$(getconf CLK_TCK)" -v n="$requests" \
        'BEGIN { print (b - a) / hz * 1e6 / n }' >>"$work/$1.$2.cpu"
    printf '  %-5s %-4s %8.0f requests/s   p50, p99 (ms): %s\n' "$1" "$2" "$rate" \
        "$(sed -n 's/.*"p50":\([0-9.]*\),"p99":\([0-9.]*\).*/\1, \2/p' <<<"$report")"
}

[[ -n ${PRECEDE:-} ]] || cargo build --release --quiet -p precede
start store serve --port 0
get_bytes=$(load store get 1 | field body_bytes)
put_bytes=$(load store put 1 | field body_bytes)
start bare bare --body-bytes "$get_bytes" --put-body-bytes "$put_bytes"

echo "$rounds rounds of $seconds s each, $connections connections, contexts carried, 10000 keys, values of 32 bytes"
echo "bodies of responses: $get_bytes bytes to a GET, $put_bytes to a PUT"
echo "$(nproc) processors:$(sed -n '0,/^model name/s/^model name[^:]*://p' /proc/cpuinfo), shared with the load; \
load average before: $(cut -d' ' -f1 /proc/loadavg)"
for _ in $(seq "$rounds"); do
    for mix in get put; do
        for name in bare store; do round "$name" "$mix"; done
    done
done
for mix in get put; do
    for name in bare store; do
        rate=$(median <"$work/$name.$mix.rate") cpu=$(median <"$work/$name.$mix.cpu")
        printf '%-4s %-5s median %8.0f requests/s, %6.1f µs of processor time per request\n' "$mix" "$name" "$rate" "$cpu"
    done
    paste <(median <"$work/store.$mix.rate") <(median <"$work/bare.$mix.rate") |
        awk -v mix="$mix" '{ printf "%-4s ratio store/bare %.3f\n", mix, $1 / $2 }'
done
