#!/usr/bin/env bash
# P9. What a view change from 2 to 3 shards costs under load: how long it takes, how many keys it moves a second, and what
# clients see before, during and after it, second by second. Latencies are those of few connections: at full load there is nothing to
# spare.
#
# Usage: bench/view_change.sh    KEYS, VALUE_BYTES, CONNECTIONS and SECONDS_AROUND may be set in the environment.
source "$(dirname "$0")/lib.sh"

keys=${KEYS:-$(usual 100000 5000)} value_bytes=${VALUE_BYTES:-1024} connections=${CONNECTIONS:-4} around=${SECONDS_AROUND:-$(usual 5 1)}

build
port=$(free_ports 6)
launch cluster "$precede" dev --nodes 4 --repl-factor 2 --spares 2 --port-base "$port"
addresses[cluster]=127.0.0.1:$port
until_true cluster grep -q "nodes are ready" "$work/cluster.out"

ask() { load cluster --keys "$keys" --value-bytes "$value_bytes" --connections "$connections" --mix mixed:80 "$@"; }

# latency reads|writes QUANTILE: of the report in standard input.
latency() { grep -o "\"$1\":{[^}]*}" | field "$2"; }

# second PHASE: one second of load.
seconds=0
second() {
    local report
    report=$(ask --seconds 1 --loaded)
    seconds=$((seconds + 1))
    latency reads p99 <<<"$report" >>"$work/$1.reads"
    latency writes p99 <<<"$report" >>"$work/$1.writes"
    row "$seconds" "$1" "$(field requests_per_second <<<"$report")" "$(latency reads p50 <<<"$report")" "$(latency reads p99 <<<"$report")" \
        "$(latency writes p50 <<<"$report")" "$(latency writes p99 <<<"$report")"
}

echo "$keys keys of $value_bytes bytes, 2 shards of 2 replicas and 2 spares, $connections connections, 80 % reads, one node asked"
machine
ask --seconds 1 >/dev/null
table view_change "second, phase, requests/s, reads p50 ms, reads p99 ms, writes p50 ms, writes p99 ms"
for _ in $(seq "$around"); do second before; done
start=$(date +%s.%N)
change() {
    local new="127.0.0.1:$((port + 4)),127.0.0.1:$((port + 5))"
    "$precede" view change --node "127.0.0.1:$port" --add "$new" >"$work/view" 2>&1 || touch "$work/failed"
    date +%s.%N >"$work/changed"
}
change &
# The first second is that from the moment of the change on: over a longer time its effect would be thinned out.
while :; do
    second during
    if [[ -e $work/changed ]]; then break; fi
done
[[ ! -e $work/failed ]] || { cat "$work/view" >&2; exit 1; }
end=$(<"$work/changed")
for _ in $(seq "$around"); do second after; done
moved=0
for at in 4 5; do moved=$((moved + $(fetch "127.0.0.1:$((port + at))" /kv-store/view-change | field received-keys))); done
greatest() { sort -g "$work/$1" | tail -n 1; }
awk -v s="$start" -v e="$end" -v k="$moved" 'BEGIN { printf "changed in %.2f s, %d keys copied, to 2 new replicas\n", e - s, k }'
figure "keys moved by a view change, to the least possible" "$(ratio $((moved * 3)) $((keys * 2)))" × most 1.05
figure "keys copied by a view change" "$(awk -v s="$start" -v e="$end" -v k="$moved" 'BEGIN { printf "%.0f", k / (e - s) }')" keys/s least 200000
for what in reads writes; do
    figure "p99 of $what in the worst second of a view change, to before" "$(ratio "$(greatest during.$what)" "$(noted before.$what)")" × most 2
done
