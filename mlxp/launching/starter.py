"""What Hydra calls for each run, in this process or another: it starts the run and records how it ended."""

import contextlib
import logging
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlxp.errors import InvalidConfigFileError, MLXPError
from mlxp.launching.launch_record import LaunchRecord
from mlxp.printing import show
from mlxp.run_directory.files import read_yaml, write_yaml
from mlxp.run_directory.printable import printable
from mlxp.run_directory.status import Status
from mlxp.running.configuration import Program
from mlxp.running.endings import first_line, from_user_code, is_preemption, signal_in, traceback_text
from mlxp.running.missing_runs import Decision, IsThereError, MissingRuns, Once, States, in_any_case
from mlxp.running.plan_report import is_planning
from mlxp.running.provenance import process_info
from mlxp.running.run import StartedRun
from mlxp.running.secrets import without_secrets

if TYPE_CHECKING:
    from omegaconf import DictConfig

_log = logging.getLogger("mlxp")


class RunExitedError(MLXPError, RuntimeError):
    """The task called ``sys.exit`` with a code that means failure.

    Attributes
    ----------
    code
        What ``sys.exit`` was called with.
    """

    def __init__(self, code: object) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the task called sys.exit({self.code!r})"


class NotStartedError(MLXPError, RuntimeError):
    """A run was not started because one before it failed."""


class RunStarter:
    """Starts one run after another; launchers of Hydra copy it to other processes by pickling it.

    Parameters
    ----------
    program
        What to run.
    record
        Where to record how each run ended.
    argv
        The command line that the task is to see in ``sys.argv``; None to leave it alone.
    own_overrides
        The overrides that MLXP added to the user's.
    states
        Tells the status of runs, for those that are started only if they are missing.

    Attributes
    ----------
    planned
        How many runs there will be; None if that is not known.
    numbers
        The numbers of the runs that are started, in the sweep as it was asked for; None if all are.
    reasons
        By number, why a run that is started only if it is missing is started.
    only_lists
        Whether the runs were listed, and none is started.
    is_of_sweep
        Whether MLXP's own sweeper has planned the runs.
    """

    def __init__(
        self,
        program: Program,
        record: LaunchRecord,
        argv: list[str] | None = None,
        own_overrides: frozenset[str] = frozenset(),
        *,
        states: States,
    ) -> None:
        self.program = program
        self.record = record
        self.launching_process = os.getpid()
        self.planned: int | None = None
        self.keep_going = True
        self.owns_configurations = False
        self.argv = argv
        self.own_overrides = own_overrides
        self.missing = MissingRuns(states)
        self.numbers: list[int] | None = None
        self.reasons: dict[int, str] = {}
        self.only_lists = False
        self.is_of_sweep = False

    @property
    def is_single(self) -> bool:
        """Whether there is only one run, whose exception and exit code become the program's."""
        return self.planned == 1

    def on_planned(self, number_of_runs: int, keep_going: bool, owns_configurations: bool) -> None:
        """Note how many runs there will be, whether to go on when one fails, and whether to change what we get."""
        self.planned = number_of_runs
        self.is_of_sweep = True
        self.keep_going = keep_going
        self.owns_configurations = owns_configurations

    def __call__(self, composed: "DictConfig") -> Any:
        """Run the task on the configuration that Hydra composed."""
        if self.record.is_stopped:
            raise NotStartedError("an earlier run failed")
        if self._is_launching_process and self.argv is not None:
            sys.argv = list(self.argv)
        if is_planning():
            raise NotStartedError("the program only reports what it would run")
        job, overrides = _number_and_overrides()
        number = job if self.numbers is None else self.numbers[job]
        overrides = [override for override in overrides if override not in self.own_overrides]
        run = self._prepared(number, overrides, composed)
        if run is None:
            return None
        with self._output_directory_removed_if_empty():
            return self._executed(number, overrides, run)

    @contextlib.contextmanager
    def _output_directory_removed_if_empty(self) -> Iterator[None]:
        """Remove the directory that Hydra makes for each run, beside our own, unless something was put into it."""
        from hydra.core.hydra_config import HydraConfig

        config = HydraConfig.get()
        if config.output_subdir is not None:
            _mask_secrets_in(Path(config.runtime.output_dir, config.output_subdir))
        try:
            yield
        finally:
            folder = Path(config.runtime.output_dir)
            if not config.job.chdir:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            if folder.exists() and self.record.directory in folder.parents:
                _log.warning(
                    "what the task has put into Hydra's output directory stays in %s; hydra.sweep.dir=DIR chooses "
                    "another place, and ctx.logger.log_dir is the directory of the run",
                    folder,
                )

    def _executed(self, number: int, overrides: list[str], run: StartedRun) -> Any:
        try:
            value = run.execute()
        except BaseException as error:  # noqa: BLE001 - recorded, then raised again in every case
            self._record_end(number, run, error=first_line(error))
            self._fail(error, run, overrides)
        self._record_end(number, run, value=value if _is_plain(value) else None)
        return value

    @property
    def _is_launching_process(self) -> bool:
        return os.getpid() == self.launching_process

    @property
    def starts_none(self) -> bool:
        """Whether no run is started, as was decided before the first one."""
        return self.only_lists or self.numbers == []

    def select(self, numbers: list[int], reasons: dict[int, str]) -> None:
        """Note which runs are started, and why."""
        self.numbers = numbers
        self.reasons = reasons

    def note_left_out(self, number: int, overrides: list[str], parent: Path | str, decision: Decision) -> None:
        """Record that a run is not started, since it is there."""
        log_dir = str(Path(parent) / str(decision.log_id)) if decision.log_id is not None else None
        status = decision.status.value if decision.status is not None else ""
        self.record.add(
            number, overrides=overrides, log_dir=log_dir, status=status, is_left_out=True, reason=decision.why
        )

    def _once(self, composed: "DictConfig") -> Once:
        """Return what decides whether a run is started."""
        from mlxp.launching.sweep_settings import given_in

        if self.is_of_sweep:
            return self.missing.once if self.numbers is not None else in_any_case
        asked = given_in(composed)
        if self.planned is None and any(asked.values()):
            names = ", ".join(f"mlxp.{name}" for name, value in asked.items() if value)
            raise InvalidConfigFileError(
                f"{names} is for a sweep of given values by MLXP's own sweeper, while another one chooses the values "
                "of each run; leave it out, or remove hydra/sweeper"
            )
        if asked["dry_run"]:
            raise InvalidConfigFileError(
                "mlxp.dry_run=true lists the runs of a sweep, which hydra.mode=RUN does not plan; leave one of them out"
            )
        return self.missing.once if asked["only_missing"] else in_any_case

    def _prepared(self, number: int, overrides: list[str], composed: "DictConfig") -> StartedRun | None:
        from hydra.errors import CompactHydraException

        self._resume_if_requeued(number, composed)
        try:
            once = self._once(composed)
            program = self.program if self.is_single else replace(self.program, name_of_batch=self.record.batch)
            run = StartedRun(program, composed, overrides, in_place=self.owns_configurations, once=once)
        except IsThereError as there:
            self.note_left_out(number, overrides, there.wanted.parent, there.decision)
            return None
        except MLXPError as error:
            self.record.add(number, overrides=overrides, status=Status.FAILED.value, error=str(error))
            self._stop_others()
            if not self.is_single:
                show(printable(f"{' '.join(overrides)}: {error}"), "stderr")
            raise CompactHydraException(str(error)) from error
        except BaseException as error:  # noqa: BLE001 - a user's own logger or version manager may raise anything
            self.record.add(number, overrides=overrides, status=Status.FAILED.value, error=first_line(error))
            self._fail(error, None, overrides)
        host = process_info()
        log_dir = str(run.directory.path) if run.directory else None
        facts = {"overrides": overrides, "log_dir": log_dir, "reason": self.reasons.get(number)}
        self.record.add(number, hostname=host["hostname"], process_id=host["process_id"], **facts)
        return run

    def _resume_if_requeued(self, number: int, composed: "DictConfig") -> None:
        """Let a run that submitit preempted, and has started again, go on in its own directory."""
        if "submitit" not in sys.modules:
            return
        earlier = next((run for run in self.record.runs() if run.number == number), None)
        if earlier is not None and earlier.log_id is not None:
            composed.mlxp.logger.forced_log_id = earlier.log_id

    def _record_end(self, number: int, run: StartedRun, **facts: Any) -> None:
        self.record.add(number, status=run.status, duration=run.duration, **facts)

    def _stop_others(self) -> None:
        if not self.keep_going:
            self.record.ask_to_stop()

    def _fail(self, error: BaseException, run: StartedRun | None, overrides: list[str]) -> NoReturn:
        if signal_in(error) is not None or is_preemption(error):
            raise error
        self._stop_others()
        error.__traceback__ = from_user_code(error.__traceback__)
        if not (self.is_single and self._is_launching_process):
            name = f"run {run.directory.log_id}" if run and run.directory else "run"
            show(printable(f"{name} failed: {' '.join(overrides)}\n{traceback_text(error)}"), "stderr")
        if isinstance(error, SystemExit):
            if self.is_single and not self.is_of_sweep:  # no sweeper waits for the run, so the program ends with it
                raise error
            raise RunExitedError(error.code) from None
        is_ours = self._is_launching_process and (self.is_single or isinstance(error, Exception))
        if not is_ours and not _is_picklable(error):
            raise RuntimeError(first_line(error)) from None
        raise error


def _number_and_overrides() -> tuple[int, list[str]]:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    config = HydraConfig.get()
    number = 0 if OmegaConf.is_missing(config.job, "num") else int(config.job.num)
    overrides: Any = OmegaConf.to_container(config.overrides.task)  # as they were given, interpolations and all
    return number, overrides


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _is_picklable(error: BaseException) -> bool:
    """Whether an exception can be sent to the process that waits for the run without ending that process."""
    if not isinstance(error, Exception):
        return False
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what this process has pickled itself
    except Exception:  # noqa: BLE001 - whatever goes wrong there means no
        return False
    return True


def _mask_secrets_in(folder: Path) -> None:
    """Mask the secrets in the files that Hydra writes where ``hydra.output_subdir`` asks it to."""
    for file in folder.glob("*.yaml"):
        with contextlib.suppress(OSError, ValueError, MLXPError):
            content = read_yaml(file)
            without = without_secrets(content)
            if without != content:
                write_yaml(file, without)
