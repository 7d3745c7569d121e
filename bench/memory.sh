#!/usr/bin/env bash
# P6. What a key costs in memory: keys of 16 bytes with values of several sizes, in one node and in redis-server (Debian's package, no
# persistence), each started empty for each size.
#
# Usage: bench/memory.sh    KEYS, and SIZES in bytes, may be set in the environment; so may PRECEDE, for a build with another allocator:
#                           cargo build --release -p precede --no-default-features --target-dir target/system
source "$(dirname "$0")/lib.sh"

keys=${KEYS:-$(usual 1000000 10000)}
read -ra sizes <<<"${SIZES:-8 32 100 1000}"
need redis-server redis-server

mebi() { awk -v b="$1" 'BEGIN { printf "%.1f", b / 1048576 }'; }
# each EMPTY FULL: bytes for each key.
each() { awk -v a="$1" -v b="$2" -v n="$keys" 'BEGIN { printf "%.1f", (b - a) / n }'; }
# end NAME: ends a server.
end() {
    { kill "${servers[$1]}" && wait "${servers[$1]}"; } 2>/dev/null || true
    unset "servers[$1]"
}

build
echo "$keys keys of 16 bytes; values are two bytes longer here than in redis-server: they are JSON"
machine
table "memory per key" "bytes of a value,precede empty MiB,precede full MiB,precede bytes per key,redis empty MiB,redis full MiB,redis bytes per key,ratio of what is resident"
for size in "${sizes[@]}"; do
    start store "$precede" serve --port 0
    empty=$(resident "${servers[store]}")
    load store --mix get --keys "$keys" --value-bytes "$size" --seconds 1 >/dev/null
    full=$(resident "${servers[store]}")
    end store
    start_redis
    redis_empty=$(resident "${servers[redis]}")
    load_redis "$keys" "$size"
    redis_full=$(resident "${servers[redis]}")
    end redis
    row "$size" "$(mebi "$empty")" "$(mebi "$full")" "$(each "$empty" "$full")" "$(mebi "$redis_empty")" "$(mebi "$redis_full")" \
        "$(each "$redis_empty" "$redis_full")" "$(ratio "$full" "$redis_full")"
    if ((size == 32)); then
        beyond=$(each "$empty" "$full")
        to_redis=$(ratio "$full" "$redis_full")
    fi
done
[[ -z ${beyond:-} ]] || figure "memory of a key beyond nothing stored" "$beyond" bytes most 100
[[ -z ${to_redis:-} ]] || figure "what is resident, to redis-server's" "$to_redis" × most 0.75
