#!/usr/bin/env bash
# A Grid Engine of one host for tests: gridengine.sh up|down|status.
# The queue's shell and mode are Grid Engine's own defaults, in which the first line of a job script is ignored.
. "$(dirname "$0")/common.sh"

export SGE_ROOT=/var/lib/gridengine SGE_CELL=default SGE_SINGLE_LINE=1
COMMON=$SGE_ROOT/$SGE_CELL/common
SPOOL=/var/spool/gridengine

# replaced KEY VALUE ...: the input, with the values of these keys.
replaced() {
    awk 'BEGIN { for (i = 1; i < ARGC; i += 2) value[ARGV[i]] = ARGV[i + 1]; ARGC = 1 }
         $1 in value { print $1, value[$1]; next } { print }' "$@"
}

has() { "$1" "$2" 2> /dev/null | grep -x "$3" > /dev/null; }

configure() {
    local host=$1 folder limit
    folder=$(mktemp -d)
    # root may run jobs, accounts are written at once, and the scheduler looks every second.
    qconf -sconf global | grep -v '^#' | replaced min_uid 0 min_gid 0 load_report_time 00:00:05 reporting_params \
        'accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00' \
        > "$folder/global"
    qconf -Mconf "$folder/global" >&2
    qconf -ssconf | replaced schedule_interval 0:0:1 flush_submit_sec 1 flush_finish_sec 1 > "$folder/scheduler"
    qconf -Msconf "$folder/scheduler" >&2
    has qconf -ss "$host" || qconf -as "$host" >&2
    printf '%s\n' "hostname $host" 'load_scaling NONE' 'complex_values NONE' 'user_lists NONE' 'xuser_lists NONE' \
        'projects NONE' 'xprojects NONE' 'usage_scaling NONE' 'report_variables NONE' > "$folder/host"
    has qconf -sel "$host" || qconf -Ae "$folder/host" >&2
    printf 'group_name @allhosts\nhostlist %s\n' "$host" > "$folder/group"
    has qconf -shgrpl @allhosts || qconf -Ahgrp "$folder/group" >&2
    qconf -shgrp @allhosts | grep -w "$host" > /dev/null || qconf -aattr hostgroup hostlist "$host" @allhosts >&2
    {
        printf '%s\n' 'qname all.q' 'hostlist @allhosts' 'seq_no 0' 'load_thresholds NONE' 'suspend_thresholds NONE' \
            'nsuspend 1' 'suspend_interval 00:05:00' 'priority 0' 'min_cpu_interval 00:05:00' 'processors UNDEFINED' \
            'qtype BATCH INTERACTIVE' 'ckpt_list NONE' 'pe_list NONE' 'rerun FALSE' 'slots 4' 'tmpdir /tmp' \
            'shell /bin/sh' 'prolog NONE' 'epilog NONE' 'shell_start_mode posix_compliant' 'starter_method NONE' \
            'suspend_method NONE' 'resume_method NONE' 'terminate_method NONE' 'notify 00:00:60' 'owner_list NONE' \
            'user_lists NONE' 'xuser_lists NONE' 'subordinate_list NONE' 'complex_values NONE' 'projects NONE' \
            'xprojects NONE' 'calendar NONE' 'initial_state default'
        for limit in rt cpu fsize data stack core rss vmem; do
            printf '%s\n' "s_$limit INFINITY" "h_$limit INFINITY"
        done
    } > "$folder/queue"
    if has qconf -sql all.q; then qconf -Mq "$folder/queue" >&2; else qconf -Aq "$folder/queue" >&2; fi
    rm -r "$folder"
}

MASTER_PID=$SPOOL/qmaster/qmaster.pid
EXECD_PID="$SPOOL/execd/*/execd.pid" # the folder is called after one of the host's names

is_ready() {
    command -v qstat > /dev/null && [ -n "$(cat "$COMMON/act_qmaster" 2> /dev/null)" ] &&
        timeout 10 qstat -f -q all.q 2> /dev/null | awk '/^all\.q@/ { ok = NF == 5 && $4 != "-NA-" } END { exit !ok }'
}

runs_a_job() {
    local out
    out=$(mktemp -d)/out
    echo 'echo fine' | timeout 20 qsub -terse -N probe -j y -o "$out" > /dev/null && wait_until 60 grep fine "$out"
}

up() {
    install gridengine-master gridengine-exec gridengine-client
    if is_ready && runs_a_job; then
        say 'up already'
        return
    fi
    local host master
    host=$(hostname -s)
    getent hosts "$host" > /dev/null || die "the host name $host does not resolve"
    master=$(cat "$COMMON/act_qmaster" 2> /dev/null || true)
    [ -z "$master" ] || [ "$master" = "$host" ] || die "$COMMON/act_qmaster is somebody else's; not touching it"
    echo "$host" > "$COMMON/act_qmaster"
    echo "$host localhost" > "$COMMON/host_aliases" # 127.0.0.1 resolves back to localhost
    local clean=(env -i PATH="$CLEAN_PATH" SGE_ROOT="$SGE_ROOT" SGE_CELL="$SGE_CELL")
    start sge_qmaster "$MASTER_PID" sge_qmaster "${clean[@]}" /usr/sbin/sge_qmaster
    wait_until 30 timeout 10 qconf -sm || die 'the master does not answer'
    configure "$host"
    start sge_execd "$EXECD_PID" sge_execd "${clean[@]}" /usr/sbin/sge_execd
    wait_until 60 is_ready || die "no queue takes jobs: $(qstat -f 2>&1)"
    runs_a_job || die "no job runs; see $SPOOL/*/messages"
    say 'up'
}

down() {
    [ ! -s "$OURS" ] || { timeout 10 qdel -u '*' > /dev/null 2>&1 && sleep 2; } || true
    stop_ours
}

main "$@"
