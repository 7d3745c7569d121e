#!/usr/bin/env bash
# P11. What one idle node costs: until it serves, in memory, in processor time, and on disk.
#
# Usage: bench/idle.sh    SECONDS_IDLE may be set in the environment.
source "$(dirname "$0")/lib.sh"

seconds=${SECONDS_IDLE:-$(usual 20 2)}

build
machine
port=$(free_ports 1)
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
busy=$(awk -v t=$(($(ticks "${servers[idle]}") - before)) -v s="$seconds" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", t / hz / s * 100 }')
mebibytes() { awk -v n="$1" 'BEGIN { printf "%.1f", n / 1048576 }'; }
echo "at rest for $seconds s; a write is answered so many ms after the start of the process"
figure "start of an idle node until it has taken a write" "$(noted started)" ms most 10
figure "resident memory of an idle node" "$(mebibytes "$(resident "${servers[idle]}")")" MiB most 15
figure "processor time of an idle node" "$busy" "% of one" most 0.5
figure "the binary" "$(mebibytes "$(stat -c %s "$precede")")" MiB most 20
