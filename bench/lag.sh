#!/usr/bin/env bash
# P8. Replication lag: how long after a write the other replica has it.
#
# At half load: with `?w=all` a write is answered when every replica has said that it has applied it. So no write lags by more than its
# latency with `?w=all`, and p99 of these latencies is a bound for p99 of the lag: one from above, with the requests' way, their queue
# and the way of the acknowledgement in it. The same with `?w=1`, which waits for nobody, shows how much of it that is. Reading at the other
# replica what was just written, with its context, would show less: after 10 ms a read is passed on to a replica that has what it needs.
# Half load is half of the writes a second that the two replicas take at most with the default write concern.
#
# After a partition: two replicas are cut off each other for at least 10 s, in network namespaces, while 100,000 writes are made on each
# side; the time is that from the heal until each replica itself shows what both sides have seen. That is a row of scripts/hosts, and
# needs root.
#
# Usage: bench/lag.sh    ROUNDS, SECONDS_EACH, CONNECTIONS and KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 10 1)} connections=${CONNECTIONS:-32} keys=${KEYS:-10000}

build
cluster replica 2 2
load replica --mix put --keys "$keys" --connections "$connections" --seconds 1 >/dev/null
most=$(load replica --mix put --keys "$keys" --connections "$connections" --seconds "$seconds" | field requests_per_second)
rate=$(awk -v r="$most" 'BEGIN { printf "%d", r / 2 }')
echo "$rounds rounds of $seconds s each, 2 replicas asked in turns, $connections connections, $keys keys, values of 32 bytes"
printf '%.0f writes/s at most, %s writes/s wanted\n' "$most" "$rate"
machine
for _ in $(seq "$rounds"); do
    for concern in 1 all; do
        report=$(load replica --mix put --keys "$keys" --connections "$connections" --seconds "$seconds" --rate "$rate" --write-concern "$concern")
        field p99 <<<"$report" >>"$work/$concern.p99"
        printf '  w=%-3s %8.0f writes/s   p50 %s ms, p99 %s ms, p99.9 %s ms, greatest %s ms\n' "$concern" \
            "$(field requests_per_second <<<"$report")" "$(field p50 <<<"$report")" "$(field p99 <<<"$report")" \
            "$(field p99_9 <<<"$report")" "$(field max <<<"$report")"
    done
done
echo "p99 of w=1, which does not wait: $(noted 1.p99) ms"
figure "replication lag at half load, p99 at most" "$(noted all.p99)" ms most 5

if [[ $(id -u) != 0 ]]; then
    echo "skipped: the partition needs root"
    exit 0
fi
PRECEDE_HOSTS=namespaces cargo test --release --locked --quiet --package precede --test hosts -- \
    --nocapture --test-threads 1 --ignored row_3_many_writes 2>&1 | tee "$work/cut" | grep -E '^(==|  |.*skipped)' || { cat "$work/cut" >&2; exit 1; }
equal=$(sed -n 's/^ *time to equality after heal: \([0-9.]*\) s$/\1/p' "$work/cut")
[[ -z $equal ]] || figure "time to equality after a partition" "$equal" s most 2
