"""The command ``mlxpsub``: submits one job for each run of a shell script."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mlxp.commands.completion import complete
from mlxp.commands.mlxpsub_words import SubmissionParser
from mlxp.commands.terminal import harmless
from mlxp.errors import InvalidSchedulerError, MLXPError
from mlxp.jobs.batch import Batch
from mlxp.jobs.local import HERE, work_off
from mlxp.jobs.packing import Packing
from mlxp.jobs.scheduler_options import checked_options, directives_in_force
from mlxp.jobs.submitter import Submitter, chosen_scheduler, directives_of
from mlxp.jobs.submitting import print_plan, submit_all
from mlxp.printing import guarded_output
from mlxp.run_directory.batches import is_batch_name
from mlxp.running.signals import Terminated, exit_code, signal_of
from mlxp.scheduler import SCHEDULERS, import_plugin, problem_with
from mlxp.scripts.plan import make_plan
from mlxp.scripts.script import Script, read_script


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if something was not submitted."""
    with guarded_output(harmless):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    complete(parser)
    options = parser.parse(sys.argv[1:] if arguments is None else arguments)
    try:
        for module in options.plugin:
            import_plugin(module)
        return _submit(options)
    except MLXPError as error:
        print(f"mlxpsub: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Terminated) as error:
        print("mlxpsub: interrupted", file=sys.stderr)
        return exit_code(signal_of(error))


def _parser() -> SubmissionParser:
    parser = SubmissionParser(
        _own_options(),
        usage="mlxpsub [options] SCRIPT [options of mlxpsub or of the scheduler] [-- overrides]",
        description="Submit a shell script's runs to a job scheduler: one job for each combination of options.",
        epilog="MLXP recognises the scheduler by the options in the script: "
        + ", ".join(f"{row.directive} ({row.name})" for row in SCHEDULERS.values())
        + ". Options of the scheduler after the script take precedence over the script's, as in "
        "`mlxpsub script.sh --time=2:00:00 -- seed=3`; so do the overrides after `--`. "
        "`mlxp status` shows the state of the runs.",
    )
    parser.add_argument("script", type=Path, help="shell script with the scheduler's options and `python main.py ...`")
    return parser


def _own_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlxpsub", add_help=False, allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true", help="print what would be submitted; create nothing")
    parser.add_argument(
        "--frozen",
        action="store_true",
        help="freeze the code and configuration as they are now, including uncommitted changes",
    )
    parser.add_argument(
        "--only-missing",
        action="store_true",
        help="leave out runs that are complete, in progress or waiting",
    )
    parser.add_argument(
        "--name",
        type=_name,
        help="name of the batch that the runs belong to; by default the date and the id of its first run",
    )
    parser.add_argument(
        "--local", metavar="N", type=_count, help="submit nothing, and execute the runs on this computer, N at a time"
    )
    parser.add_argument("--scheduler", metavar="NAME", help=f"one of {', '.join(SCHEDULERS)}; by default the script's")
    parser.add_argument(
        "--array", action="store_true", help="submit job arrays instead of single jobs, if the scheduler has them"
    )
    parser.add_argument(
        "--max-parallel", metavar="N", type=_count, help="how many tasks of an array may run at once (with --array)"
    )
    parser.add_argument(
        "--per-job", metavar="K", type=_count, default=1, help="execute K runs in each job, one after the other"
    )
    parser.add_argument(
        "--at-once", action="store_true", help="execute the runs of each job at the same time (with --per-job)"
    )
    parser.add_argument(
        "--plugin", metavar="MODULE", action="append", default=[], help="import a module that registers a scheduler"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def _name(text: str) -> str:
    if not is_batch_name(text):
        raise argparse.ArgumentTypeError(f"must be letters, digits and _ . + = -, and not 'last': not {text!r}")
    return text


def _submit(options: argparse.Namespace) -> int:
    script = read_script(options.script)
    if options.local is not None:
        return _do_here(script, options)
    scheduler = chosen_scheduler(script, options.scheduler)
    problem = problem_with(scheduler)
    if options.max_parallel is not None and not options.array:
        raise InvalidSchedulerError("--max-parallel limits the tasks of an array; add --array")
    if options.at_once and options.per_job == 1:
        raise InvalidSchedulerError("--at-once does the runs of a job at once; say how many with --per-job")
    if problem is not None and not options.dry_run:
        raise InvalidSchedulerError(f"{problem}; nothing was submitted")
    given = checked_options(options.for_scheduler, scheduler)
    in_force = [text for _, text in directives_in_force(directives_of(script, scheduler), scheduler, given)]
    plan = make_plan(script, scheduler.name, [*in_force, shlex.join(given)], options.overrides)
    submitter = Submitter(plan, scheduler, is_frozen=options.frozen, options=given, batch=options.name)
    packing = Packing(options.per_job, options.array, options.max_parallel, options.at_once)
    for note in [*submitter.notes, *packing.notes(scheduler)]:
        print(f"mlxpsub: {options.script}: {note}", file=sys.stderr)
    if options.dry_run or any(run.dry_run for _, run in submitter.plan.runs):
        print_plan(Batch(submitter, packing, only_missing=options.only_missing))
        if problem is not None:
            print(f"mlxpsub: {problem}", file=sys.stderr)
        return 0
    return submit_all(submitter, packing, "mlxpsub", "--frozen", only_missing=options.only_missing)


def _do_here(script: Script, options: argparse.Namespace) -> int:
    given = {"--array": options.array, "--max-parallel": options.max_parallel, "--scheduler": options.scheduler}
    given |= {"--at-once": options.at_once, "--per-job": options.per_job > 1}
    for words in [*([name] for name, value in given.items() if value), options.for_scheduler[:1]]:
        if words:
            raise InvalidSchedulerError(
                f"{words[0]} is for a scheduler, and --local executes the runs here without one; omit it"
            )
    plan = make_plan(script, HERE.name, (), options.overrides)
    submitter = Submitter(plan, HERE, is_frozen=options.frozen, batch=options.name)
    for note in submitter.notes:
        print(f"mlxpsub: {options.script}: {note}", file=sys.stderr)
    if options.dry_run or any(run.dry_run for _, run in submitter.plan.runs):
        print_plan(Batch(submitter, Packing(), only_missing=options.only_missing), options.local)
        return 0
    return work_off(submitter, options.local, "mlxpsub", only_missing=options.only_missing)
