"""One run, from its composed configuration to its last status: what happens inside, whoever launches it.

A run is prepared first (settings checked, directory created, metadata written), then executed. Nothing here knows how
Hydra is started.
"""

import contextlib
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlxp.config_dict import ConfigDict
from mlxp.errors import InvalidConfigFileError, LogDirectoryError, MLXPError
from mlxp.run_directory.files import overwrite, read_yaml, to_yaml, write_yaml
from mlxp.run_directory.layout import LAYOUT_VERSION, RunDirectory
from mlxp.run_directory.liveness import heartbeat, process_exists
from mlxp.run_directory.status import Status
from mlxp.running.configuration import Context, Program, recorded, resolved_configuration, work_dir_of
from mlxp.running.endings import ending, from_user_code
from mlxp.running.plug_ins import created
from mlxp.running.provenance import made_from, modules_beside, packages, process_info, taken_rerun_of
from mlxp.running.recorded_configuration import CHANGED, ChangedConfigurationError, check_unchanged
from mlxp.running.secrets import without_secrets
from mlxp.running.settings import LoggerSettings
from mlxp.running.signals import signals_held, signals_raised
from mlxp.running.submitted_run import is_another_rank, scheduler_info, submission
from mlxp.version import __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlxp.logger import Logger

_log = logging.getLogger("mlxp")

_LONG = frozenset({"exit", "packages", "environment", "code"})
"""What info.yaml goes without where the disk is full."""


class Run:
    """A run that has been prepared: its directory is there, and the status is STARTING.

    Parameters
    ----------
    program
        What to run.
    composed
        The configuration as Hydra composed it, with the settings under ``mlxp``.
    overrides
        The overrides that the user gave for this run, for the record.

    Raises
    ------
    MLXPError
        If a setting is wrong, or the directory cannot be written; see `check_configuration`.
    """

    def __init__(self, program: Program, composed: "DictConfig", overrides: list[str]) -> None:
        from omegaconf import OmegaConf

        self.program = program
        self.process_id = os.getpid()
        config, self.settings = resolved_configuration(program, composed)
        if self.settings.use_scheduler:
            raise InvalidConfigFileError(
                "the setting mlxp.use_scheduler is true, but these runs would start here: submitted are those of a "
                "command line with given values, without another sweeper than mlxp and without hydra.mode; set "
                "mlxp.use_scheduler to false, or start the program like that"
            )
        as_set, plain = self._as_set(config)
        self.work_dir, version_manager = work_dir_of(self.settings)
        self.logger: Logger | None = None
        self.directory: RunDirectory | None = None
        self.written: RunDirectory | None = None  # the same, or None where another process writes it
        if self.settings.use_logger:
            chosen = self.settings.logger
            _refuse_if_alive(chosen)
            self.logger = logger = created("logger", chosen.name, chosen.arguments())
            self.directory = RunDirectory(Path(logger.log_dir))
            self.written = None if is_another_rank(self.directory.path) else self.directory
        self.info = ConfigDict(self._first_info(overrides, version_manager))
        self.context = Context(as_set, ConfigDict(self.settings.to_dict()), self.info, self.logger)
        to_record = recorded(OmegaConf.to_container(composed), plain)
        self._refuse_if_changed(to_record)
        if self.written is not None:
            self._write_info()
            write_yaml(self.written.config_file, to_record)
            write_yaml(self.written.mlxp_file, without_secrets(self.settings.to_dict()))

    def _refuse_if_changed(self, config: Any) -> None:
        if self.directory is None:
            return
        try:
            check_unchanged(self.directory, config)
        except ChangedConfigurationError as error:
            end = {"reason": CHANGED, "code": 1, "signal": None, "traceback": None, "message": str(error)}
            self.info.update(status=Status.REFUSED.value, exit=end, ended_at=self.info.started_at)
            self._write_info()
            self._close_logger()
            raise

    def _as_set(self, config: "DictConfig") -> tuple[Any, Any]:
        """Return the configuration as the task gets it, and as plain dicts and lists."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            plain: Any = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise InvalidConfigFileError(f"the configuration cannot be resolved: {error}") from error
        return (ConfigDict(plain) if self.settings.as_ConfigDict else config), plain

    def _first_info(self, overrides: list[str], version_manager: Any) -> dict[str, Any]:
        earlier = _earlier_info(self.directory)
        now = datetime.now().astimezone()
        return {
            "status": Status.STARTING.value,
            "current_file_path": self.program.file,
            **process_info(),
            "start_date": now.strftime("%d/%m/%Y"),
            "start_time": now.strftime("%H:%M:%S"),
            "end_date": "",
            "end_time": "",
            "work_dir": self.work_dir,
            "logger": self.logger.get_info() if self.logger else None,
            "scheduler": scheduler_info(self.directory) or earlier.get("scheduler"),
            "version_manager": version_manager or submission(self.directory).get("version_manager"),
            "mlxp_version": __version__,
            "layout": LAYOUT_VERSION,
            "started_at": now.isoformat(timespec="milliseconds"),
            "ended_at": None,
            "duration": None,
            "attempt": self._attempt(earlier),
            "command": list(self.program.command) or None,
            "overrides": overrides,
            "rerun_of": taken_rerun_of(),
            "exit": None,
            **self._made_from(),
            "python": platform.python_version(),
            "packages": packages(),
            "heartbeat": self.settings.heartbeat,
        }

    def _check_is_from_copy(self) -> None:
        """Refuse to run in a copy of the code where a part of the code is not the copy's."""
        copy = (self.info.get("code") or {}).get("copy")
        beside = modules_beside(Path(copy)) if copy else []
        if beside:
            raise MLXPError(
                f"these modules come from {self.info.code['top']}, and not from the copy of the code in {copy}: "
                f"{', '.join(beside)}; install the project in another way, or start Python without -I and -E"
            )

    def _made_from(self) -> dict[str, Any]:
        parent = self.written.path.parent if self.written is not None else None
        return made_from(self.program.directory, parent, capture=self.settings.capture)

    def _attempt(self, earlier: dict[str, Any]) -> int:
        if self.directory is not None and self.written is None:  # the first process may have counted already
            return int(submission(self.directory).get("attempt", 1))
        return earlier.get("attempt", 1) + 1 if earlier else 1

    def _write_info(self) -> None:
        if self.written is None:
            return
        try:
            write_yaml(self.written.info_file, without_secrets(self.info.to_dict()))
        except LogDirectoryError:
            # On a full disk, what is shorter than before still finds place where it was.
            short = without_secrets({name: value for name, value in self.info.to_dict().items() if name not in _LONG})
            if not overwrite(self.written.info_file, to_yaml(short)):
                raise

    def execute(self) -> Any:
        """Call the task and return its value; whatever happens, the status tells the truth afterwards.

        Raises
        ------
        BaseException
            What the task raised; `Terminated` or KeyboardInterrupt if a signal ended the run.
        LogDirectoryError
            If the task ended well, but its status could not be written.
        """
        try:
            with signals_raised(), self._heartbeat(), _working_directory(self.work_dir):
                value = self._call_task()
        except BaseException as error:
            error.__traceback__ = from_user_code(error.__traceback__)
            if os.getpid() != self.process_id:
                _leave_forked_process(error)
            with signals_held():
                self._end(error)
            if isinstance(error, SystemExit) and self.info.status == Status.COMPLETE:
                return None
            raise
        if os.getpid() != self.process_id:
            _leave_forked_process(None)
        with signals_held():
            self._end(None)
        return value

    def _heartbeat(self) -> contextlib.AbstractContextManager[None]:
        if self.written is None:
            return contextlib.nullcontext()
        return heartbeat(self.written.info_file, self.settings.heartbeat)

    def _call_task(self) -> Any:
        if self.program.seeding_function is not None:
            self.program.seeding_function(self.context.config["seed"])
        self._check_is_from_copy()
        self.info.status = Status.RUNNING.value
        self._write_info()
        return self.program.task(self.context)

    def _end(self, error: BaseException | None) -> None:
        end = ending(error)
        now = datetime.now().astimezone()
        self.info.update(
            status=end.pop("status"),
            end_date=now.strftime("%d/%m/%Y"),
            end_time=now.strftime("%H:%M:%S"),
            ended_at=now.isoformat(timespec="milliseconds"),
            duration=round((now - datetime.fromisoformat(self.info.started_at)).total_seconds(), 3),
            packages=packages(),
        )
        self.info["exit"] = end
        problems = [problem for problem in map(_problem_of, (self._close_logger, self._write_info)) if problem]
        if error is not None and self.settings.logger.log_streams_to_file:
            self._append_traceback(error)
        if problems and error is None:
            raise problems[0]
        for problem in problems:
            _log.error("run in %s: %s", self.info.work_dir, problem)

    def _close_logger(self) -> None:
        if self.logger is not None:
            self.logger.close()

    def _append_traceback(self, error: BaseException) -> None:
        """Add to log.stderr what is printed only when the streams are not copied any more."""
        from mlxp.running.streams import goes_to

        if self.written is not None and not goes_to("stderr", self.written.stderr):
            with contextlib.suppress(OSError), self.written.stderr.open("a", encoding="utf-8") as file:
                traceback.print_exception(error, file=file)


def _problem_of(step: Callable[[], None]) -> Exception | None:
    """Return what a step of the end raises, which must not keep the next one from being taken."""
    try:
        step()
    except Exception as problem:  # noqa: BLE001 - a user's own logger may raise anything
        return problem
    return None


def _leave_forked_process(error: BaseException | None) -> NoReturn:
    """End a copy of the process that the task made by forking, and that came back from the task as the run does."""
    code = int(error is not None)
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # whatever the task has done to the streams, this copy must not go on as the run
        os._exit(code)


def _refuse_if_alive(settings: LoggerSettings) -> None:
    forced = settings.forced_log_id
    if forced < 0:
        return
    directory = RunDirectory(Path(settings.parent_log_dir, str(forced)))
    info = _earlier_info(directory)
    if is_another_rank(directory.path):
        return
    under_way = info.get("status") in (Status.STARTING, Status.RUNNING)
    here = info.get("hostname") == process_info()["hostname"]
    if under_way and here and info.get("process_id") != os.getpid() and process_exists(info.get("process_id")):
        raise LogDirectoryError(
            f"run {forced} in {directory.path.parent} is still running, as process {info['process_id']}; "
            "wait until it has ended, or stop it"
        )


def _earlier_info(directory: RunDirectory | None) -> dict[str, Any]:
    if directory is None:
        return {}
    try:
        info = read_yaml(directory.info_file)
    except Exception:  # noqa: BLE001 - a damaged file of an earlier attempt must not stop the next one
        return {"attempt": 1}
    return info if isinstance(info, dict) else {}


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
