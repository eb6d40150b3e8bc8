#!/usr/bin/env bash
# An OAR of one node for tests, with a PostgreSQL cluster and an sshd of its own: oar.sh up|down|status.
. "$(dirname "$0")/common.sh"

CONF=/etc/oar/oar.conf
MARK='# changed for the tests of mlxp'
CLUSTER=mlxptests
PORT=5439
CORES=6 # on paper: the jobs of the tests hardly compute

cluster_version() { pg_lsclusters -h | awk -v name=$CLUSTER '$2 == name { print $1; exit }'; }
is_online() { pg_lsclusters -h | awk -v name=$CLUSTER '$2 == name && $4 ~ /^online/ { ok = 1 } END { exit !ok }'; }
sql() { (cd / && runuser -u postgres -- psql -q -p $PORT -d postgres -c "$1") >&2; }

start_database() {
    if [ -z "$(cluster_version)" ]; then
        local version
        version=$(ls /usr/lib/postgresql | sort -V | tail -1)
        (cd / && pg_createcluster "$version" $CLUSTER --port $PORT -- --auth-host=scram-sha-256 --auth-local=peer) >&2
    fi
    local folder
    folder=$(pg_lsclusters -h | awk -v name=$CLUSTER '$2 == name { print $6; exit }')
    start postgres "$folder/postmaster.pid" postgres pg_ctlcluster "$(cluster_version)" $CLUSTER start
    wait_until 20 sql 'SELECT 1' || die 'the database does not answer'
}

configure_database() {
    if ! grep -F "$MARK" $CONF > /dev/null; then
        # The passwords guard this local cluster only. Without a resource manager for jobs OAR needs no cgroups.
        sed -i -e "s/^DB_PORT=.*/DB_PORT=\"$PORT\"/" -e 's/^DB_BASE_PASSWD=.*/DB_BASE_PASSWD="oartest"/' \
            -e 's/^DB_BASE_PASSWD_RO=.*/DB_BASE_PASSWD_RO="oartest"/' \
            -e 's/^JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD/#&/' \
            -e 's/^#SCHEDULER_MIN_TIME_BETWEEN_2_CALLS=.*/SCHEDULER_MIN_TIME_BETWEEN_2_CALLS=1/' \
            -e 's/^SCHEDULER_JOB_SECURITY_TIME=.*/SCHEDULER_JOB_SECURITY_TIME="1"/' $CONF
        echo "$MARK" >> $CONF
    fi
    if ! oar-database --check > /dev/null 2>&1; then
        sql "ALTER ROLE postgres PASSWORD 'oartest'"
        (cd / && PGDATABASE=postgres oar-database --create --db-admin-user=postgres --db-admin-pass=oartest) >&2
    fi
}

configure() {
    # OAR makes every shell of a job read ~/.bashrc; one that starts shells itself then never ends.
    echo '# for tests: the shells of jobs do not read ~/.bashrc' > /var/lib/oar/.batch_job_bashrc
    local known name number
    known=$(oarproperty -l 2> /dev/null || true)
    grep -x host <<< "$known" > /dev/null || oarproperty -a host -c >&2
    for name in cpu core; do
        grep -x $name <<< "$known" > /dev/null || oarproperty -a $name >&2
    done
    known=$(oarnodes --sql "network_address='localhost'" 2> /dev/null | grep -c '^resource_id' || true)
    for ((number = known + 1; number <= CORES; number++)); do
        oarnodesetting -a -h localhost -p host="$(hostname -s)" -p cpu=1 -p core=$number >&2
    done
    # A rule forbids root to submit.
    if oaradmissionrules -S -Y -f 2> /dev/null | grep 'Prevent users oar and root' > /dev/null; then
        oaradmissionrules -m 2 -N >&2
    fi
}

is_ready() {
    command -v oarnodes > /dev/null && is_running /run/oar-server.pid Almighty && is_online &&
        timeout 10 oarnodes -s 2> /dev/null | grep ': Alive' > /dev/null
}

runs_a_job() {
    local out
    out=$(mktemp -d)/out
    (cd / && oarsub -l core=1,walltime=0:01:00 -O "$out" -E "$out.err" 'echo fine') > /dev/null && wait_until 60 grep fine "$out"
}

up() {
    install postgresql oar-server oar-server-pgsql oar-user oar-user-pgsql oar-node openssh-server
    if is_ready && runs_a_job; then
        say 'up already'
        return
    fi
    grep -F "$MARK" $CONF > /dev/null || grep '^DB_BASE_PASSWD=""' $CONF > /dev/null ||
        die "$CONF is somebody else's; not touching it"
    mkdir -p "$RUN" /run/sshd
    start_database
    configure_database
    local clean=(env -i PATH="$CLEAN_PATH")
    start sshd "$RUN/sshd.pid" /etc/oar/sshd_config \
        "${clean[@]}" /usr/sbin/sshd -f /etc/oar/sshd_config -o PidFile="$RUN/sshd.pid"
    configure
    start oar-server /run/oar-server.pid Almighty "${clean[@]}" /usr/sbin/oar-server
    wait_until 40 is_ready || die 'no node is alive; see /var/log/oar.log'
    runs_a_job || die 'no job runs; see /var/log/oar.log'
    say 'up'
}

down() {
    if [ -s "$OURS" ] && is_ready; then
        timeout 20 oardel --sql "state NOT IN ('Terminated', 'Error')" > /dev/null 2>&1 && sleep 3 || true
    fi
    stop_ours
}

main "$@"
