#!/usr/bin/env bash
# What security costs: instructions per request of one node (callgrind), open, asking for tokens, sealing contexts, and both. Each
# connection carries its context. Valgrind knows no instructions for SHA-256: on most processors a hash costs a tenth of what it says.
#
# Usage: bench/security.sh    SECONDS_EACH and CONNECTIONS may be set in the environment. Needs valgrind.
source "$(dirname "$0")/lib.sh"

seconds=${SECONDS_EACH:-10} connections=${CONNECTIONS:-4}

build
"$precede" token new --role write --name bench >"$work/token"
sed -n 's/^line: //p' "$work/token" >"$work/tokens"
"$precede" secret >"$work/secret"
PRECEDE_TOKEN=$(sed -n 's/^token: //p' "$work/token")
export PRECEDE_TOKEN
declare -A options=([open]= [tokens]="--tokens-file $work/tokens" [secret]="--peer-secret-file $work/secret")
options[both]="${options[tokens]} ${options[secret]}"

echo "$seconds s each, $connections connections, 100 keys, values of 32 bytes"
machine
for name in open tokens secret both; do
    for mix in get put; do
        # What a file may be called has no spaces here.
        # shellcheck disable=SC2086
        start "$name.$mix" valgrind --tool=callgrind --callgrind-out-file="$work/$name.$mix.out.%p" "$precede" serve --port 0 ${options[$name]}
        pid=${servers[$name.$mix]}
        load "$name.$mix" --mix get --keys 100 --seconds 1 --connections "$connections" >/dev/null
        callgrind_control --zero "$pid" >/dev/null 2>&1
        report=$(load "$name.$mix" --mix "$mix" --keys 100 --seconds "$seconds" --connections "$connections" --loaded)
        callgrind_control --dump "$pid" >/dev/null 2>&1
        instructions=$(sed -n 's/^totals: //p' "$work/$name.$mix.out.$pid.1" | head -n 1)
        kill "$pid" && wait "$pid" 2>/dev/null || true
        unset "servers[$name.$mix]"
        echo "$name $mix $((instructions / $(field requests <<<"$report"))) instructions, contexts of $(field token_bytes_p99 <<<"$report") bytes at p99"
    done
done
