# What the scripts of this directory share: servers that are started and ended, loads, and figures. Sourced, not run.
#
# PRECEDE may be set to a binary, which is then not built. With BRIEF set a script is only seen to work: its figures say nothing.
#
# Two forms of line are meant for bench/plot.py too: `figure WHAT: VALUE UNIT, at least LIMIT`, and tables, which begin with
# `table NAME: COLUMN, …` and whose rows are indented.
set -euo pipefail
# Also in $(…): a load that fails ends the script.
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

precede=${PRECEDE:-${CARGO_TARGET_DIR:-target}/release/precede}
work=$(mktemp -d)
declare -A addresses servers
# What is set there is meant for one node.
unset ADDRESS PORT BIND VIEW REPL_FACTOR CLUSTER

stop() {
    local pid
    for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${servers[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

build() { [[ -n ${PRECEDE:-} ]] || cargo build --release --quiet --locked -p precede; }

# usual A B: A, or B in a brief run.
usual() { if [[ -n ${BRIEF:-} ]]; then echo "$2"; else echo "$1"; fi; }

# need PROGRAM PACKAGE: ends the script where a program is missing, and says how to install it.
need() {
    command -v "$1" >/dev/null && return
    echo "skipped: $1 is not installed: apt-get install $2"
    exit 0
}

# free_ports N: the first of N ports in a row on which nobody listens, for servers that must know them before they start.
free_ports() {
    local first at
    while :; do
        first=$((10000 + RANDOM % 20000))
        for at in $(seq 0 $(($1 - 1))); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$((first + at))") 2>/dev/null; then continue 2; fi
        done
        echo "$first"
        return
    done
}

# launch NAME COMMAND...: starts a server; its pid is in ${servers[NAME]}.
launch() {
    local name=$1
    shift
    : >"$work/$name.out"
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    servers[$name]=$!
}

# until_true NAME COMMAND...: waits until a command succeeds that asks for a server.
until_true() {
    local name=$1
    shift
    for _ in $(seq 600); do
        "$@" && return
        kill -0 "${servers[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "error: the $name server does not start" >&2
    cat "$work/$name.out" "$work/$name.err" >&2
    exit 1
}

# start NAME COMMAND...: starts a server that says its address, which is in ${addresses[NAME]} then.
start() {
    launch "$@"
    until_true "$1" grep -q '^listening on ' "$work/$1.out"
    addresses[$1]=$(sed -n 's/^listening on //p' "$work/$1.out")
}

# cluster NAME NODES FACTOR: starts a cluster of NAME1, NAME2, …, and waits until they are ready; ${addresses[NAME]} is all of them.
cluster() {
    local name=$1 nodes=$2 factor=$3 first at view=
    first=$(free_ports "$nodes")
    for at in $(seq "$nodes"); do view+=${view:+,}127.0.0.1:$((first + at - 1)); done
    for at in $(seq "$nodes"); do member "$name$at" "127.0.0.1:$((first + at - 1))" "$view" "$factor"; done
    for at in $(seq "$nodes"); do until_true "$name$at" is_ready "${addresses[$name$at]}"; done
    addresses[$name]=$view
}

# member NAME ADDRESS VIEW FACTOR: starts one node of a cluster.
member() { start "$1" "$precede" serve --address "$2" --view "$3" --repl-factor "$4"; }

# start_redis: starts redis-server, with nothing on disk, on $redis_port.
start_redis() {
    redis_port=$(free_ports 1)
    launch redis redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no
    until_true redis redis_answers
}

redis_answers() { redis-cli -p "$redis_port" ping >/dev/null 2>&1; }

# load_redis KEYS [BYTES]: writes keys as redis-benchmark names them, 16 bytes each, with values of 32 bytes or as many as told.
load_redis() {
    awk -v n="$1" -v bytes="${2:-32}" 'BEGIN {
        value = sprintf("%" bytes "s", ""); gsub(/ /, "v", value)
        for (at = 0; at < n; at++) printf "SET key:%012d %s\r\n", at, value }' | redis-cli -p "$redis_port" --pipe >/dev/null
}

# fetch ADDRESS PATH: the whole response to a GET, by bash's own sockets; nothing where nobody listens.
fetch() {
    { exec 4<>"/dev/tcp/${1/:/\/}"; } 2>/dev/null || return 0
    printf 'GET %s HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n' "$2" >&4 2>/dev/null || true
    cat <&4 2>/dev/null || true
    exec 4>&-
}

# is_ready ADDRESS: whether a node says that clients should be sent to it.
is_ready() { [[ $(fetch "$1" /readyz) == 'HTTP/1.1 200'* ]]; }

# load NAME OPTIONS...: loads a server and prints the report, one line of JSON. Errors end the script.
load() {
    local name=$1 report
    shift
    # It fails where nothing was answered as it should be.
    if ! report=$("$precede" bench --node "${addresses[$name]}" "$@" --json) || (($(field errors <<<"$report") > 0)); then
        echo "error: $name $*: $report" >&2
        exit 1
    fi
    echo "$report"
}

# wrk_load WHAT NODES CONNECTIONS SECONDS [QUERY]: the same by wrk, whose requests bench/load.lua makes: get, put or etcd, over $keys
# keys. Each of its threads asks one of the nodes.
wrk_load() {
    local threads report
    threads=$(tr ',' '\n' <<<"$2" | wc -l)
    report=$(WHAT=$1 NODES=$2 QUERY=${5:-} KEYS=$keys wrk --threads "$threads" --connections "$3" --duration "$4s" \
        --script bench/load.lua "http://${2%%,*}" | grep '^{')
    if (($(field errors <<<"$report") > 0)); then
        echo "error: wrk $*: $report" >&2
        exit 1
    fi
    echo "$report"
}

# field NAME: a number of a report; the first of its name.
field() { grep -o "\"$1\":[0-9.]*" | head -n 1 | cut -d: -f2; }

# ticks PID...: the processor time of servers, in ticks of the clock.
ticks() {
    local pid
    for pid in "$@"; do awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"; done | awk '{ n += $1 } END { print n }'
}

# micros TICKS REQUESTS: the processor time of one request, in microseconds.
micros() { awk -v t="$1" -v n="$2" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f\n", t / hz * 1e6 / n }'; }

# resident PID: what a process has in memory, in bytes.
resident() { awk '/^VmRSS:/ { printf "%.0f\n", $2 * 1024 }' "/proc/$1/status"; }

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# noted FILE: the median of what was noted in a file of $work.
noted() { median <"$work/$1"; }

# ratio A B: how many times B the number A is.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'; }

# figure WHAT VALUE UNIT least|most LIMIT: a figure, and what it should be. Ratios have the unit ×.
figure() { printf 'figure %s: %s %s, at %s %s\n' "$@"; }

# table NAME COLUMNS: the head of a table, whose columns are separated by commas.
table() { printf 'table %s: %s\n' "$1" "$2"; }

# row VALUE...: a row of it.
row() { printf '  %10s' "$@" && echo; }

# machine: what it runs on.
machine() {
    echo "$(nproc) processors:$(sed -n '0,/^model name/s/^model name[^:]*://p' /proc/cpuinfo), shared with the load; \
load average before: $(cut -d' ' -f1 /proc/loadavg)"
}
