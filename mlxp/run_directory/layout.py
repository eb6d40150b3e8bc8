"""The run directory: every file and folder name, the allocation of ids, and the writing of whole files.

This is the one place that joins paths. It imports nothing heavy, since both the writing and the reading side use it.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidKeyError, LogDirectoryError
from mlxp.run_directory.checked import CLAIM, INFO, SUBMISSION, checked
from mlxp.run_directory.files import read_mapping
from mlxp.run_directory.ranks import RANKS, with_ranks

LAYOUT_VERSION = 2
"""Version of the run directory's format; directories of MLXP 1 have none."""

CACHE_DIR = ".mlxp"
"""Folder beside the runs for what can be derived from them; deleting it loses nothing."""

IDS_DIR = ".ids"
"""Folder beside the runs with a file named after the highest id that was ever given out."""

STORE_DIR = ".store"
"""Folder beside the runs for what they were made from, which cannot be recreated: code states, environments."""

SWEEPS_DIR = ".launch"
"""Folder beside the runs for what Hydra's own plug-ins leave (submitit's job files, Optuna's results)."""

CLAIMS_DIR = ".claims"
"""Folder beside the runs with a file for each run that was started only because it was missing."""

_BESIDE_RUNS = frozenset({CACHE_DIR, CLAIMS_DIR, IDS_DIR, STORE_DIR, SWEEPS_DIR})

STEP_KEYS = ("step", "epoch", "iteration")
"""The keys that tell the step of a record, the first one that there is."""

RESERVED_LOG_NAMES = frozenset({"info", "config", "mlxp", "artifacts"})
"""Names that a metrics file cannot have, since columns of the reader start with them."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory of one run, and the path of everything in it.

    Examples
    --------
    >>> RunDirectory(Path("logs/7")).info_file.as_posix()
    'logs/7/metadata/info.yaml'
    """

    path: Path

    @property
    def log_id(self) -> int:
        """The run's id, which is the folder's name."""
        return int(self.path.name)

    @property
    def metadata(self) -> Path:
        """The folder of the YAML files that describe the run."""
        return self.path / "metadata"

    @property
    def config_file(self) -> Path:
        """The user's configuration, resolved."""
        return self.metadata / "config.yaml"

    @property
    def info_file(self) -> Path:
        """Status, times, host, process and how the run ended; its modification time is the run's heartbeat."""
        return self.metadata / "info.yaml"

    @property
    def mlxp_file(self) -> Path:
        """The settings of MLXP in force."""
        return self.metadata / "mlxp.yaml"

    def rank_file(self, rank: int) -> Path:
        """Where one of several processes of the run says that it has not finished; the first one has `info_file`."""
        return self.metadata / RANKS / f"{rank}.yaml"

    @property
    def attempts_file(self) -> Path:
        """The attempts of a run that was resumed."""
        return self.metadata / "attempts.yaml"

    @property
    def submission_file(self) -> Path:
        """How the run was submitted to a scheduler; only for submitted runs."""
        return self.metadata / "submission.yaml"

    def claim_file(self, attempt: int) -> Path:
        """Return the path of the file that the job of an attempt of the run creates first."""
        return self.metadata / "claims" / f"{attempt}.yaml"

    @property
    def put_back_file(self) -> Path:
        """The file that exists while a run that was told to stop wishes that its job is put back into the queue."""
        return self.metadata / "put_back"

    @property
    def submission_lock(self) -> Path:
        """The file that exists while somebody submits or cancels the run's job."""
        return self.metadata / "submitting"

    @property
    def metrics(self) -> Path:
        """The folder of the metrics files."""
        return self.path / "metrics"

    @property
    def metrics_keys_file(self) -> Path:
        """The keys seen so far in each metrics file."""
        return self.metrics / ".keys" / "metrics.yaml"

    @property
    def artifacts(self) -> Path:
        """The folder of the artifacts, one folder inside it per type."""
        return self.path / "artifacts"

    @property
    def artifacts_keys_file(self) -> Path:
        """The names of the artifacts by type and folder."""
        return self.artifacts / ".keys" / "artifacts.yaml"

    @property
    def artifact_types_file(self) -> Path:
        """The import paths of the functions that save and load the user's own artifact types."""
        return self.artifacts / ".keys" / "custom_types.yaml"

    @property
    def stdout(self) -> Path:
        """What the run printed."""
        return self.path / "log.stdout"

    @property
    def stderr(self) -> Path:
        """What the run printed as errors."""
        return self.path / "log.stderr"

    @property
    def script(self) -> Path:
        """The job script of a submitted run."""
        return self.path / "script.sh"

    def info(self) -> dict[str, Any]:
        """Return what the run says in info.yaml: only values that can be right, and none if the file is damaged."""
        return with_ranks(checked(read_mapping(self.info_file), INFO)[0], self.metadata)

    def submission(self) -> dict[str, Any]:
        """Return what submission.yaml says; an empty dict if the run was not submitted, or if the file is damaged."""
        content = checked(read_mapping(self.submission_file), SUBMISSION)[0]
        return content if content.get("scheduler") and content.get("status") else {}

    def attempts(self) -> list[dict[str, Any]]:
        """Return the attempts of a run that was resumed, in order; none if it was not, or if the file is damaged."""
        found = read_mapping(self.attempts_file).get("attempts")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def claim(self, attempt: int) -> dict[str, Any]:
        """Return which job has claimed an attempt of the run, and in which process; an empty dict if none has."""
        return checked(read_mapping(self.claim_file(attempt)), CLAIM)[0]

    def config(self) -> dict[str, Any]:
        """Return the user's configuration; an empty one if the file is missing or damaged."""
        return read_mapping(self.config_file)

    def metrics_file(self, log_name: str) -> Path:
        """Return the path of the metrics file called `log_name`."""
        return self.metrics / f"{log_name}.json"

    @property
    def record_times(self) -> Path:
        """The folder of what tells when the records of each metrics file were logged."""
        return self.metrics / ".times"

    def record_times_file(self, log_name: str) -> Path:
        """Return the path of what tells when the records of the metrics file called `log_name` were logged."""
        return self.record_times / f"{log_name}.txt"

    def artifact(self, artifact_type: str, artifact_name: str) -> Path:
        """Return the path of the artifact called `artifact_name`, which may contain folders."""
        return self.artifacts / artifact_type / artifact_name


_MOST_DIGITS = 18  # what fits into 64 bits in any case


def log_id_of(name: str) -> int | None:
    """Return the id that a folder's name stands for; None if it is not the name of a run's directory.

    Examples
    --------
    >>> log_id_of("12"), log_id_of("012"), log_id_of("plots")
    (12, None, None)
    """
    is_number = len(name) <= _MOST_DIGITS and name.isascii() and name.isdigit() and name[0] != "0"
    return int(name) if is_number else None


def create_run_directory(parent: Path) -> RunDirectory:
    """Create the directory of a new run in `parent` and return it.

    Its id is higher than any that was given out there before, even if that run has been removed. Any number of
    processes on any number of hosts may do this at once, since creating a file succeeds for only one process.

    Raises
    ------
    LogDirectoryError
        If `parent` cannot be created or written.
    """
    while True:
        path = parent / str(take_log_id(parent))
        try:
            if _create(path):
                return RunDirectory(path)
        except OSError as error:
            raise LogDirectoryError(
                f"cannot create a run's directory in {parent}: {error.strerror or error}"
            ) from error


def take_log_id(parent: Path) -> int:
    """Return an id that nobody else gets and that has no directory.

    Raises
    ------
    LogDirectoryError
        If `parent` cannot be created or written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        (parent / IDS_DIR).mkdir(exist_ok=True)
        log_id = next_log_id(parent)
        while not _take_id(parent, log_id) or (parent / str(log_id)).exists():
            log_id += 1
        _forget_ids_below(parent, log_id)
    except OSError as error:
        raise LogDirectoryError(f"cannot create a run's directory in {parent}: {error.strerror or error}") from error
    return log_id


def next_log_id(parent: Path) -> int:
    """Return the id that the next run in `parent` gets, if no other process takes it first."""
    if not parent.is_dir():
        return 1
    # Remembering the id avoids a look at every name in a directory that may hold many thousands.
    log_id = (max(_taken_ids(parent), default=0) or max(_last_log_id(parent), _highest_log_id(parent))) + 1
    return max(_highest_log_id(parent), log_id) + 1 if (parent / str(log_id)).exists() else log_id


def claim_run_directory(parent: Path, log_id: int) -> RunDirectory:
    """Return the directory of the run `log_id` in `parent`, after creating it if it is not there.

    Raises
    ------
    InvalidKeyError
        If no run can have that id.
    LogDirectoryError
        If the directory cannot be created.
    """
    if log_id < 1:
        raise InvalidKeyError(f"the id of a run is a whole number from 1, not {log_id}")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        is_new = _create(parent / str(log_id))
    except OSError as error:
        raise LogDirectoryError(f"cannot create {parent / str(log_id)}: {error.strerror or error}") from error
    if is_new:
        _remember_id(parent, log_id)
    return RunDirectory(parent / str(log_id))


def _highest_log_id(parent: Path) -> int:
    return max((log_id_of(entry.name) or 0 for entry in os.scandir(parent)), default=0)


def _create(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _take_id(parent: Path, log_id: int) -> bool:
    try:
        (parent / IDS_DIR / str(log_id)).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _taken_ids(parent: Path) -> list[int]:
    try:
        return [log_id_of(name) or 0 for name in os.listdir(parent / IDS_DIR)]  # noqa: PTH208 - names are all it takes
    except OSError:
        return []


def _forget_ids_below(parent: Path, log_id: int) -> None:
    # Whoever does this keeps the highest one, so that it stays whatever else happens at the same time.
    for lower in _taken_ids(parent):
        if lower < log_id:
            with contextlib.suppress(OSError):
                (parent / IDS_DIR / str(lower)).unlink()


def _remember_id(parent: Path, log_id: int) -> None:
    """Record an id that somebody else chose."""
    with contextlib.suppress(OSError):
        (parent / IDS_DIR).mkdir(exist_ok=True)
        highest = max(log_id, *_taken_ids(parent), _last_log_id(parent), _highest_log_id(parent))
        (parent / IDS_DIR / str(highest)).touch()


def _last_log_id(parent: Path) -> int:
    """Return the last id that a version before 2.0.0 recorded, in a place that could be deleted."""
    try:
        return int((parent / CACHE_DIR / "last_id").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def run_directories(parent: Path) -> Iterator[RunDirectory]:
    """Yield the run directories in `parent`, in the order of their ids; skip anything else there."""
    return (RunDirectory(parent / str(log_id)) for log_id in run_ids(parent))


def run_ids(parent: Path) -> list[int]:
    """Return the ids of the runs in `parent`, in order; skip anything else there."""
    with os.scandir(parent) as entries:
        return sorted(log_id for entry in entries if (log_id := log_id_of(entry.name)) and _is_directory(entry))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a symbolic link to itself
        return False


def is_written_by_runs(path: Path) -> bool:
    """Tell whether MLXP wrote a folder: a directory of runs, one run's, what is beside them, or a copy of the code."""
    if path.name in _BESIDE_RUNS:
        return True
    if log_id_of(path.name) is not None:
        return RunDirectory(path).metadata.is_dir()
    try:
        names = os.listdir(path)  # noqa: PTH208 - names are wanted
    except OSError:
        return False
    if ".git" in names:
        return _is_copy_of_code(path)
    if not all(log_id_of(name) is not None or name in _BESIDE_RUNS for name in names):
        inner = [path / name for name in names]  # it may hold directories of runs, and nothing else
        return all(one.is_dir() and not one.is_symlink() and is_written_by_runs(one) for one in inner)
    return bool(_BESIDE_RUNS & set(names)) or any((path / name / "metadata").is_dir() for name in names)


def _is_copy_of_code(path: Path) -> bool:
    """Tell whether a git repository takes its objects from a store beside runs."""
    try:
        objects = (path / ".git" / "objects" / "info" / "alternates").read_bytes()
    except OSError:
        return False
    return objects.rstrip().endswith(f"{STORE_DIR}/objects".encode())
