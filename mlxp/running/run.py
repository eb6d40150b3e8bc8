"""One run, from its composed configuration to its last status, whoever launches it.

A run is first prepared (settings checked, directory created, metadata written), then executed. Nothing here knows how
Hydra is started.
"""

import contextlib
import functools
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlxp.config_dict import ConfigDict
from mlxp.errors import InvalidConfigFileError, LogDirectoryError
from mlxp.printing import flush, show
from mlxp.run_directory.batches import batch_of
from mlxp.run_directory.checked import RANK
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import LAYOUT_VERSION, RunDirectory
from mlxp.run_directory.lineage import loaded_runs, seen_from
from mlxp.run_directory.liveness import heartbeat, process_start
from mlxp.run_directory.ranks import RANKS, forget_earlier, with_failed_rank
from mlxp.run_directory.status import Status
from mlxp.running.attempts import remember_attempt
from mlxp.running.claim import goes_on
from mlxp.running.code_remarks import checked_code, tell_of_code, tell_of_copy
from mlxp.running.configuration import (
    Context,
    Program,
    recorded,
    resolved_configuration,
    task_and_plain_configuration,
    work_dir_of,
)
from mlxp.running.copies import current_copy
from mlxp.running.endings import described, ending, from_user_code, traceback_text, with_words
from mlxp.running.environment import late_facts
from mlxp.running.info_file import InfoFile
from mlxp.running.missing_runs import Once, in_any_case
from mlxp.running.plug_ins import created
from mlxp.running.preemption import ask_for_queue, forget_warnings, with_wish
from mlxp.running.provenance import made_from, packages, process_info
from mlxp.running.rank import rank, ranks
from mlxp.running.recorded_configuration import CHANGED, ChangedConfigurationError, check_unchanged
from mlxp.running.repeated_run import repeated_run, taken_rerun_of
from mlxp.running.resources import Resources
from mlxp.running.secrets import masked, without_secrets
from mlxp.running.settings import LoggerSettings, Settings
from mlxp.running.signals import preempted_if_told, signals_held, signals_raised
from mlxp.running.storable import storable
from mlxp.running.submitted_run import is_another_rank, scheduler_info, submission
from mlxp.version import __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlxp.logger import Logger

_log = logging.getLogger("mlxp")


class StartedRun:
    """A run that has been prepared: its directory exists, and its status is STARTING.

    Parameters
    ----------
    program
        What to run.
    composed
        The configuration as Hydra composed it, with the settings under ``mlxp``.
    overrides
        The overrides that the user gave for this run, for the record.
    in_place
        Whether nobody else uses the composed configuration, which saves a copy.
    once
        Decides whether the run is done at all.

    Raises
    ------
    IsThereError
        If the run is not to be done, since it is there.
    MLXPError
        If a setting is wrong, or the directory cannot be written; see `check_configuration`.
    """

    def __init__(
        self,
        program: Program,
        composed: "DictConfig",
        overrides: list[str],
        *,
        in_place: bool = False,
        once: Once = in_any_case,
    ) -> None:
        self.program = program
        self.process_id = os.getpid()
        self.repeated = repeated_run(overrides)
        if self.repeated is not None:
            composed = self.repeated.composed(composed)
        config, self.settings, written = resolved_configuration(program, composed, in_place=in_place)
        _refuse_to_submit(self.settings)
        as_set, plain = task_and_plain_configuration(config, self.settings)
        with once(program, self.settings, written, plain) as started:
            self._prepare(overrides, written, as_set, plain)
            if self.directory is not None:
                started(self.directory.log_id)

    def _prepare(self, overrides: list[str], written: Any, as_set: Any, plain: Any) -> None:
        where = work_dir_of(self.settings, self.program)
        self.work_dir, self.code = where.path, where.code
        tell_of_copy(is_copied=where.code is not None)
        self.logger: Logger | None = None
        self.directory: RunDirectory | None = None
        self.written: RunDirectory | None = None  # the same, or None where another process writes it
        if self.settings.use_logger:
            chosen = self.settings.logger
            _refuse_if_alive(chosen)
            self.logger = logger = created("logger", chosen.name, chosen.arguments())
            self.directory = RunDirectory(Path(logger.log_dir))
            self.written = None if is_another_rank(self.directory.path) else self.directory
        facts = self._first_facts(overrides, where.version_manager)
        self.info = InfoFile(facts, self.written.info_file if self.written is not None else None)
        self.context = Context(as_set, ConfigDict(self.settings.to_dict()), self.info.shown, self.logger)
        try:
            kept = recorded(written, plain)
            if self.repeated is not None:
                self.repeated.check_same(kept, written)
            self._write_first_files(kept)
        except BaseException as error:
            self._give_up(error)
            raise

    def _first_facts(self, overrides: list[str], version_manager: Any) -> dict[str, Any]:
        earlier, submitted = _earlier_info(self.directory), submission(self.directory)
        self.ended_before, self.earlier = earlier.get("ended_at"), earlier
        now = datetime.now().astimezone()
        facts = {
            "status": Status.STARTING.value,
            "current_file_path": self.program.file,
            **process_info(),
            "start_date": now.strftime("%d/%m/%Y"),
            "start_time": now.strftime("%H:%M:%S"),
            "end_date": "",
            "end_time": "",
            "work_dir": self.work_dir,
            "logger": None,
            "scheduler": scheduler_info(self.directory) or earlier.get("scheduler"),
            "version_manager": version_manager or submitted.get("version_manager"),
            "batch": batch_of(earlier, submitted) or self.settings.batch or _own_batch(self.program, self.directory),
            "mlxp_version": __version__,
            "layout": LAYOUT_VERSION,
            "started_at": now.isoformat(timespec="milliseconds"),
            "ended_at": None,
            "duration": None,
            "attempt": self._attempt(earlier),
            "command": list(self.program.command) or None,
            "overrides": overrides,
            "rerun_of": taken_rerun_of(),
            **dict.fromkeys(("exit", "git", "code", "code_changed", "environment")),  # known later
            "parents": [],
            "resources": None,
            "python": platform.python_version(),
            "packages": packages(),
            "heartbeat": self.settings.heartbeat,
            "process_start": process_start(self.process_id),
        }
        version = self.settings.identity.version
        facts |= {"identity": {"version": version}} if version is not None else {}
        # If the run was not submitted, each process has a directory of its own.
        return facts | ({RANKS: ranks()} if ranks() > 1 and submission(self.directory) else {})

    def _made_from(self) -> dict[str, Any]:
        parent = self.written.path.parent if self.written is not None else None
        own = self.repeated.code if self.repeated is not None else self.code if current_copy() is not None else None
        known = submission(self.directory).get("code") or own
        facts = made_from(self.program.directory, parent, capture=self.settings.capture, submitted=known)
        tell_of_code(facts)
        return facts

    def _attempt(self, earlier: dict[str, Any]) -> int:
        submitted = int(submission(self.directory).get("attempt") or 1)
        if self.directory is not None and self.written is None:  # the first process may have counted already
            return submitted
        return max(submitted, (earlier.get("attempt") or 1) + 1) if earlier else submitted

    def _write_first_files(self, configuration: Any) -> None:
        if self.directory is not None:
            check_unchanged(self.directory, configuration)
        if self.logger is not None:
            self.info.update(logger=self.logger.get_info())
        if self.written is not None:
            forget_earlier(self.written.metadata, self.ended_before)
            if self.earlier:
                remember_attempt(self.written, self.earlier, self.info.shown)
            self.info.write()
            write_yaml(self.written.config_file, configuration)
            write_yaml(self.written.mlxp_file, storable(without_secrets(self.settings.to_dict())))
        elif self.directory is not None:  # what this process said in an earlier attempt is no longer true
            self.directory.rank_file(rank()).unlink(missing_ok=True)
        self.info.update(**self._made_from())  # last, since it may take all that a disk has left

    def _give_up(self, error: BaseException) -> None:
        """Record that the run ended before it began, if anything can be written."""
        end = with_words(ending(error), error)
        if isinstance(error, ChangedConfigurationError):
            end |= {"status": Status.REFUSED.value, "reason": CHANGED, "traceback": None, "changes": error.changes}
        with signals_held():
            for step in (self._close_logger, functools.partial(self._write_end, end)):
                _problem_of(step)

    def execute(self) -> Any:
        """Call the task and return its value; whatever happens, the status is true afterwards.

        Raises
        ------
        BaseException
            What the task raised; `Terminated` or KeyboardInterrupt if a signal ended the run.
        LogDirectoryError
            If the task ended well, but its status could not be written.
        """
        try:
            with (
                signals_raised(),
                self._heartbeat(),
                _working_directory(self.work_dir),
                _observed(self.info, self.directory),
            ):
                value = self._call_task()
        except BaseException as error:
            error.__traceback__ = from_user_code(error.__traceback__)
            if os.getpid() != self.process_id:
                _leave_forked_process(error)
            self._end(error)
            if isinstance(error, SystemExit) and self.status == Status.COMPLETE:
                return None
            raise
        if os.getpid() != self.process_id:
            _leave_forked_process(None)
        self._end(None)
        return value

    @property
    def status(self) -> str:
        """The status of the run."""
        return str(self.info.facts["status"])

    @property
    def duration(self) -> float | None:
        """How many seconds the run took; None while it goes on."""
        seconds: float | None = self.info.facts["duration"]
        return seconds

    def _heartbeat(self) -> contextlib.AbstractContextManager[None]:
        if self.written is None:
            return contextlib.nullcontext()
        return heartbeat(self.written.info_file, self.settings.heartbeat)

    def _call_task(self) -> Any:
        if self.program.seeding_function is not None:
            self.program.seeding_function(self.context.config["seed"])
        self.info.update(status=Status.RUNNING.value, **checked_code(self.info.facts))
        self.info.write()
        if self.directory is not None and self.written is None:
            _write_word_of_rank(self.directory, self.info.facts)
        forget_warnings()
        with preempted_if_told():
            return self.program.task(self.context)

    def _end(self, error: BaseException | None) -> None:
        """Record how the run ended: first what is certain, then the text of the exception."""
        end = with_wish(ending(error), self.written)
        write, ask = functools.partial(self._write_end, end), functools.partial(ask_for_queue, end, self.written)
        with signals_held():
            found = [_problem_of(step) for step in (self._close_logger, write, ask)]
        problems = [problem for problem in found if problem is not None]
        if error is None:
            if problems:
                raise problems[0]
            return
        with contextlib.suppress(BaseException):  # its words are its own; nothing depends on them
            self._write_end(with_words(end, error))
            if self.written is not None and self.settings.logger.log_streams_to_file:
                _append_traceback(self.written.stderr, error)
        for problem in problems:
            _log.error("run in %s: %s", self.work_dir, described(problem))

    def _write_end(self, end: dict[str, Any]) -> None:
        now = datetime.now().astimezone()
        started = datetime.fromisoformat(self.info.facts["started_at"])
        said = {name: value for name, value in end.items() if name != "status"}
        self.info.update(
            status=end["status"],
            end_date=now.strftime("%d/%m/%Y"),
            end_time=now.strftime("%H:%M:%S"),
            ended_at=now.isoformat(timespec="milliseconds"),
            duration=round((now - started).total_seconds(), 3),
            packages=packages(),
            exit=said,
        )
        if self.written is not None:
            known = with_failed_rank(self.info.facts, self.written.metadata)
            self.info.update(status=known["status"], exit=known["exit"])
            self.info.write()
        elif self.directory is not None:
            _write_word_of_rank(self.directory, self.info.facts)

    def _close_logger(self) -> None:
        if self.logger is not None:
            self.logger.close()


def _own_batch(program: Program, directory: RunDirectory | None) -> str | None:
    """Return the name of the batch that a run belongs to without having been told; None if it belongs to none."""
    ask = program.name_of_batch
    return ask(directory.log_id) if ask is not None and directory is not None else None


def _append_traceback(file: Path, error: BaseException) -> None:
    """Add the traceback to log.stderr, since it is printed only when the streams are no longer copied."""
    from mlxp.running.streams import goes_to

    if not goes_to("stderr", file):
        with file.open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(masked(traceback_text(error)))


def _write_word_of_rank(directory: RunDirectory, facts: Mapping[str, Any]) -> None:
    """Write that a process goes on, or failed; a process that has finished leaves no file."""
    file = directory.rank_file(rank())
    if facts["status"] == Status.COMPLETE:
        file.unlink(missing_ok=True)
    else:
        # While it goes on, the word is for the case that it dies without another one.
        with contextlib.suppress(*([OSError] if facts["status"] == Status.RUNNING else [])):
            file.parent.mkdir(exist_ok=True)
            write_yaml(file, without_secrets({name: facts[name] for name in RANK}))
    with contextlib.suppress(OSError):
        os.utime(directory.info_file)  # so that whoever has read it looks again


@contextlib.contextmanager
def _observed(info: InfoFile, directory: RunDirectory | None) -> Iterator[None]:
    """Within this context, record what the task costs, and from which other runs it loads something."""
    own = str(directory.path) if directory is not None else None
    with Resources() as resources, loaded_runs() as runs:
        try:
            yield
        finally:
            parents = list(dict.fromkeys(seen_from(run, own) for run in runs))
            parents = [parent for parent in parents if parent != "."]
            info.update(resources=resources.used(), parents=parents)
            if info.facts["environment"] is not None:
                info.update(environment={**info.facts["environment"], **late_facts()})


def _problem_of(step: Callable[[], None]) -> BaseException | None:
    """Return what a step of ending the run raises, which must not prevent the next step."""
    try:
        step()
    except BaseException as problem:  # noqa: BLE001 - a user's own logger may raise anything
        return problem
    return None


def _leave_forked_process(error: BaseException | None) -> NoReturn:
    """End a copy of the process that the task made by forking, and that returned from the task as the run does."""
    code = int(error is not None)
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            show(traceback_text(error), "stderr")
        flush()
    finally:  # whatever the task has done to the streams, this copy must not go on as the run
        os._exit(code)


def _refuse_to_submit(settings: Settings) -> None:
    if settings.use_scheduler:
        raise InvalidConfigFileError(
            "the setting mlxp.use_scheduler is true, but these runs would start here: MLXP submits only "
            "runs whose values the command line gives, without another sweeper and without hydra.mode; set "
            "mlxp.use_scheduler to false, or start the program that way"
        )


def _refuse_if_alive(settings: LoggerSettings) -> None:
    forced = settings.forced_log_id
    if forced < 0:
        return
    directory = RunDirectory(Path(settings.parent_log_dir, str(forced)))
    info = _earlier_info(directory)
    if is_another_rank(directory.path) or not info:
        return
    if goes_on(info, directory):
        raise LogDirectoryError(
            f"run {forced} in {directory.path.parent} is still running, as process {info.get('process_id')} on "
            f"{info.get('hostname')}; wait until it has ended, or stop it"
        )


def _earlier_info(directory: RunDirectory | None) -> dict[str, Any]:
    if directory is None or not directory.info_file.exists():
        return {}
    return directory.info() or {"attempt": 1}  # a damaged file of an earlier attempt does not stop the next one


@contextlib.contextmanager
def _working_directory(path: str) -> Iterator[None]:
    before = Path.cwd()
    if Path(path) == before:
        yield
        return
    os.chdir(path)
    sys.path.insert(0, path)
    try:
        yield
    finally:
        os.chdir(before)
        with contextlib.suppress(ValueError):
            sys.path.remove(path)
