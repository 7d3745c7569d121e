#!/usr/bin/env bash
# P12. How fast an empty replica recovers: one of two is killed by its pid and started again with the same address. The time is that from
# the start of the process until /readyz says that it holds what its shard holds; it is asked every few milliseconds. How long the sync
# itself took is what its log says.
#
# Usage: bench/recovery.sh    ROUNDS and KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} keys=${KEYS:-$(usual 1000000 20000)}

build
cluster replica 2 2
load replica1 --mix get --keys "$keys" --seconds 1 >/dev/null
echo "$keys keys of 16 bytes with values of 32 bytes on 2 replicas, no load meanwhile"
machine

# logged MESSAGE: when the restarted replica first logged it, in nanoseconds.
logged() { date -d "$(grep -m 1 "\"message\":\"$1\"" "$work/replica2.err" | grep -o '"timestamp":"[^"]*"' | cut -d'"' -f4)" +%s%N; }

for _ in $(seq "$rounds"); do
    { kill -KILL "${servers[replica2]}" && wait "${servers[replica2]}"; } 2>/dev/null || true
    begin=$(date +%s%N)
    RUST_LOG=info launch replica2 "$precede" serve --address "${addresses[replica2]}" --view "${addresses[replica]}" --repl-factor 2
    until is_ready "${addresses[replica2]}"; do
        kill -0 "${servers[replica2]}" || { cat "$work/replica2.err" >&2; exit 1; }
        sleep 0.005
    done
    end=$(date +%s%N)
    held=$(fetch "${addresses[replica2]}" /kv-store/key-count | field key-count)
    [[ $held == "$keys" ]] || { echo "error: it is ready with $held keys" >&2; exit 1; }
    awk -v a="$begin" -v b="$end" -v s="$(logged 'sync started')" -v d="$(logged 'sync done')" -v n="$keys" -v rates="$work/rate" 'BEGIN {
        printf "%.0f\n", n / (b - a) * 1e9 >>rates
        printf "  ready %.3f s after its start, of which the sync took %.3f s: %.0f keys/s, in the sync %.0f keys/s\n",
            (b - a) / 1e9, (d - s) / 1e9, n / (b - a) * 1e9, n / (d - s) * 1e9 }'
done
figure "recovery of an empty replica" "$(noted rate)" keys/s least 500000
