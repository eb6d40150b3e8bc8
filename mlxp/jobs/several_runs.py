"""The shell script of a job that does several runs: one after another, or all at once."""

IN_TURN = """
# The runs of this job, one after another: their directories are on one line of this list.
task={task}
status=0
while IFS= read -r directory; do
    {interpreter} "$directory/script.sh" < /dev/null >> "$directory/log.stdout" 2>> "$directory/log.stderr" || status=$?
done << END
$(sed -n "${{task}}p" {list} | tr '\\t' '\\n')
END
exit $status
"""

# Each run is a process group, since a signal to its shell alone would not reach the program. Shells ignore the signals
# that are meant for programs, which would end them. A job that ends before its programs would have them killed.
AT_ONCE = """
# The runs of this job, all at once: their directories are on one line of this list.
task={task}
directories=$(sed -n "${{task}}p" {list} | tr '\\t' '\\n')
number=0
status=0
set --
set -m 2> /dev/null
for signal in TERM INT HUP USR1 USR2; do
    send="kill -s $signal"
    trap "for one do $send -- \\"-\\$one\\" 2> /dev/null || $send \\"\\$one\\" 2> /dev/null; done" $signal
done
while IFS= read -r directory; do
    # Several devices are dealt out; a single one is shared.
    devices=$(printf '%s\\n' "${{CUDA_VISIBLE_DEVICES-}}" | tr ',' '\\n' | awk -v run=$number -v runs={runs} '
        {{ device[NR - 1] = $0 }}
        END {{ if (NR < runs) print device[run % NR]
              else for (i = run; i < NR; i += runs) printf "%s%s", (i > run ? "," : ""), device[i] }}')
    (
        trap '' USR1 USR2
        [ -z "$devices" ] || export CUDA_VISIBLE_DEVICES="$devices"
        exec {interpreter} "$directory/script.sh" < /dev/null >> "$directory/log.stdout" 2>> "$directory/log.stderr"
    ) &
    set -- "$@" $!
    number=$((number + 1))
done << END
$directories
END
for run do
    code=0
    wait "$run" || code=$?
    while kill -0 "$run" 2> /dev/null; do # a signal has ended the waiting, not the run
        code=0
        wait "$run" || code=$?
    done
    [ $code = 0 ] || status=$code
done
for run do
    patience=100
    while [ $patience -gt 0 ] && kill -0 -- "-$run" 2> /dev/null; do
        patience=$((patience - 1))
        sleep 0.2
    done
done
exit $status
"""
