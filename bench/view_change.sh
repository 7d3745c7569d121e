#!/usr/bin/env bash
# P9. What a view change from 2 to 3 shards costs under load: how long it takes, how many keys it moves a second, and what
# clients see before, during and after it. Latencies are those of few connections: at full load there is nothing to spare.
#
# Usage: bench/view_change.sh    KEYS, VALUE_BYTES, CONNECTIONS and PORT may be set in the environment.
source "$(dirname "$0")/lib.sh"

keys=${KEYS:-100000} value_bytes=${VALUE_BYTES:-1024} connections=${CONNECTIONS:-4} port=${PORT:-9300}

build
"$precede" dev --nodes 4 --repl-factor 2 --spares 2 --port-base "$port" >"$work/dev" 2>&1 &
servers[cluster]=$!
addresses[cluster]=127.0.0.1:$port
for _ in $(seq 200); do
    grep -q "nodes are ready" "$work/dev" && break
    sleep 0.1
done
grep -q "nodes are ready" "$work/dev" || { cat "$work/dev" >&2; exit 1; }

ask() { load cluster --keys "$keys" --value-bytes "$value_bytes" --connections "$connections" --mix mixed:80 "$@"; }
show() {
    printf '  %-7s %8.0f requests/s, errors %s, %s\n' "$1" "$(field requests_per_second <"$2")" "$(field errors <"$2")" \
        "$(grep -o '"\(reads\|writes\)":{"p50":[0-9.]*,"p99":[0-9.]*' "$2" | tr -d '"{' | sed 's/:p50:/ p50 /; s/,p99:/ p99 /' | paste -sd' ')"
}

echo "$keys keys of $value_bytes bytes, 2 shards of 2 replicas and 2 spares, $connections connections, 80 % reads, one node asked"
machine
ask --seconds 5 >"$work/before"
# Second by second, the first of them from the moment of the change on: over a longer time its effect would be thinned out.
during() {
    for slice in $(seq 600); do
        ask --seconds 1 --loaded >"$work/during$slice"
        [[ -e $work/changed ]] && break
    done
}
during &
during=$!
start=$(date +%s.%N)
"$precede" view change --node "127.0.0.1:$port" --add "127.0.0.1:$((port + 4)),127.0.0.1:$((port + 5))" >"$work/view"
end=$(date +%s.%N)
touch "$work/changed"
wait "$during"
ask --seconds 5 --loaded >"$work/after"
show before "$work/before"
for slice in $(ls -v "$work" | grep '^during'); do show "during" "$work/$slice"; done
show after "$work/after"
moved=0
for at in 4 5; do
    exec 3<>"/dev/tcp/127.0.0.1/$((port + at))"
    printf 'GET /kv-store/view-change HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n' >&3
    moved=$((moved + $(cat <&3 | field received-keys)))
    exec 3>&-
done
awk -v s="$start" -v e="$end" -v k="$moved" -v n="$keys" 'BEGIN {
    t = e - s
    printf "  changed in %.2f s: %d keys copied (%.4f of the keys to each of 2 new replicas; 1/3 is the least), %.0f keys/s\n", t, k, k / 2 / n, k / t }'
