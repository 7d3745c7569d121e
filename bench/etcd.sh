#!/usr/bin/env bash
# P3. PUT on three replicas next to a three-node etcd (Debian's etcd-server). A write of ours is answered when two replicas have it, one
# of etcd's when a majority, which is two, has it in its log. Both take JSON over HTTP on loopback: etcd by its gateway, `/v3/kv/put`, with
# keys and values in base64. One load generator, wrk, asks both, all three nodes at once, alternately.
#
# etcd is set up as its documentation says for a local network, which is its defaults: heartbeats of 100 ms, elections after 1000 ms, a
# snapshot after 100,000 writes; the quota is raised to 8 GiB so that it does not stop. Its log is on tmpfs, so that its fsync costs nothing:
# a disk, which it is meant for, would make it slower. Ours writes no disk.
#
# Usage: bench/etcd.sh    ROUNDS, SECONDS_EACH, CONNECTIONS and KEYS may be set in the environment.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)} connections=${CONNECTIONS:-63} keys=${KEYS:-10000}
need etcd etcd-server
need wrk wrk

logs=$(mktemp -d -p /dev/shm)
trap 'stop; rm -rf "$logs"' EXIT

start_etcd() {
    local first at peers=
    first=$(free_ports 6)
    for at in 1 2 3; do peers+=${peers:+,}etcd$at=http://127.0.0.1:$((first + 2 + at)); done
    for at in 1 2 3; do
        addresses[etcd$at]=127.0.0.1:$((first + at - 1))
        launch "etcd$at" etcd --name "etcd$at" --data-dir "$logs/$at" --quota-backend-bytes $((8 << 30)) \
            --listen-client-urls "http://${addresses[etcd$at]}" --advertise-client-urls "http://${addresses[etcd$at]}" \
            --listen-peer-urls "http://127.0.0.1:$((first + 2 + at))" --initial-advertise-peer-urls "http://127.0.0.1:$((first + 2 + at))" \
            --initial-cluster "$peers" --initial-cluster-state new --initial-cluster-token bench --logger zap --log-level error
    done
    for at in 1 2 3; do until_true "etcd$at" etcd_is_healthy "${addresses[etcd$at]}"; done
    addresses[etcd]=${addresses[etcd1]},${addresses[etcd2]},${addresses[etcd3]}
}

etcd_is_healthy() { [[ $(fetch "$1" /health) == *'"health":"true"'* ]]; }

# round NAME WHAT QUERY: loads three servers and notes rate, p99 and processor time.
round() {
    local before report pids=("${servers[${1}1]}" "${servers[${1}2]}" "${servers[${1}3]}")
    before=$(ticks "${pids[@]}")
    report=$(wrk_load "$2" "${addresses[$1]}" "$connections" "$seconds" "$3")
    field requests_per_second <<<"$report" >>"$work/$1.rate"
    field p99 <<<"$report" >>"$work/$1.p99"
    micros $(($(ticks "${pids[@]}") - before)) "$(field requests <<<"$report")" >>"$work/$1.cpu"
    printf '  %-7s %8.0f writes/s   p50 %s ms, p99 %s ms, %s µs of processor time per write on all three nodes\n' "$1" \
        "$(field requests_per_second <<<"$report")" "$(field p50 <<<"$report")" "$(field p99 <<<"$report")" "$(tail -n 1 "$work/$1.cpu")"
}

build
cluster precede 3 3
start_etcd
echo "$rounds rounds of $seconds s each, $connections connections, a third of them to each node, $keys keys of 16 bytes, values of 32 bytes"
etcd --version | head -n 1
machine
for _ in $(seq "$rounds"); do
    round etcd etcd ""
    round precede put "?w=2"
done
# The status of a write that has not reached its write concern is no error to wrk.
report=$(load precede --mix put --write-concern 2 --connections 64 --keys "$keys" --seconds "$seconds")
printf '  by precede bench, 64 connections: %.0f writes/s, p99 %s ms, all of them on two replicas\n' \
    "$(field requests_per_second <<<"$report")" "$(field p99 <<<"$report")"
figure "PUT on 3 replicas, writes/s to etcd's" "$(ratio "$(noted precede.rate)" "$(noted etcd.rate)")" × least 5
figure "PUT on 3 replicas, p99 to etcd's" "$(ratio "$(noted precede.p99)" "$(noted etcd.p99)")" × most 1
echo "processor time per write, precede/etcd: $(ratio "$(noted precede.cpu)" "$(noted etcd.cpu)")"
