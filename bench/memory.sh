#!/usr/bin/env bash
# P6. What a key costs in memory: keys of 16 bytes with values of 32 bytes, in one node and in redis-server (Debian's package, no
# persistence), each started empty.
#
# Usage: bench/memory.sh    KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

keys=${KEYS:-$(usual 1000000 10000)}

build
start store "$precede" serve --port 0
empty=$(resident "${servers[store]}")
load store --mix get --keys "$keys" --seconds 1 >/dev/null
full=$(resident "${servers[store]}")
echo "$keys keys of 16 bytes, values of 32 bytes (34 as JSON)"
machine
each() { awk -v a="$1" -v b="$2" -v n="$keys" 'BEGIN { printf "%.1f", (b - a) / n }'; }
echo "precede: $((empty >> 20)) MiB empty, $((full >> 20)) MiB full, $(each "$empty" "$full") bytes per key"
figure "memory of a key beyond nothing stored" "$(each "$empty" "$full")" bytes most 100
need redis-server redis-server
start_redis
redis_empty=$(resident "${servers[redis]}")
load_redis "$keys"
redis_full=$(resident "${servers[redis]}")
echo "redis-server: $((redis_empty >> 20)) MiB empty, $((redis_full >> 20)) MiB full, $(each "$redis_empty" "$redis_full") bytes per key"
figure "what is resident, to redis-server's" "$(ratio "$full" "$redis_full")" × most 0.75
