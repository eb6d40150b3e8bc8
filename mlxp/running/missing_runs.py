"""Decides whether a run is missing: whether another one with its identity is complete, under way or waiting.

Of any number of processes that want the same run at once, one starts it: whoever holds the lock of the identity looks
once more, and creates the run's directory before it lets go. A file beside the lock names that run, since another host
may be late to see a new directory in a list, but not to see what a file says that it opens.
"""

import contextlib
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mlxp.errors import InvalidConfigFileError, LogDirectoryError, MLXPError
from mlxp.run_directory import yaml_lines
from mlxp.run_directory.files import read_mapping, to_yaml, write_yaml
from mlxp.run_directory.identity import (
    Rules,
    differing,
    digest,
    is_same_program,
    names_of_program,
    program_names,
    relative_name,
    spelled,
    values_of,
    version_of,
)
from mlxp.run_directory.known_runs import KnownRuns
from mlxp.run_directory.layout import CLAIMS_DIR
from mlxp.run_directory.locks import LockedError, locked
from mlxp.run_directory.status import Status
from mlxp.running.configuration import Program, recorded
from mlxp.running.recorded_configuration import keys_of_the_process
from mlxp.running.settings import Settings

_PATIENCE = 60.0
"""Seconds to wait for another process that is starting the same run."""


class KnownRun(NamedTuple):
    """The status of a run, all things considered, and what its files say."""

    status: Status
    info: Mapping[str, Any]
    submission: Mapping[str, Any]


States = Callable[[Path, Iterable[int]], Mapping[int, KnownRun]]
"""Returns what is known about runs in a directory, by id; whoever knows the schedulers provides it."""


@dataclass(frozen=True)
class Wanted:
    """A run that is wanted once.

    Attributes
    ----------
    parent
        Where its directory will be.
    program
        The path of the file that defines the task.
    config
        Its configuration, in the form in which config.yaml records it.
    rules, version
        What the user has declared about the identity of runs.
    """

    parent: Path
    program: str
    config: Mapping[str, Any]
    rules: Rules
    version: str

    @classmethod
    def of(
        cls, parent: str, program: str, config: Mapping[str, Any], declared: Mapping[str, Any], free: Iterable[str]
    ) -> "Wanted":
        """Return the run with this configuration.

        Parameters
        ----------
        parent, program, config
            See the attributes.
        declared
            The settings under ``mlxp.identity``.
        free
            The keys whose values do not tell one run from another: those that only the run's process knows.
        """
        keys = tuple(free)
        names = values_of(config) if keys else ()
        rules = Rules.of(declared.get("exclude") or (), declared.get("assume"))
        rules = rules.without(name for name in names if any(_is_part(name, key) for key in keys))
        return cls(Path(parent), program, config, rules, spelled(declared.get("version")))

    @functools.cached_property
    def identity(self) -> str:
        """What its configuration and that of the same run share."""
        return self.rules.identity(values_of(self.config))

    @functools.cached_property
    def name(self) -> str:
        """A name that it shares with the same run of another process."""
        # The path from the directory of the runs is the same wherever that is mounted.
        return digest(self.identity, self.version, relative_name(self.program, str(self.parent)))


def wanted_run(program: Program, settings: Settings, written: Any, plain: Any) -> Wanted:
    """Return the run of a program with a configuration, given with and without its interpolations.

    Values that only the run's process has, and secrets, which are not recorded, do not tell one run from another.

    Raises
    ------
    InvalidConfigFileError
        If the run would have no directory.
    """
    if not settings.use_logger:
        raise InvalidConfigFileError(
            "mlxp.only_missing=true asks which runs are there, but runs with mlxp.use_logger=false leave nothing "
            "behind; set mlxp.use_logger to true"
        )
    kept = recorded(written, plain)
    free = {*keys_of_the_process(written), *differing(plain, kept)}
    config = yaml_lines.load(to_yaml(kept)) or {}
    return Wanted.of(settings.logger.parent_log_dir, program.path, config, settings.identity.to_dict(), free)


class IsThereError(MLXPError):
    """A run was not started, since another one with its identity is there.

    Attributes
    ----------
    wanted, decision
        The run, and what was found.
    """

    def __init__(self, wanted: Wanted, decision: "Decision") -> None:
        super().__init__(decision.why)
        self.wanted = wanted
        self.decision = decision


def _is_part(name: str, key: str) -> bool:
    """Tell whether one of two names stands for a part of what the other stands for; items of lists have names, too."""
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")


@dataclass(frozen=True)
class Decision:
    """Whether a wanted run is there, and which run decides that."""

    is_there: bool
    why: str
    log_id: int | None = None
    status: Status | None = None


Once = Callable[[Program, Settings, Any, Any], contextlib.AbstractContextManager[Callable[[int], None]]]
"""Within its context, a run may be started: called with the program, the settings, and the configuration as it was
written and as it is; raises an IsThereError if the run is there. What it yields is told the id of the run."""


@contextlib.contextmanager
def in_any_case(*_: Any) -> Iterator[Callable[[int], None]]:
    """Let a run start, whether it is there or not."""
    yield lambda _: None


class Claim:
    """The right to start a wanted run, unless the decision says that it is there."""

    def __init__(self, decision: Decision, file: Path | None = None) -> None:
        self.decision = decision
        self._file = file

    def started(self, log_id: int) -> None:
        """Record which run it has become."""
        if self._file is not None:
            write_yaml(self._file, {"log_id": log_id})


class MissingRuns:
    """Tells which wanted runs are missing; can be pickled for other processes.

    Parameters
    ----------
    states
        Tells the status of runs.
    """

    def __init__(self, states: States) -> None:
        self._states = states
        self._known: dict[Path, KnownRuns] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_states": self._states, "_known": {}}

    def decisions(self, wanted: Sequence[Wanted]) -> list[Decision]:
        """Tell of each wanted run whether it is there; a run that is wanted twice is missing once."""
        found = self._found(wanted)
        first: dict[tuple[Path, str], None] = {}
        decisions = []
        for one, runs in zip(wanted, found, strict=True):
            decision = _decision(runs)
            key = (one.parent, one.name)
            if not decision.is_there and key in first:
                decision = Decision(True, "it is the same as a run above")
            first[key] = None
            decisions.append(decision)
        return decisions

    @contextlib.contextmanager
    def claimed(self, wanted: Wanted) -> Iterator[Claim]:
        """Within this context, no other process starts the same run; whether it is there is decided once more.

        Raises
        ------
        LogDirectoryError
            If nothing can be written where the run would be.
        """
        folder = wanted.parent / CLAIMS_DIR
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogDirectoryError(f"cannot create {folder}: {error.strerror or error}") from error
        file = folder / f"{wanted.name}.yaml"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked([file.with_suffix(".lock")], "starts the same run", wait=_PATIENCE))
            except LockedError as error:
                yield Claim(Decision(True, str(error).partition(";")[0]))
                return
            claimed = read_mapping(file).get("log_id")
            (runs,) = self._found([wanted], claimed if type(claimed) is int else None)
            yield Claim(_decision(runs), file)

    @contextlib.contextmanager
    def once(self, program: Program, settings: Settings, written: Any, plain: Any) -> Iterator[Callable[[int], None]]:
        """Let a run start only if it is missing, or if the settings choose its directory; see `Once`."""
        if settings.logger.forced_log_id >= 0:
            yield lambda _: None
            return
        wanted = wanted_run(program, settings, written, plain)
        with self.claimed(wanted) as claim:
            if claim.decision.is_there:
                raise IsThereError(wanted, claim.decision)
            yield claim.started

    def _found(self, wanted: Sequence[Wanted], claimed: int | None = None) -> list[dict[int, KnownRun]]:
        """Return for each wanted run those that are the same, by id; `claimed` is the id of one."""
        for parent in {one.parent for one in wanted}:
            self._known.setdefault(parent, KnownRuns(parent)).refresh()
        ids = [self._ids(one) + ([claimed] if claimed is not None else []) for one in wanted]
        asked: defaultdict[Path, set[int]] = defaultdict(set)
        for one, some in zip(wanted, ids, strict=True):
            asked[one.parent].update(some)
        known = {parent: self._states(parent, sorted(some)) if some else {} for parent, some in asked.items()}
        return [
            {log_id: run for log_id in sorted(set(some)) if (run := known[one.parent].get(log_id)) and _is(one, run)}
            for one, some in zip(wanted, ids, strict=True)
        ]

    def _ids(self, wanted: Wanted) -> list[int]:
        return self._known[wanted.parent].with_identity(wanted.rules, wanted.identity)


def _is(wanted: Wanted, run: KnownRun) -> bool:
    """Tell whether a run with the configuration of the wanted one has its program and its version, too."""
    names = names_of_program(wanted.program, str(wanted.parent))
    has_program = is_same_program(names, program_names(run.info, run.submission))
    return has_program and version_of(run.info, run.submission) == wanted.version


def _decision(runs: Mapping[int, KnownRun]) -> Decision:
    """Decide by the runs that are the same: the first complete one counts, or else the last that is there."""
    if not runs:
        return Decision(False, "was missing")
    complete = [log_id for log_id, run in runs.items() if run.status is Status.COMPLETE]
    there = [log_id for log_id, run in runs.items() if run.status.is_there]
    log_id = complete[0] if complete else there[-1] if there else max(runs)
    status = runs[log_id].status
    return Decision(status.is_there, f"run {log_id} is {status}", log_id, status)
