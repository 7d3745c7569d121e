#!/usr/bin/env bash
# P11. What one idle node costs: until it serves, in memory, in processor time, and on disk.
#
# Usage: bench/idle.sh    SECONDS_IDLE may be set in the environment.
source "$(dirname "$0")/lib.sh"

seconds=${SECONDS_IDLE:-20} port=${PORT:-9600}

build
machine
for _ in 1 2 3 4 5; do
    begin=$(date +%s%N)
    "$precede" serve --port "$port" >/dev/null 2>&1 &
    servers[first]=$!
    # bash's own sockets, since a process that is started for each try takes longer than the node.
    until { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; do :; done
    printf 'PUT /kv-store/keys/k HTTP/1.1\r\nHost: n\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"value":1}' >&3
    read -r status <&3
    end=$(date +%s%N)
    exec 3>&-
    [[ $status == *201* ]] || { echo "error: $status" >&2; exit 1; }
    awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.1f\n", (b - a) / 1e6 }' >>"$work/started"
    kill "${servers[first]}" && wait "${servers[first]}" || true
done
start idle "$precede" serve --port 0
before=$(ticks "${servers[idle]}")
sleep "$seconds"
echo "a write is answered $(median <"$work/started") ms after the start of the process"
echo "resident: $(($(resident "${servers[idle]}") >> 10)) KiB"
awk -v t=$(($(ticks "${servers[idle]}") - before)) -v s="$seconds" -v hz="$(getconf CLK_TCK)" \
    'BEGIN { printf "processor: %.2f %% of one over %d s\n", t / hz / s * 100, s }'
echo "the binary: $(($(stat -c %s "$precede") >> 10)) KiB"
