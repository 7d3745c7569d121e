# What the scripts of this directory share: servers that are started and ended, loads, and figures. Sourced, not run.
#
# PRECEDE may be set to a binary, which is then not built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

precede=${PRECEDE:-${CARGO_TARGET_DIR:-target}/release/precede}
work=$(mktemp -d)
declare -A addresses servers

stop() {
    local pid
    for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${servers[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

build() { [[ -n ${PRECEDE:-} ]] || cargo build --release --quiet -p precede; }

# start NAME COMMAND...: starts a server; its address is in ${addresses[NAME]}, its pid in ${servers[NAME]}.
start() {
    local name=$1 address=
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    servers[$name]=$!
    for _ in $(seq 100); do
        address=$(sed -n 's/^listening on //p' "$work/$name.out")
        [[ -n $address ]] && break
        sleep 0.1
    done
    if [[ -z $address ]]; then
        echo "error: the $name server does not start" >&2
        cat "$work/$name.err" >&2
        exit 1
    fi
    addresses[$name]=$address
}

# load NAME OPTIONS...: loads a server and prints the report, one line of JSON. Errors end the script.
load() {
    local name=$1 report
    shift
    report=$("$precede" bench --node "${addresses[$name]}" "$@" --json)
    if (($(field errors <<<"$report") > 0)); then
        echo "error: $name $*: $report" >&2
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
resident() { awk '/^VmRSS:/ { print $2 * 1024 }' "/proc/$1/status"; }

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# ratio A B: how many times B the number A is.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'; }

# machine: what it runs on.
machine() {
    echo "$(nproc) processors:$(sed -n '0,/^model name/s/^model name[^:]*://p' /proc/cpuinfo), shared with the load; \
load average before: $(cut -d' ' -f1 /proc/loadavg)"
}
