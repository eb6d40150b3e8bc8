#!/usr/bin/env bash
# A Slurm of one node for tests: slurm.sh up|down|status.
# With SLURM_ACCOUNTING=1 it keeps accounts, with slurmdbd and a database of its own; many real clusters do not.
. "$(dirname "$0")/common.sh"

CONF=/etc/slurm/slurm.conf
MARK='# for the tests of mlxp'
STATE=/var/lib/mlxp-tests/slurm
LOG=/var/log/mlxp-tests
ACCOUNTING=${SLURM_ACCOUNTING:-0}

has_memory_cgroup() { [ -w /sys/fs/cgroup/memory/tasks ]; }

configure() {
    local host accounting task=none
    ! has_memory_cgroup || task=cgroup
    host=$(hostname -s)
    mkdir -p "$STATE/d" "$LOG" "$RUN" /etc/slurm
    command install -d -o slurm -g slurm "$STATE/ctld" "$RUN/ctld" "$LOG/ctld"
    touch "$STATE/completed" && chown slurm: "$STATE/completed"
    accounting='AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none'
    [ "$ACCOUNTING" = 0 ] || accounting='AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
JobAcctGatherType=jobacct_gather/linux'
    cat > $CONF << END
$MARK
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=slurm
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/$task
MpiDefault=none
SwitchType=switch/none
$accounting
JobCompType=jobcomp/filetxt
JobCompLoc=$STATE/completed
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerNode=500
# The node claims more processors than the machine has: the jobs of the tests hardly compute.
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldPidFile=$RUN/ctld/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.pid
SlurmctldLogFile=$LOG/ctld/slurmctld.log
SlurmdLogFile=$LOG/slurmd.log
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=2,bf_interval=2
KillWait=2
MessageTimeout=30
# A job is ended after its limit and this many seconds more, in steps of a minute: the shortest limit is one minute.
OverTimeLimit=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
# Jobs of the second partition take the place of those of the first one.
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=test Nodes=$host Default=YES MaxTime=1:00:00 DefaultTime=10 PriorityTier=1 State=UP
PartitionName=urgent Nodes=$host MaxTime=1:00:00 DefaultTime=10 PriorityTier=2 PreemptMode=OFF State=UP
END
    # slurmd loads a cgroup plug-in in any case; this one does without a mounted cgroup. Only with one does it tell a
    # lack of memory from other ends.
    [ -e /etc/slurm/cgroup.conf ] && ! grep -qF "$MARK" /etc/slurm/cgroup.conf || {
        printf '%s\nCgroupPlugin=cgroup/v1\n' "$MARK"
        ! has_memory_cgroup || printf 'ConstrainRAMSpace=yes\nMinRAMSpace=50\n'
    } > /etc/slurm/cgroup.conf
}

start_database() {
    setsid mariadbd --no-defaults --user=slurm --datadir="$STATE/database" --socket="$RUN/db/socket" \
        --pid-file="$RUN/db/pid" --port=3399 --bind-address=127.0.0.1 --skip-name-resolve \
        --log-error="$LOG/dbd/database.log" < /dev/null > /dev/null 2>&1 &
}

start_accounting() {
    local sql='mariadb --no-defaults -S '"$RUN/db/socket"
    command install -d -m 700 -o slurm -g slurm "$STATE/database"
    command install -d -o slurm -g slurm "$RUN/db" "$RUN/dbd" "$LOG/dbd"
    [ -d "$STATE/database/mysql" ] ||
        mariadb-install-db --no-defaults --user=slurm --datadir="$STATE/database" --skip-test-db > /dev/null
    start database "$RUN/db/pid" mariadbd start_database
    wait_until 20 $sql -e '' || die 'the database does not answer'
    $sql -e "CREATE USER IF NOT EXISTS 'acct'@'127.0.0.1' IDENTIFIED BY 'acct';
        GRANT ALL ON slurm_acct_db.* TO 'acct'@'127.0.0.1';"
    cat > /etc/slurm/slurmdbd.conf << END
$MARK
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=slurm
LogFile=$LOG/dbd/slurmdbd.log
PidFile=$RUN/dbd/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3399
StorageUser=acct
StoragePass=acct
StorageLoc=slurm_acct_db
END
    chown slurm: /etc/slurm/slurmdbd.conf && chmod 600 /etc/slurm/slurmdbd.conf
    start slurmdbd "$RUN/dbd/slurmdbd.pid" slurmdbd /usr/sbin/slurmdbd
    wait_until 30 sacctmgr -n show cluster || die 'slurmdbd does not answer'
}

is_ready() {
    command -v sinfo > /dev/null && timeout 10 scontrol ping 2> /dev/null | grep 'is UP' > /dev/null &&
        timeout 10 sinfo -h -o %T 2> /dev/null | grep -E '^(idle|mixed|allocated)$' > /dev/null
}

runs_a_job() {
    local out
    out=$(mktemp)
    timeout 60 sbatch --wait --quiet --output="$out" --wrap='echo fine' >&2 && grep fine "$out" > /dev/null
}

up() {
    local packages=(munge slurm-client slurmctld slurmd)
    [ "$ACCOUNTING" = 0 ] || packages+=(slurmdbd mariadb-server-core mariadb-client-core)
    install "${packages[@]}"
    [ ! -e $CONF ] || grep -F "$MARK" $CONF > /dev/null || die "$CONF is somebody else's; not touching it"
    configure
    if ! timeout 5 munge -n > /dev/null 2>&1; then
        command install -d -o munge -g munge /run/munge
        command install -d -m 700 -o munge -g munge /var/log/munge /var/lib/munge
        start munged /run/munge/munged.pid munged runuser -u munge -- /usr/sbin/munged
    fi
    [ "$ACCOUNTING" = 0 ] || start_accounting
    start slurmctld "$RUN/ctld/slurmctld.pid" slurmctld env -i PATH="$CLEAN_PATH" /usr/sbin/slurmctld
    start slurmd "$RUN/slurmd.pid" slurmd env -i PATH="$CLEAN_PATH" /usr/sbin/slurmd
    wait_until 40 is_ready || die "no node takes jobs: $(sinfo -N -l 2>&1)"
    runs_a_job || die "no job runs; see $LOG"
    say 'up'
}

down() {
    [ ! -s "$OURS" ] || ! is_ready || { scancel --user="$(id -un)" && sleep 1; } || true
    stop_ours
}

main "$@"
