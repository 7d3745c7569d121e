#!/usr/bin/env bash
# What a dead replica costs those that live: as long as it is silent nothing becomes stable, so windows keep what it lacks, and contexts
# what it may lack. One of three replicas is killed and later started again, empty, while the two others are asked at a steady rate, half
# reads and half writes. Second by second: what a living replica has in memory, how long contexts are, latencies, and whether the third
# one is ready.
#
# Usage: bench/dead_replica.sh    RATE, KEYS, SECONDS_BEFORE, SECONDS_DEAD and SECONDS_AFTER may be set in the environment.
source "$(dirname "$0")/lib.sh"

rate=${RATE:-4000} keys=${KEYS:-10000}
before=${SECONDS_BEFORE:-$(usual 10 1)} dead=${SECONDS_DEAD:-$(usual 60 2)} after=${SECONDS_AFTER:-$(usual 30 2)}

build
cluster replica 3 3
addresses[living]=${addresses[replica1]},${addresses[replica2]}
load living --mix get --keys "$keys" --seconds 1 >/dev/null
echo "3 replicas, $rate requests/s wanted at two of them, half of them writes, 32 connections, $keys keys, values of 32 bytes"
machine

seconds=0
# second PHASE: one second of load.
second() {
    local report memory ready=no
    report=$(load living --mix mixed:50 --keys "$keys" --rate "$rate" --seconds 1 --loaded)
    memory=$(awk -v n="$(resident "${servers[replica1]}")" 'BEGIN { printf "%.1f", n / 1048576 }')
    seconds=$((seconds + 1))
    is_ready "${addresses[replica3]}" && ready=yes
    field token_bytes_p99 <<<"$report" >>"$work/$1.token"
    field p99 <<<"$report" >>"$work/$1.p99"
    echo "$memory" >>"$work/$1.memory"
    row "$seconds" "$1" "$ready" "$(field requests_per_second <<<"$report")" "$memory" "$(field token_bytes_p99 <<<"$report")" \
        "$(field p50 <<<"$report")" "$(field p99 <<<"$report")"
}

table dead_replica "second, phase, third ready, requests/s, resident MiB, context bytes p99, reads p50 ms, reads p99 ms"
for _ in $(seq "$before"); do second before; done
{ kill -KILL "${servers[replica3]}" && wait "${servers[replica3]}"; } 2>/dev/null || true
for _ in $(seq "$dead"); do second dead; done
member replica3 "${addresses[replica3]}" "${addresses[replica]}" 3
for _ in $(seq "$after"); do second after; done
greatest() { sort -g "$work/$1" | tail -n 1; }
last() { tail -n 1 "$work/$1"; }
echo "memory: $(last before.memory) MiB before, $(greatest dead.memory) MiB at most while it is dead, $(last after.memory) MiB in the end"
awk -v a="$(last before.memory)" -v b="$(last dead.memory)" -v n=$((rate * dead / 2)) \
    'BEGIN { printf "a write that the dead replica lacks takes %.0f bytes\n", (b - a) * 1048576 / n }'
echo "contexts at p99: $(noted before.token) bytes before, $(greatest dead.token) at most while it is dead, $(last after.token) in the end"
echo "p99 of reads, dead/before: $(ratio "$(noted dead.p99)" "$(noted before.p99)")"
