#!/usr/bin/env bash
# P5, P7. What contexts cost: the requests per second of one node with each connection carrying its context, and without; and how
# long the contexts are.
#
# Usage: bench/contexts.sh    ROUNDS, SECONDS_EACH and CONNECTIONS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-32}

build
start store "$precede" serve --port 0
load store --mix get --seconds 1 >/dev/null
echo "$rounds rounds of $seconds s each, $connections connections, 10000 keys, values of 32 bytes"
machine
for _ in $(seq "$rounds"); do
    for mix in get put mixed:80; do
        for contexts in on off; do
            report=$(load store --mix "$mix" --seconds "$seconds" --connections "$connections" --contexts "$contexts" --loaded)
            field requests_per_second <<<"$report" >>"$work/$mix.$contexts"
            [[ $contexts == off ]] || field token_bytes_p99 <<<"$report" >>"$work/$mix.token"
        done
    done
done
for mix in get put mixed:80; do
    echo "$mix: $(noted "$mix.on") requests/s with contexts, $(noted "$mix.off") without"
done
for mix in get put mixed:80; do
    figure "$mix, requests/s with contexts to without" "$(ratio "$(noted "$mix.on")" "$(noted "$mix.off")")" × least 0.95
    figure "$mix, context of one node at p99" "$(noted "$mix.token")" bytes most 96
done
