#!/usr/bin/env bash
# P6. What a key costs in memory: keys of 16 bytes with values of 32 bytes, in one node and in redis-server (Debian's package, no
# persistence), each started empty.
#
# Usage: bench/memory.sh    KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

keys=${KEYS:-1000000} redis_port=${REDIS_PORT:-9500}

build
start store "$precede" serve --port 0
empty=$(resident "${servers[store]}")
load store --mix get --keys "$keys" --seconds 1 >/dev/null
full=$(resident "${servers[store]}")
echo "$keys keys of 16 bytes, values of 32 bytes (34 as JSON)"
machine
each() { awk -v a="$1" -v b="$2" -v n="$keys" 'BEGIN { printf "%.1f", (b - a) / n }'; }
echo "precede: $((empty >> 20)) MiB empty, $((full >> 20)) MiB full, $(each "$empty" "$full") bytes per key"
command -v redis-server >/dev/null || { echo "redis-server: not installed"; exit 0; }
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no >"$work/redis.out" 2>&1 &
servers[redis]=$!
for _ in $(seq 100); do redis-cli -p "$redis_port" ping >/dev/null 2>&1 && break; sleep 0.1; done
redis_empty=$(resident "${servers[redis]}")
awk -v n="$keys" 'BEGIN { for (at = 0; at < n; at++) printf "SET key-%012d vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\n", at }' |
    redis-cli -p "$redis_port" --pipe >/dev/null
redis_full=$(resident "${servers[redis]}")
echo "redis-server: $((redis_empty >> 20)) MiB empty, $((redis_full >> 20)) MiB full, $(each "$redis_empty" "$redis_full") bytes per key"
echo "ratio of what is resident, precede/redis-server $(ratio "$full" "$redis_full")"
