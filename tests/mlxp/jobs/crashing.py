"""Submits, resubmits and cancels with a scheduler in a file, and dies at any point between two effects.

`walk` does that for every point, and then gives the same command again. Each command is a process of its own, made by
forking, so that a thousand of them take seconds; it ends without a word, as by SIGKILL.
"""

import dataclasses
import itertools
import json
import os
import sys
import time
import traceback
from pathlib import Path

from mlxp.commands import jobs as job_commands
from mlxp.commands.main import parser
from mlxp.errors import MLXPError
from mlxp.job_state import JobState, Phase, Search
from mlxp.jobs import cancellation, handing_over
from mlxp.jobs.packing import Packing
from mlxp.jobs.submitter import Submitter
from mlxp.jobs.submitting import submit_all
from mlxp.programs import Answer
from mlxp.run_directory.layout import run_directories
from mlxp.running.plan_report import PlannedRun
from mlxp.scheduler import SLURM, register
from mlxp.scripts.plan import Plan, Step
from mlxp.scripts.script import parsed

SCRIPT = b"#!/bin/bash\n#FAKE --time=1\npython main.py seed=1,2\n"


SUBMISSION_SECONDS = 0.0


class Effects:
    """Counts the effects, and ends the process after the chosen one."""

    def __init__(self, last):
        self.last = last
        self.count = 0

    def after(self, function):
        def counted(*arguments, **options):
            result = function(*arguments, **options)
            self.count += 1
            if self.count == self.last:
                os._exit(137)
            return result

        return counted


class FakeScheduler:
    """A queue in a file: a line per job with its id, its name and its state."""

    def __init__(self, file):
        self.file = file

    def jobs(self):
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line.split("|") for line in lines]

    def write(self, jobs):
        text = "".join("|".join(job) + "\n" for job in jobs)
        temporary = self.file.with_suffix(".new")
        temporary.write_text(text)
        os.rename(temporary, self.file)

    def run(self, words, **_options):
        jobs = self.jobs()
        if words[0] == "sbatch":
            time.sleep(SUBMISSION_SECONDS)
            jobs = self.jobs()
            name = next(word for word in words if word.startswith("--job-name=")).partition("=")[2]
            job = str(101 + len(jobs))
            self.write([*jobs, [job, name, "WAITING"]])
            tasks = [word for word in words if word.startswith("--array")]
            with self.file.with_suffix(".calls").open("a") as calls:
                calls.write(f"{job} {tasks}\n")
            return Answer(tuple(words), 0, f"{job}\n".encode(), "")
        ended = {word.partition("_")[0] for word in words[1:]}
        self.write([[job, name, "ENDED" if job in ended else state] for job, name, state in jobs])
        return Answer(tuple(words), 0, b"", "")

    def states(self, ids):
        known = {job: state for job, _, state in self.jobs()}
        return {one: JobState(Phase(known.get(one.partition("_")[0], "FORGOTTEN"))) for one in ids}

    def find(self, token, _age):
        return Search(tuple(job for job, name, _ in self.jobs() if token in name), is_complete=True)


def submitter(directory, scheduler):
    script = parsed(SCRIPT, directory / "script.sh")
    words = [["python"], ["main.py"], ["seed=1,2"]]
    runs = [PlannedRun([f"seed={seed}"], f"seed: {seed}\n", str(directory / "logs"), str(directory)) for seed in (1, 2)]
    step = Step(0, None, words, 1, str(directory), (0, 0), runs)
    return Submitter(Plan(script, (step,), frozenset()), scheduler)


def main(directory, verb, last):
    effects = Effects(last)
    fake = FakeScheduler(directory / "queue")
    scheduler = dataclasses.replace(
        SLURM,
        name="FAKE",
        directive="#FAKE",
        state=fake.states,
        find=fake.find,
        settles=0.0,
        array=dataclasses.replace(SLURM.array, largest_command=()),  # a real Slurm that is down answers late
    )
    register(scheduler)
    handing_over.run_program = cancellation.run_program = effects.after(fake.run)
    for name in ("link", "rename", "replace", "unlink", "mkdir", "rmdir"):
        setattr(os, name, effects.after(getattr(os, name)))
    os.chdir(directory)
    try:
        if verb.startswith("submit"):
            packing = {"submit": Packing(), "submit-array": Packing(1, True), "submit-pairs": Packing(2)}[verb]
            code = submit_all(submitter(directory, scheduler), packing, "test", None)
        else:
            job_commands._matching = lambda runs, _: runs  # queries are the reader's, which asks no scheduler
            query = "info.logger.log_id > 0"
            code = getattr(job_commands, verb)(parser().parse_args([verb, query]))
    except MLXPError as error:
        print(error, file=sys.stderr)
        code = 1
    sys.exit(code)


def start_forked(directory, verb, last=0, wait_for=None):
    """Give a command in a process of its own, which dies after the `last` effect; return the number of the process."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        if wait_for is not None:
            os.close(wait_for[1])
            os.read(wait_for[0], 1)
        with (directory / "printed").open("a") as printed:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            main(directory, verb, last)
    except SystemExit as error:
        code = error.code or 0
    except BaseException:  # noqa: BLE001 - a child never comes back
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def forked(directory, verb, last=0):
    """Do the same, wait for its end, and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(start_forked(directory, verb, last), 0)[1])


def jobs_of(directory):
    """Return the jobs of the fake scheduler: ids and states."""
    return [(job, state) for job, _, state in FakeScheduler(directory / "queue").jobs()]


def facts(directory):
    """Return what is on disk about the runs."""
    runs = []
    for run in run_directories(directory / "logs") if (directory / "logs").exists() else ():
        known = run.submission()
        runs.append(
            [known.get("status"), known.get("scheduler_job_id"), known.get("attempt"), known.get("cancelled_at")]
        )
    return runs


def seen(directory):
    """Return what the scheduler and the disk hold, and what was printed."""
    left = [str(path) for path in (directory / "logs").glob("*/metadata/submitting")]
    printed = (directory / "printed").read_text()
    return {"jobs": jobs_of(directory), "runs": facts(directory), "left": left, "printed": printed}


def prepared(directory, prepare):
    """Return a new directory after the commands and functions of `prepare`."""
    directory.mkdir()
    for step in prepare:
        if callable(step):
            step(directory)
        else:
            assert forked(directory, step) == 0, (directory / "printed").read_text()
    return directory


def walk(parent, verb, prepare):
    """Die at every point of a command and give it again; yield what came of it, and in the end of the whole command."""
    for last in itertools.count(1):
        directory = prepared(parent / f"{verb}-{last}", prepare)
        before = len((directory / "printed").read_text().splitlines()) if prepare else 0
        code = forked(directory, verb, last)
        told = len((directory / "printed").read_text().splitlines()) - before
        again = forked(directory, verb) if code == 137 else code
        yield {"died": code == 137, "again": again, "told": told, **seen(directory)}
        if code != 137:
            return


def end_jobs(directory):
    """End all jobs of the fake scheduler."""
    fake = FakeScheduler(directory / "queue")
    fake.write([[job, name, "ENDED"] for job, name, _ in fake.jobs()])


def double(parent, verbs, prepare, times):
    """Give two commands at once, so many times; yield what came of it."""
    for number in range(times):
        directory = prepared(parent / f"{'-'.join(verbs)}-{number}", prepare)
        start, ready = os.pipe()
        children = [start_forked(directory, verb, wait_for=(start, ready)) for verb in verbs]
        os.close(ready)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        os.close(start)
        yield {"codes": codes, **seen(directory)}


PREPARED = {"resubmit": ["submit", end_jobs], "cancel": ["submit"]}

if __name__ == "__main__":
    _, kind, folder, *verbs = sys.argv
    if kind == "double":
        SUBMISSION_SECONDS = 0.05
        points = double(Path(folder), verbs, PREPARED.get(verbs[0], []), times=67)
    else:
        points = walk(Path(folder), verbs[0], PREPARED.get(verbs[0], []))
    for point in points:
        print(json.dumps(point), flush=True)
