#!/usr/bin/env bash
# Whether `precede bench` measures what others measure: GET of existing keys of one node, without contexts, by it and by wrk (Debian's
# package), alternately. wrk has its requests ready and reads of responses no more than it must; `precede bench` makes each request anew
# and looks at the context of each response. They share the processors with the node, so the processor time per request is shown of both
# sides: the node's should be the same, and the load's is what it takes from the node.
#
# Usage: bench/wrk.sh    ROUNDS, SECONDS_EACH and CONNECTIONS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-32} keys=10000
need wrk wrk

# round NAME COMMAND...: loads the node and notes what the report says, and the processor time per request of the node and of the load.
round() {
    local name=$1 before what
    shift
    before=$(ticks "${servers[store]}")
    TIMEFORMAT='%3U %3S'
    { time "$@" >"$work/report"; } 2>"$work/time"
    micros $(($(ticks "${servers[store]}") - before)) "$(field requests <"$work/report")" >>"$work/$name.node"
    tail -n 1 "$work/time" | awk -v n="$(field requests <"$work/report")" '{ printf "%.2f\n", ($1 + $2) / n * 1e6 }' >>"$work/$name.load"
    for what in requests_per_second p50 p99; do field $what <"$work/report" >>"$work/$name.$what"; done
    printf '  %-7s %8.0f requests/s   p50 %s ms, p99 %s ms, processor time per request: node %s µs, load %s µs\n' "$name" \
        $(for what in requests_per_second p50 p99 node load; do tail -n 1 "$work/$name.$what"; done)
}

build
start store "$precede" serve --port 0
load store --mix get --seconds 1 --keys "$keys" >/dev/null
echo "$rounds rounds of $seconds s each, $connections connections, $keys keys, values of 32 bytes, no contexts, 2 threads of wrk"
wrk --version | head -n 1 || true
machine
for _ in $(seq "$rounds"); do
    round wrk wrk_load get "${addresses[store]},${addresses[store]}" "$connections" "$seconds"
    round precede load store --mix get --seconds "$seconds" --connections "$connections" --keys "$keys" --contexts off --loaded
done
for what in requests_per_second p50 p99 node load; do
    name=${what/#node/processor time of the node}
    echo "${name/#load/processor time of the load}, precede bench/wrk: $(ratio "$(noted "precede.$what")" "$(noted "wrk.$what")")"
done
