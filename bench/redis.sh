#!/usr/bin/env bash
# P2. GET and SET next to redis-server (Debian's package, nothing on disk). Each is loaded over loopback by what its users would take:
# redis-benchmark, without pipelines, and `precede bench`, over HTTP with contexts carried. Both servers run all the time and are loaded
# alternately. redis-server executes on one thread; a node takes as many processors as there are, which its load takes too: so the
# processor time of a request is shown beside the rate.
#
# Usage: bench/redis.sh    ROUNDS, SECONDS_EACH, CONNECTIONS and KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-32} keys=${KEYS:-10000}
need redis-server redis-server
need redis-benchmark redis-tools

# redis_bench TEST REQUESTS: requests per second, and p50 and p99 in ms, as redis-benchmark says them.
redis_bench() {
    redis-benchmark -h 127.0.0.1 -p "$redis_port" -t "$1" -n "$2" -c "$connections" -d 32 -r "$keys" --csv |
        awk -F '","' 'NR == 2 { print $2, $5, $7 }'
}

# note NAME TEST RATE P50 P99 MICROS
note() {
    echo "$3" >>"$work/$1.$2.rate"
    echo "$6" >>"$work/$1.$2.cpu"
    printf '  %-7s %s %8.0f requests/s   p50 %s ms, p99 %s ms, %s µs of processor time per request\n' "$1" "$2" "${@:3}"
}

round_redis() {
    local before requests rate p50 p99
    requests=$(awk -v r="${guess[$1]}" -v s="$seconds" 'BEGIN { printf "%d", r * s }')
    before=$(ticks "${servers[redis]}")
    read -r rate p50 p99 < <(redis_bench "$1" "$requests")
    note redis "$1" "$rate" "$p50" "$p99" "$(micros $(($(ticks "${servers[redis]}") - before)) "$requests")"
}

round_precede() {
    local before report mix=${1/set/put}
    before=$(ticks "${servers[store]}")
    report=$(load store --mix "$mix" --seconds "$seconds" --connections "$connections" --keys "$keys" --loaded)
    note precede "$1" "$(field requests_per_second <<<"$report")" "$(field p50 <<<"$report")" "$(field p99 <<<"$report")" \
        "$(micros $(($(ticks "${servers[store]}") - before)) "$(field requests <<<"$report")")"
}

build
start store "$precede" serve --port 0
load store --mix get --seconds 1 --keys "$keys" >/dev/null
start_redis
load_redis "$keys"
# redis-benchmark is told a number of requests, and not a time.
declare -A guess
for test in get set; do read -r "guess[$test]" _ < <(redis_bench "$test" 50000); done

echo "$rounds rounds of about $seconds s each, $connections connections, no pipeline, $keys keys of 16 bytes, values of 32 bytes"
echo "$(redis-server --version | cut -d' ' -f1-3)"
machine
for _ in $(seq "$rounds"); do
    for test in get set; do
        round_redis "$test"
        round_precede "$test"
    done
done
for test in get set; do
    figure "${test^^}, requests/s of one node to redis-server's" \
        "$(ratio "$(noted "precede.$test.rate")" "$(noted "redis.$test.rate")")" × least 0.9
done
for test in get set; do
    echo "${test^^}: processor time per request, precede/redis-server: $(ratio "$(noted "precede.$test.cpu")" "$(noted "redis.$test.cpu")")"
done
