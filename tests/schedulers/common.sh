# Shared by the scripts that start a real scheduler for the tests. They run as root on Debian, need neither systemd nor
# cgroups, and stop only what they started.
set -euo pipefail

CLEAN_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
NAME=$(basename "$0" .sh)
RUN=/run/mlxp-tests/$NAME
OURS=$RUN/ours # one line per daemon that we started: NAME PIDFILE PATTERN

say() { printf '%s: %s\n' "$NAME" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# install PACKAGE...: those that are missing, without letting them start their services.
install() {
    local missing=() package
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d made=
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy && made=yes; }
    apt-get update -qq >&2
    local code=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || code=$?
    [ -z "$made" ] || rm -f $policy
    [ $code = 0 ] || die 'apt-get install failed'
}

# pid_in PIDFILE: the first line, since PostgreSQL writes more; the path may be a pattern.
pid_in() { head -q -n 1 $1 2> /dev/null; }

# is_running PIDFILE PATTERN: is the recorded process still the program that we mean?
is_running() {
    local pid
    pid=$(pid_in "$1") && [ -n "$pid" ] || return 1
    [ -e "/proc/$pid" ] && { tr '\0' ' ' < "/proc/$pid/cmdline"; } 2> /dev/null | grep -- "$2" > /dev/null
}

# start NAME PIDFILE PATTERN COMMAND...: unless it runs already.
start() {
    local name=$1 pidfile=$2 pattern=$3
    shift 3
    is_running "$pidfile" "$pattern" && return 0
    say "starting $name"
    "$@"
    wait_until 15 is_running "$pidfile" "$pattern" || die "$name did not start"
    mkdir -p "$RUN"
    printf '%s %s %s\n' "$name" "$pidfile" "$pattern" >> "$OURS"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

stop_ours() {
    [ -s "$OURS" ] || return 0
    local name pidfile pattern pid
    while read -r name pidfile pattern; do
        is_running "$pidfile" "$pattern" || continue
        pid=$(pid_in "$pidfile")
        say "stopping $name"
        kill -TERM "$pid"
        wait_until 15 test ! -e "/proc/$pid" || kill -KILL "$pid" 2> /dev/null || true
    done < <(tac "$OURS")
    rm -f "$OURS"
}

# main ACTION: up, down or status; the script defines `up`, `down` and `is_ready`.
main() {
    case ${1:-} in
        up)
            [ "$(id -u)" = 0 ] || die 'run as root'
            up
            ;;
        down) down ;;
        status) is_ready ;;
        *)
            echo "usage: $0 up|down|status" >&2
            exit 2
            ;;
    esac
}
