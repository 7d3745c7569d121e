#!/usr/bin/env bash
# P7, P10. Whether a request costs the same where there is more of everything. One node: keys from 10^3 to 10^7, as far as memory allows;
# connections from 1 to 32 for each processor, and on to 10,000; values from 32 bytes to 1 MiB. For each, the time per request (of the
# wall clock, all connections together) and the processor time per request of the node. A node of each number of keys runs all the time,
# and they are loaded alternately; so are the numbers of connections. One connection leaves the machine waiting for itself, so there only
# processor time can be flat. Then 2 to 64 simulated nodes: what they send each other, and how long contexts are.
#
# Usage: bench/growth.sh    ROUNDS, SECONDS_EACH, KEYS_MAX and CONNECTIONS_MAX may be set in the environment; PRECEDE_SIM to a simulator,
# which is then not built.
source "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-$(usual 3 1)} seconds=${SECONDS_EACH:-$(usual 5 1)}
keys_max=${KEYS_MAX:-$(usual 10000000 10000)} connections_max=${CONNECTIONS_MAX:-$(usual 10000 256)}
cores=$(nproc)

# measure SERVER LABEL OPTIONS...: reads, then writes; notes the time and the processor time of a request, in microseconds.
measure() {
    local server=$1 label=$2 mix before report
    shift 2
    for mix in get put; do
        before=$(ticks "${servers[$server]}")
        report=$(load "$server" --mix "$mix" --seconds "$seconds" --loaded "$@")
        awk -v r="$(field requests_per_second <<<"$report")" 'BEGIN { printf "%.2f\n", 1e6 / r }' >>"$work/$label.$mix.time"
        micros $(($(ticks "${servers[$server]}") - before)) "$(field requests <<<"$report")" >>"$work/$label.$mix.cpu"
        field p99 <<<"$report" >>"$work/$label.$mix.p99"
    done
}

columns="GET µs, GET processor µs, GET p99 ms, PUT µs, PUT processor µs, PUT p99 ms"
# shown LABEL: the medians, in the order of the columns.
shown() {
    local mix what
    for mix in get put; do for what in time cpu p99; do noted "$1.$mix.$what"; done; done
}

build
simulator=${PRECEDE_SIM:-${CARGO_TARGET_DIR:-target}/release/precede-sim}
[[ -n ${PRECEDE_SIM:-} ]] || cargo build --release --quiet --locked -p precede-sim
ulimit -n "$(ulimit -Hn)"
echo "$rounds rounds of $seconds s each; 32 connections, 10000 keys and values of 32 bytes where nothing else is said; contexts carried"
machine

sizes=()
for ((keys = 1000; keys <= keys_max; keys *= 10)); do
    # 300 bytes for a key, more than it takes, beside those of the nodes before.
    available=$(awk '/^MemAvailable:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
    if ((keys * 300 > available)); then echo "skipped: $keys keys: $((available >> 20)) MiB of memory are available"; break; fi
    start "keys$keys" "$precede" serve --port 0
    load "keys$keys" --mix get --keys "$keys" --seconds 1 --connections 64 >/dev/null
    sizes+=("$keys")
done
for _ in $(seq "$rounds"); do
    for keys in "${sizes[@]}"; do measure "keys$keys" "keys$keys" --keys "$keys"; done
done
table growth_keys "keys, $columns"
# shellcheck disable=SC2046
for keys in "${sizes[@]}"; do row "$keys" $(shown "keys$keys"); done
for mix in get put; do
    figure "${mix^^}, time per request with ${sizes[-1]} keys to ${sizes[0]}" \
        "$(ratio "$(noted "keys${sizes[-1]}.$mix.time")" "$(noted "keys${sizes[0]}.$mix.time")")" × most 1.2
done
for keys in "${sizes[@]}"; do kill "${servers[keys$keys]}"; wait "${servers[keys$keys]}" || true; unset "servers[keys$keys]"; done

full=$((32 * cores)) counts=() files=$(ulimit -n)
[[ $files != unlimited ]] || files=1000000
for count in $(printf '%s\n' 1 2 4 8 16 32 64 128 256 1000 4000 10000 "$full" | sort -gu); do
    ((count <= connections_max)) || break
    # Files of both sides, with room for what else is open.
    if ((count + 200 > files)); then echo "skipped: $count connections: the limit of open files is $files"; break; fi
    counts+=("$count")
done
start store "$precede" serve --port 0 --max-concurrent-requests 16384
load store --mix get --seconds 1 >/dev/null
for _ in $(seq "$rounds"); do
    for count in "${counts[@]}"; do measure store "connections$count" --connections "$count"; done
done
table growth_connections "connections, $columns"
# shellcheck disable=SC2046
for count in "${counts[@]}"; do row "$count" $(shown "connections$count"); done
for mix in get put; do
    cpu() { ratio "$(noted "connections$1.$mix.cpu")" "$(noted "connections$2.$mix.cpu")"; }
    if [[ -e $work/connections$full.$mix.cpu ]]; then
        figure "${mix^^}, processor time per request at $full connections to one" "$(cpu "$full" 1)" × most 1.2
        echo "${mix^^}, processor time per request at ${counts[-1]} connections to $full: $(cpu "${counts[-1]}" "$full")"
    fi
done

# Few keys, so that the largest values fit into memory, and few connections, since a node reads no more than 24 MiB of bodies at once.
values=(--keys 200 --connections 8)
for bytes in 32 1024 32768 1048576; do
    start "values$bytes" "$precede" serve --port 0
    load "values$bytes" --mix get "${values[@]}" --value-bytes "$bytes" --seconds 1 >/dev/null
    for _ in $(seq "$rounds"); do measure "values$bytes" "values$bytes" "${values[@]}" --value-bytes "$bytes"; done
    kill "${servers[values$bytes]}"; wait "${servers[values$bytes]}" || true; unset "servers[values$bytes]"
done
table growth_values "value bytes, $columns"
# shellcheck disable=SC2046
for bytes in 32 1024 32768 1048576; do row "$bytes" $(shown "values$bytes"); done
awk -v g="$(noted values1048576.get.time)" -v p="$(noted values1048576.put.time)" \
    'BEGIN { printf "of 1 MiB: %.0f MiB/s read, %.0f MiB/s written\n", 1e6 / g, 1e6 / p }'

# The first two lines say how, the third names the columns.
"$simulator" growth --seconds "$(usual 30 5)" >"$work/nodes"
sed -n 1,2p "$work/nodes"
table growth_nodes "$(sed -n 3p "$work/nodes")"
sed -n '4,$p' "$work/nodes"
# of NODES COLUMN
of() { awk -v n="$1" -v c="$2" '$1 == n { print $c }' "$work/nodes"; }
figure "messages of a node at rest, 64 nodes to 4" "$(ratio "$(of 64 2)" "$(of 4 2)")" × most 1.2
echo "the same to 2 nodes, which have one peer to gossip with: $(ratio "$(of 64 2)" "$(of 2 2)"); bytes, 64 nodes to 4: $(ratio "$(of 64 3)" "$(of 4 3)")"
figure "context at p99, 32 nodes to 4" "$(ratio "$(of 32 6)" "$(of 4 6)")" × most 1
figure "context at p99, 32 nodes" "$(of 32 6)" bytes most 96
