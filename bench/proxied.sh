#!/usr/bin/env bash
# P4. What it costs to ask a node that does not hold the key: a cluster of one member and one node outside the view, which passes
# every request on. Processor time is that of both nodes; latencies are those of one connection.
#
# Usage: bench/proxied.sh    ROUNDS and SECONDS_EACH may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)}

build
cluster member 1 1
member outside "127.0.0.1:$(free_ports 1)" "${addresses[member]}" 1

# round NAME MIX CONNECTIONS
round() {
    local before report
    before=$(ticks "${servers[@]}")
    report=$(load "$1" --mix "$2" --seconds "$seconds" --connections "$3" --loaded)
    micros $(($(ticks "${servers[@]}") - before)) "$(field requests <<<"$report")" >>"$work/$1.$2.$3.cpu"
    field p50 <<<"$report" >>"$work/$1.$2.$3.p50"
}

load member --mix get --seconds 1 >/dev/null
load outside --mix get --seconds 1 --loaded >/dev/null
echo "$rounds rounds of $seconds s each, at 1 and at 32 connections, 10000 keys, values of 32 bytes"
machine
for _ in $(seq "$rounds"); do
    for mix in get put; do
        for connections in 1 32; do
            for name in member outside; do round "$name" "$mix" "$connections"; done
        done
    done
done
for mix in get put; do
    for name in member outside; do
        printf '%-4s %-7s %6.1f µs of processor time per request at 32 connections, p50 %.3f ms at one\n' "$mix" "$name" \
            "$(noted "$name.$mix.32.cpu")" "$(noted "$name.$mix.1.p50")"
    done
done
for mix in get put; do
    figure "${mix^^}, processor time passed on to local" "$(ratio "$(noted "outside.$mix.32.cpu")" "$(noted "member.$mix.32.cpu")")" × most 2.2
    added=$(awk -v a="$(noted "outside.$mix.1.p50")" -v b="$(noted "member.$mix.1.p50")" 'BEGIN { printf "%.3f", a - b }')
    figure "${mix^^}, latency added at the median where passed on" "$added" ms most 0.3
done
