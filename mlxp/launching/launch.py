"""One launch: starts Hydra, and tells afterwards what became of the runs."""

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from mlxp.errors import InvalidConfigFileError, MLXPError, SweepError
from mlxp.launching.arguments import Arguments, parsed, without_plus
from mlxp.launching.config_directory import ConfigDirectory
from mlxp.run_directory.status import Status
from mlxp.running.configuration import Program, check_configuration
from mlxp.running.endings import from_user_code
from mlxp.running.plan_report import PlannedRun, append_report, is_planning
from mlxp.running.signals import Terminated, exit_code, signal_of, signals_raised
from mlxp.running.submitted_run import claimed_directory
from mlxp.running.submitted_run import overrides as own_overrides

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig


class SweepResults(list[Any]):
    """What the task returned in each run of a sweep, in the order of the sweep, with the ids of the runs.

    Attributes
    ----------
    log_ids
        The id of each run; None where the logger is disabled.
    """

    def __init__(self, values: Sequence[Any], log_ids: list[int | None]) -> None:
        super().__init__(values)
        self.log_ids = log_ids


class Launch:
    """One launch: what is needed to start Hydra, and to tell afterwards what became of the runs."""

    def __init__(self, program: Program, config_path: str) -> None:
        from mlxp.launching.launch_record import LaunchRecord
        from mlxp.launching.starter import RunStarter

        self.program = program
        self.config = ConfigDirectory(program, config_path)
        self.record = LaunchRecord.create()
        self.starter = RunStarter(program, self.record)
        self.results: list[JobReturn] = []
        self.is_planning = is_planning()
        self.planned_runs: list[PlannedRun] = []
        self.scheduler: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.record.remove()

    def from_command_line(self) -> Any:
        """Run what ``sys.argv`` asks for, and return the task's value; exit if a run failed."""
        if self.is_planning:  # before anything fails: from here on it is known that this is a program of MLXP
            append_report([], self._command)
        try:
            arguments = self._adapted(parsed(sys.argv[1:]))
            if arguments is not None and arguments.is_plain_run:
                self.starter.planned = 1
            with self._under_way(arguments, report=self._add_planned):
                self._hydra_main(arguments)
            if self.planned_runs and not self.is_planning:
                return self._submitted()
        except MLXPError as error:
            sys.exit(str(error))
        except (KeyboardInterrupt, Terminated) as error:
            self._print_summary()
            number = signal_of(error)
            print(f"stopped by {number.name}", file=sys.stderr)  # noqa: T201 - the command line's answer
            sys.exit(exit_code(number))
        except SystemExit:
            self._print_summary()
            raise
        if arguments is not None and arguments.only_looks:
            return None
        if self.is_planning:
            append_report(self.planned_runs, self._command)
            sys.exit(0)
        return self._value_of_program()

    @property
    def _command(self) -> list[str]:
        return [sys.executable, *sys.orig_argv[1:]]

    def _add_planned(self, overrides: list[str], composed: "DictConfig") -> None:
        from omegaconf import OmegaConf

        from mlxp.launching.planned_run import planned_run

        scheduler: Any = OmegaConf.to_container(composed.mlxp.scheduler, resolve=True) if not self.is_planning else {}
        run = planned_run(self.program, overrides, composed)
        if self.planned_runs and scheduler != self.scheduler:
            raise InvalidConfigFileError(
                "the settings under mlxp.scheduler differ between the runs of this command line, which are submitted "
                "together; give each one value, and start the program once for each of them"
            )
        self.scheduler = scheduler
        self.planned_runs.append(run)

    def _submitted(self) -> None:
        from mlxp.jobs.self_submission import submit_planned
        from mlxp.running.settings import DEFAULTS

        code = submit_planned(self.planned_runs, DEFAULTS["scheduler"] | self.scheduler)
        if code:
            sys.exit(code)

    def _adapted(self, arguments: Arguments | None) -> Arguments | None:
        """Return the arguments that make a submitted run run once, and a planning program plan."""
        if arguments is None or arguments.only_looks:
            return arguments
        if self.is_planning:
            return arguments.without_mode()
        directory = claimed_directory()
        if directory is None:
            return arguments
        self.starter.own_overrides = frozenset(own_overrides(directory))
        return arguments.with_overrides(own_overrides(directory))

    def _value_of_program(self) -> Any:
        if self.starter.is_single:
            return self.results[0].return_value if self.results else self.record.runs()[0].value
        self._print_summary()
        failures = self._failures()
        if failures:
            sys.stdout.flush()
            sys.exit(failures)
        return self._sweep_results()

    def from_python(self, overrides: list[str], *, one_run_only: bool) -> SweepResults:
        """Run what the overrides ask for, and return the task's values; raise what went wrong."""
        from hydra.errors import CompactHydraException

        if self.is_planning:
            raise MLXPError("only a task that reads its command line can be submitted; this one was called from Python")
        arguments = Arguments({}, [without_plus(override) for override in overrides])
        try:
            with self._under_way(arguments, one_run_only=one_run_only):
                self._hydra_multirun(arguments.overrides)
        except SystemExit as error:
            from mlxp.launching.starter import RunExitedError

            raise RunExitedError(error.code) from None
        except Terminated as error:
            # The program that called us decides what a signal does to it.
            signal.raise_signal(error.signal_number)
            raise
        except Exception as error:
            trace = from_user_code(error.__traceback__)
            if isinstance(error, CompactHydraException) and trace is error.__traceback__:
                # The task was not called: the messages say all that the caller needs.
                cause = error.__cause__ and error.__cause__.with_traceback(None)
                if isinstance(cause, MLXPError):
                    raise cause from None
                raise error.with_traceback(None) from cause
            error.__traceback__ = trace
            raise
        results = self._sweep_results()
        failures = self._failures()
        if failures:
            raise SweepError(failures, list(results), results.log_ids)
        return results

    @contextlib.contextmanager
    def _under_way(
        self,
        arguments: Arguments | None,
        *,
        one_run_only: bool = False,
        report: Callable[[list[str], Any], None] | None = None,
    ) -> Iterator[None]:
        from mlxp.launching.hydra_app import prepared
        from mlxp.launching.sweeper import Plan, planned

        check = functools.partial(check_configuration, self.program)
        plan = Plan(check, self.starter.on_planned, one_run_only, self.results, report, self.is_planning)
        config_dirs = self.config.directories(arguments)
        hydra_ready = prepared(self.record.directory, self.program.directory, config_dirs, self.is_planning)
        try:
            with signals_raised(), hydra_ready, planned(plan):
                yield
        except BaseException as error:
            # Runs of other processes are ended with us; one that died, of lack of memory perhaps, could not say so.
            self.record.ask_to_stop()
            self.record.end_runs_under_way(
                signal_of(error) if isinstance(error, Terminated | KeyboardInterrupt) else None
            )
            raise

    def _hydra_main(self, arguments: Arguments | None) -> None:
        import hydra

        from mlxp.launching.hydra_app import VERSION_BASE

        self.starter.argv = argv = list(sys.argv)
        if arguments is not None:
            sys.argv = [argv[0], *arguments.to_argv()]
        try:
            main = hydra.main(config_path=self.config.hydra_path, config_name="config", **VERSION_BASE)
            main(self._hydra_function())()
        finally:
            sys.argv = argv

    def _hydra_multirun(self, overrides: list[str]) -> None:
        from mlxp.launching.hydra_app import initialized

        with initialized(self.config.hydra_path, self.config.package, self.program.task.__name__) as hydra:
            hydra.multirun(
                config_name="config",
                task_function=self._hydra_function(),
                overrides=overrides,
                with_log_configuration=False,
            )

    def _hydra_function(self) -> Callable[["DictConfig"], Any]:
        starter = self.starter

        # Hydra names the program after the function that this one wraps.
        @functools.wraps(self.program.task)
        def run(composed: "DictConfig") -> Any:
            return starter(composed)

        return run

    def _sweep_results(self) -> SweepResults:
        runs = self.record.runs()
        if not self.results:  # another sweeper was chosen, which keeps them to itself
            return SweepResults([run.value for run in runs], [run.log_id for run in runs])
        ids = {run.number: run.log_id for run in runs}
        values = [None if _has_failed(result) else result.return_value for result in self.results]
        return SweepResults(values, [ids.get(number) for number in range(len(values))])

    def _failures(self) -> str | None:
        """Return a line for each run that has failed or was not started; None if there is none."""
        runs = {run.number: run for run in self.record.runs()}
        total = max(len(self.results), len(runs))
        failed = [run for run in runs.values() if run.status != Status.COMPLETE]
        missing = [
            number for number in range(len(self.results)) if number not in runs and _has_failed(self.results[number])
        ]
        if not failed and not missing:
            return None
        lines = [f"{len(failed)} of {total} runs failed" + (f", {len(missing)} not started" * bool(missing)) + ":"]
        return "\n".join(
            [*lines, *(f"  run {run.log_id or '-'}: {' '.join(run.overrides)}: {run.error}" for run in failed)]
        )

    def _print_summary(self) -> None:
        from mlxp.launching.launch_record import summary

        runs = self.record.runs()
        if runs and not self.starter.is_single:
            print(summary(runs), flush=True)  # noqa: T201 - the command line's answer


def _has_failed(result: "JobReturn") -> bool:
    from hydra.core.utils import JobStatus

    return result.status is not JobStatus.COMPLETED
