"""One launch of a task, from the command line or from Python: starts Hydra, and reports on the runs."""

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlxp.errors import MLXPError
from mlxp.launching.arguments import Arguments, overrides_of_job, parsed, without_plus
from mlxp.launching.config_directory import ConfigDirectory
from mlxp.launching.launch_record import LaunchRecord
from mlxp.launching.outcome import Outcome, SweepResults
from mlxp.launching.planned_run import PlannedRuns
from mlxp.launching.start_again import Restart, starting_again
from mlxp.launching.starter import RunExitedError, RunStarter
from mlxp.printing import show
from mlxp.running.configuration import Program, check_configuration
from mlxp.running.copies import current_copy
from mlxp.running.endings import from_user_code, signal_in
from mlxp.running.missing_runs import States
from mlxp.running.plan_report import PlannedRun, append_report, is_planning, overrides_of_plan
from mlxp.running.settings import SchedulerSettings
from mlxp.running.signals import Terminated, exit_code, signals_raised
from mlxp.running.submitted_run import claimed_directory

if TYPE_CHECKING:
    from mlxp.launching.sweeper import Launching

Submit = Callable[[Sequence[PlannedRun], SchedulerSettings], int]
"""Submits runs as the settings say, and returns the exit code for the program that asked for it."""


def from_command_line(program: Program, config: ConfigDirectory, submit: Submit, states: States) -> Any:
    """Run what ``sys.argv`` asks for, and return the task's value.

    Raises
    ------
    SystemExit
        If a run failed, or if the runs were only reported.
    """
    if is_planning():  # before anything fails: from here on it is known that this is a program of MLXP
        append_report([], _command())
    planned = PlannedRuns(program)
    with starting_again(), LaunchRecord.created() as record, _exiting_with_a_sentence():
        arguments, own_overrides = _adapted(_in_force(parsed(sys.argv[1:])))
        is_plain = arguments is not None and arguments.is_plain_run
        program = replace(program, command=_words_without_overrides(arguments))
        starter = RunStarter(program, record, list(sys.argv), own_overrides, states=states)
        starter.planned = 1 if is_plain else None
        outcome, restart = Outcome(record, starter), Restart(program)
        with _stopped_by_a_signal(outcome):
            with _under_way(outcome, config, arguments, restart, report=planned.add):
                # Without a sweeper, nobody looks at the configuration before the run starts.
                start = functools.partial(_start_unless_again, restart, starter) if is_plain else starter
                _start_as_program(program, config, arguments, start)
            if planned.runs and not is_planning():
                return _exit_unless_zero(submit(planned.runs, planned.scheduler))
        if arguments is not None and arguments.only_looks:
            return None
        if is_planning():
            append_report(planned.runs, _command())
            sys.exit(0)
        return outcome.of_program()


def _start_unless_again(restart: Restart, starter: RunStarter, composed: Any) -> Any:
    from hydra.errors import CompactHydraException

    restart.look_at(composed)
    try:
        restart.if_needed()
    except MLXPError as error:
        raise CompactHydraException(str(error)) from error
    return starter(composed)


def _words_without_overrides(arguments: Arguments | None) -> tuple[str, ...]:
    """Return the command that starts the program with the same configuration files; empty if that is unknown."""
    if arguments is None or sys.orig_argv[len(sys.orig_argv) - len(sys.argv) + 1 :] != sys.argv[1:]:
        return ()
    words = _command()[: len(sys.orig_argv) - len(sys.argv) + 1]
    names = ("config_path", "config_name", "config_dir")
    return (*words, *(f"--{name.replace('_', '-')}={value}" for name in names if (value := arguments.option(name))))


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


def _in_force(arguments: Arguments | None) -> Arguments | None:
    """Return arguments that name no directory of the original where a copy of the code is executed."""
    copy = current_copy()
    return arguments.with_directories(copy.moved) if arguments is not None and copy is not None else arguments


def _adapted(arguments: Arguments | None) -> tuple[Arguments | None, frozenset[str]]:
    """Return arguments that make a job run once and a planning program plan, and the overrides that were added."""
    if arguments is None or arguments.only_looks:
        return arguments, frozenset()
    if is_planning():
        return arguments.without_mode().overridden_by(overrides_of_plan()), frozenset()
    directory = claimed_directory()
    if directory is None:
        return arguments, frozenset()
    own = overrides_of_job(directory)
    return arguments.with_overrides(own), frozenset(own)


@contextlib.contextmanager
def _exiting_with_a_sentence() -> Iterator[None]:
    try:
        yield
    except MLXPError as error:
        sys.exit(str(error))


@contextlib.contextmanager
def _stopped_by_a_signal(outcome: Outcome) -> Iterator[None]:
    """Within this context, a sweep that is stopped reports its progress, and the exit code names the signal."""
    try:
        yield
    except BaseException as error:
        number = signal_in(error)
        if number is None and not isinstance(error, SystemExit):
            raise
        outcome.print_summary()
        if number is None:
            raise
        show(f"stopped by {number.name}", "stderr")
        sys.exit(exit_code(number))


def _start_as_program(
    program: Program, config: ConfigDirectory, arguments: Arguments | None, starter: Callable[[Any], Any]
) -> None:
    from mlxp.launching.hydra_app import run_main

    argv = list(sys.argv)
    if arguments is not None:
        sys.argv = [argv[0], *arguments.to_argv()]
    try:
        run_main(config.hydra_path, _hydra_function(program, starter))
    finally:
        sys.argv = argv


def _hydra_function(program: Program, starter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # Hydra names the program after the function that this one wraps.
    @functools.wraps(program.task)
    def run(composed: Any) -> Any:
        try:
            return starter(composed)
        except BaseException as error:
            # Raising an exception again adds no frame: Hydra cuts off its own frames and shows the user's.
            error.__traceback__ = from_user_code(error.__traceback__)
            raise

    return run


def _exit_unless_zero(code: int) -> None:
    if code:
        sys.exit(code)


def from_python(
    program: Program, config: ConfigDirectory, overrides: Sequence[str], states: States, *, one_run_only: bool
) -> SweepResults:
    """Run what the overrides ask for, and return the task's values.

    Raises
    ------
    Exception
        What went wrong: the exception of a single run, a `SweepError`, or the reason why nothing was started.
    """
    if is_planning():
        raise MLXPError("only a task that reads its command line can be submitted; this one was called from Python")
    arguments = Arguments({}, [without_plus(override) for override in overrides])
    with LaunchRecord.created() as record:
        starter = RunStarter(program, record, states=states)
        outcome = Outcome(record, starter)
        try:
            with _under_way(outcome, config, arguments, one_run_only=one_run_only):
                _start_from_python(program, config, arguments, starter)
        except SystemExit as error:
            raise RunExitedError(error.code) from None
        except Terminated as error:
            # The program that called us decides what a signal does to it.
            signal.raise_signal(error.signal_number)
            raise
        except Exception as error:
            refusal = _refusal(error)
            if refusal is not None:
                raise refusal from refusal.__cause__
            error.__traceback__ = from_user_code(error.__traceback__)
            raise
        return outcome.or_raise_failures()


def _start_from_python(program: Program, config: ConfigDirectory, arguments: Arguments, starter: RunStarter) -> None:
    from mlxp.launching.hydra_app import run_multirun

    name = program.task.__name__
    run_multirun(config.hydra_path, config.package, name, _hydra_function(program, starter), arguments.overrides)


def _refusal(error: Exception) -> Exception | None:
    """Return the error that kept the task from being called, without frames of Hydra and MLXP; None if none did."""
    from hydra.errors import CompactHydraException

    trace = error.__traceback__
    if not isinstance(error, CompactHydraException) or from_user_code(trace) is not trace:
        return None
    cause = error.__cause__ and error.__cause__.with_traceback(None)
    if isinstance(cause, MLXPError):
        cause.__cause__ = None
        cause.__suppress_context__ = True
        return cause
    error.__cause__ = cause
    return error.with_traceback(None)


@contextlib.contextmanager
def _under_way(
    outcome: Outcome,
    config: ConfigDirectory,
    arguments: Arguments | None,
    restart: Restart | None = None,
    **options: Any,
) -> Iterator[None]:
    """Within this context, Hydra is ready to start the runs; stopping one also stops those of other processes."""
    from mlxp.launching.hydra_app import prepared
    from mlxp.launching.sweeper import planned

    record, program = outcome.record, config.program
    hydra_ready = prepared(record.directory, program.base, config.directories(arguments), is_planning())
    try:
        with signals_raised(), hydra_ready, planned(_plan(outcome, program, restart, **options)):
            yield
    except BaseException as error:
        # Runs of other processes end with us; one that died, perhaps of lack of memory, could not say so.
        record.ask_to_stop()
        record.end_runs_under_way(signal_in(error))
        raise


def _plan(outcome: Outcome, program: Program, restart: Restart | None, **options: Any) -> "Launching":
    from mlxp.launching.selection import Selection
    from mlxp.launching.sweeper import Launching

    def check(composed: Any) -> tuple[str, int] | None:
        chosen = check_configuration(program, composed)
        if restart is not None:
            restart.look_at(composed)
        return chosen

    def on_planned(number_of_runs: int, keep_going: bool, owns_configurations: bool) -> None:
        if restart is not None and not outcome.starter.starts_none:
            restart.if_needed()
        outcome.starter.on_planned(number_of_runs, keep_going, owns_configurations)

    return Launching(
        choose=Selection(program, outcome.starter).choose,
        check=check,
        on_planned=on_planned,
        results=outcome.results,
        is_planning=is_planning(),
        **options,
    )
