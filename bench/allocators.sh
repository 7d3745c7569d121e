#!/usr/bin/env bash
# The allocator that the binary is built with, next to the system's: one node of each, loaded alternately with GETs and PUTs; processor
# time per request, and what is resident empty, with all keys, and after values of other sizes have replaced theirs twice, as happens in
# a store that lives long.
#
# Usage: bench/allocators.sh    ROUNDS, SECONDS_EACH, KEYS and CONNECTIONS may be set in the environment, and SYSTEM to a binary built
#                               with the system's allocator, which is then not built (that takes minutes).
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-32}
keys=${KEYS:-$(usual 1000000 10000)}

build
beside=${CARGO_TARGET_DIR:-target}/system
[[ -n ${SYSTEM:-} ]] || cargo build --release --quiet --locked -p precede --no-default-features --target-dir "$beside"
start mimalloc "$precede" serve --port 0
start system "${SYSTEM:-$beside/release/precede}" serve --port 0

mebi() { awk -v b="$(resident "${servers[$1]}")" 'BEGIN { printf "%.1f\n", b / 1048576 }'; }
ask() {
    local name=$1
    shift
    load "$name" --keys "$keys" --connections "$connections" --seconds "$seconds" "$@"
}

echo "$rounds rounds of $seconds s each, $connections connections, $keys keys, values of 32 bytes where nothing else is said"
machine
for name in mimalloc system; do
    mebi "$name" >"$work/$name.empty"
    ask "$name" --mix get >/dev/null
    mebi "$name" >"$work/$name.full"
done
for _ in $(seq "$rounds"); do
    for mix in get put; do
        for name in mimalloc system; do
            before=$(ticks "${servers[$name]}")
            report=$(ask "$name" --mix "$mix" --loaded)
            field requests_per_second <<<"$report" >>"$work/$name.$mix.rate"
            micros $(($(ticks "${servers[$name]}") - before)) "$(field requests <<<"$report")" >>"$work/$name.$mix.cpu"
        done
    done
done
# Without --loaded all keys are written before anything is read.
for name in mimalloc system; do
    for bytes in 100 32; do ask "$name" --mix get --value-bytes "$bytes" >/dev/null; done
    mebi "$name" >"$work/$name.after"
done
table allocators "allocator, GET/s, GET processor µs, PUT/s, PUT processor µs, empty MiB, full MiB, replaced twice MiB"
for name in mimalloc system; do
    row "$name" "$(noted "$name.get.rate")" "$(noted "$name.get.cpu")" "$(noted "$name.put.rate")" "$(noted "$name.put.cpu")" \
        "$(noted "$name.empty")" "$(noted "$name.full")" "$(noted "$name.after")"
done
