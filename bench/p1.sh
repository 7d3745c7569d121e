#!/usr/bin/env bash
# P1. What the store costs over the HTTP server it is built on: the requests per second of one node next to those of the bare
# server, which gives fixed answers of the same size. Both run all the time; they are loaded alternately.
#
# Usage: bench/p1.sh    ROUNDS, SECONDS_EACH and CONNECTIONS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-32}

# round NAME MIX: loads a server and notes the requests per second and the processor time per request.
round() {
    local before report
    before=$(ticks "${servers[$1]}")
    report=$(load "$1" --mix "$2" --seconds "$seconds" --connections "$connections")
    field requests_per_second <<<"$report" >>"$work/$1.$2.rate"
    micros $(($(ticks "${servers[$1]}") - before)) "$(field requests <<<"$report")" >>"$work/$1.$2.cpu"
    printf '  %-5s %-4s %8.0f requests/s   p50 %s ms, p99 %s ms\n' "$1" "$2" "$(field requests_per_second <<<"$report")" \
        "$(field p50 <<<"$report")" "$(field p99 <<<"$report")"
}

build
start store "$precede" serve --port 0
get_bytes=$(load store --mix get --seconds 1 | field body_bytes)
put_bytes=$(load store --mix put --seconds 1 | field body_bytes)
start bare "$precede" bare --body-bytes "$get_bytes" --put-body-bytes "$put_bytes"

echo "$rounds rounds of $seconds s each, $connections connections, contexts carried, 10000 keys, values of 32 bytes"
echo "bodies of responses: $get_bytes bytes to a GET, $put_bytes to a PUT"
machine
for _ in $(seq "$rounds"); do
    for mix in get put; do
        for name in bare store; do round "$name" "$mix"; done
    done
done
for mix in get put; do
    for name in bare store; do
        printf '%-4s %-5s median %8.0f requests/s, %6.1f µs of processor time per request\n' "$mix" "$name" \
            "$(noted "$name.$mix.rate")" "$(noted "$name.$mix.cpu")"
    done
done
for mix in get put; do
    least=$([[ $mix == get ]] && echo 0.90 || echo 0.85)
    figure "${mix^^}, requests/s of one node to the bare server's" "$(ratio "$(noted "store.$mix.rate")" "$(noted "bare.$mix.rate")")" × least "$least"
    figure "${mix^^}, processor time of one node to the bare server's" "$(ratio "$(noted "store.$mix.cpu")" "$(noted "bare.$mix.cpu")")" × most 1.2
done
