"""The shell script of a job that starts the scripts of its runs: one after another, or all at once.

It passes on the signals that the job gets, and puts the job back into the queue if a run wishes so.
"""

from pathlib import Path

from mlxp.jobs.packing import Packing
from mlxp.run_directory.layout import RunDirectory
from mlxp.scripts.job_script import quoted

# Each run is a process group, since a signal to its shell alone would not reach the program. The shell outlives the
# program: it ends after it on signals that end programs, and goes on after those that only warn them.
_BODY = """
# The runs of this job, {how}: their directories are on one line of this list.
task={task}
directories=$(sed -n "${{task}}p" {list} | tr '\\t' '\\n')
export MLXP_JOB_BEGAN="$(date +%s)"
number=0
status=0
signalled=
set --
set -m 2> /dev/null
for signal in TERM INT HUP USR1 USR2; do
    send="kill -s $signal"
    trap "signalled=yes
        for one do $send -- \\"-\\$one\\" 2> /dev/null || $send \\"\\$one\\" 2> /dev/null; done" $signal
done
while IFS= read -r directory; do
    # Several devices are dealt out; a single one is shared.
    devices=$(printf '%s\\n' "${{CUDA_VISIBLE_DEVICES-}}" | tr ',' '\\n' | awk -v run=$number -v runs={runs} '
        {{ device[NR - 1] = $0 }}
        END {{ if (NR < runs) print device[run % NR]
              else for (i = run; i < NR; i += runs) printf "%s%s", (i > run ? "," : ""), device[i] }}')
    (
        [ -z "$devices" ] || export CUDA_VISIBLE_DEVICES="$devices"
        exec {interpreter} -c 'trap : USR1 USR2; trap "exit 143" TERM INT HUP; . "$0"' "$directory/script.sh" \\
            < /dev/null >> "$directory/log.stdout" 2>> "$directory/log.stderr"
    ) &
{after_start}
done << END
$directories
END
{at_end}exit $status
"""

_WAIT = """for run do
    code=0
    wait "$run" || code=$?
    while kill -0 "$run" 2> /dev/null; do # a signal has ended the waiting, not the run
        code=0
        wait "$run" || code=$?
    done
    [ $code = 0 ] || status=$code
    patience=100 # a job that ends before its programs would have them killed
    while [ $patience -gt 0 ] && kill -0 -- "-$run" 2> /dev/null; do
        patience=$((patience - 1))
        sleep 0.2
    done
done
"""

_PUT_BACK = """back=
while IFS= read -r directory; do
    ! rm "$directory/{file}" 2> /dev/null || back=yes
done << END
$directories
END
if [ -n "$back" ]; then # a run that was told to stop is to go on in this job, or in another one
{command}
fi
"""


def job_body(packing: Packing, *, task: str, interpreter: str, list_file: Path, put_back: str | None = None) -> str:
    """Return the part of a job's script below the scheduler's options.

    Parameters
    ----------
    packing
        How many runs a job does, and whether at once.
    task
        The shell expression for the number of the line, from 1, that lists the job's runs.
    interpreter
        The shell of the runs' scripts, in shell syntax.
    list_file
        The file that lists the directories of the runs, those of one job on each line.
    put_back
        The shell commands by which the job goes back into the queue; None if no run may wish that.
    """
    at_once = packing.side_by_side
    wait = "".join(f"    {line}\n" for line in _WAIT.splitlines())
    in_turn = f'    set -- "$!"\n{wait}    [ -z "$signalled" ] || break'
    at_end = _WAIT if at_once else ""
    if put_back is not None:
        file = RunDirectory(Path()).put_back_file.as_posix()
        at_end += _PUT_BACK.format(file=file, command="".join(f"    {line}\n" for line in put_back.splitlines())[:-1])
    return _BODY.format(
        how="all at once" if at_once else "one after another",
        task=task,
        list=quoted(str(list_file)),
        runs=packing.per_job if at_once else 1,
        interpreter=interpreter,
        after_start='    set -- "$@" "$!"\n    number=$((number + 1))' if at_once else in_turn,
        at_end=at_end,
    )
