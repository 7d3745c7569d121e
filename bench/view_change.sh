#!/usr/bin/env bash
# What a view change from 2 to 3 shards costs under load: how long it takes, how many keys it moves a second, and what
# clients see before, during and after it. Latencies are those of few connections: at full load there is nothing to spare.
#
# Usage: bench/view_change.sh    KEYS, VALUE_BYTES, CONNECTIONS and PORT may be set in the environment, and PRECEDE to a binary,
# which is then not built.
set -euo pipefail
cd "$(dirname "$0")/.."

keys=${KEYS:-100000} value_bytes=${VALUE_BYTES:-1024} connections=${CONNECTIONS:-4} port=${PORT:-9300}
precede=${PRECEDE:-${CARGO_TARGET_DIR:-target}/release/precede}
work=$(mktemp -d)
trap 'kill "$cluster" 2>/dev/null || true; wait "$cluster" 2>/dev/null || true; rm -rf "$work"' EXIT

[[ -n ${PRECEDE:-} ]] || cargo build --release --quiet -p precede
"$precede" dev --nodes 4 --repl-factor 2 --spares 2 --port-base "$port" >"$work/dev" 2>&1 &
cluster=$!
for _ in $(seq 200); do
    grep -q "nodes are ready" "$work/dev" && break
    sleep 0.1
done
grep -q "nodes are ready" "$work/dev" || { cat "$work/dev" >&2; exit 1; }

load() { "$precede" bench --node "127.0.0.1:$port" --keys "$keys" --value-bytes "$value_bytes" \
    --connections "$connections" --mix mixed:80 --json "$@"; }
field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }
show() {
    printf '  %-7s %8.0f requests/s, errors %s, %s\n' "$1" "$(field requests_per_second <"$2")" "$(field errors <"$2")" \
        "$(grep -o '"\(reads\|writes\)":{"p50":[0-9.]*,"p99":[0-9.]*' "$2" | tr -d '"{' | sed 's/:p50:/ p50 /; s/,p99:/ p99 /' | paste -sd' ')"
}

echo "$keys keys of $value_bytes bytes, 2 shards of 2 replicas and 2 spares, $connections connections, 80 % reads, one node asked"
echo "$(nproc) processors, shared with the load; load average before: $(cut -d' ' -f1 /proc/loadavg)"
load --seconds 5 >"$work/before"
# Second by second, the first of them from the moment of the change on: over a longer time its effect would be thinned out.
during() {
    for slice in $(seq 600); do
        load --seconds 1 --loaded >"$work/during$slice"
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
load --seconds 5 --loaded >"$work/after"
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
