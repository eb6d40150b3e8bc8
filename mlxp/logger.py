"""The logger: what a run writes into its directory while it runs.

Metrics are appended. Each record is one line, written by one write, so that a killed process loses at most the record
that it was writing. An artifact is saved beside its place and then renamed, so that a crash leaves the previous one.
"""

import os
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mlxp.earlier_names import ATTRIBUTES, had_arguments
from mlxp.errors import InvalidArtifactError, LogDirectoryError
from mlxp.run_directory.artifact_types import ARTIFACT_TYPES, ArtifactType
from mlxp.run_directory.import_paths import import_directory, import_path
from mlxp.run_directory.layout import RunDirectory, claim_run_directory, create_run_directory
from mlxp.run_directory.lineage import note_loaded
from mlxp.running.artifact_files import ArtifactFiles, checked_artifact_name, checkpoint_path, with_suffix
from mlxp.running.metrics_file import MetricsFiles, encoded
from mlxp.running.submitted_run import is_another_rank

__all__ = ["DefaultLogger", "Logger"]


class Logger:
    """Writes metrics and artifacts into a run's directory, ``<parent_log_dir>/<log_id>``, which it creates.

    A task gets one as ``ctx.logger``. It can also be used by itself, as a context manager. To use a subclass instead,
    name it in the setting ``mlxp.logger.name``.

    Parameters
    ----------
    parent_log_dir
        The directory of all runs; it is created if needed.
    forced_log_id
        The id of the run; a negative number asks for a new id. An existing run is resumed: metrics are appended.
    log_streams_to_file
        If true, what the process and its children print also goes to ``log.stdout`` and ``log.stderr``.

    Attributes
    ----------
    parent_log_dir, metrics_dir, artifacts_dir, metadata_dir
        The absolute paths of the directory of all runs, and of the folders of this one.
    forced_log_id
        The id that was asked for; negative if none was. `log_id` is the id that the run has.

    Raises
    ------
    LogDirectoryError
        If the directory cannot be created or written.

    Examples
    --------
    >>> import tempfile
    >>> with Logger(tempfile.mkdtemp()) as logger:
    ...     logger.log_metrics({"loss": 0.5, "epoch": 0}, log_name="train")
    ...     logger.log_id
    1
    """

    def __init__(
        self, parent_log_dir: str | os.PathLike[str], forced_log_id: int = -1, log_streams_to_file: bool = False
    ) -> None:
        parent = Path(os.path.abspath(parent_log_dir))  # noqa: PTH100 - resolve() would follow a user's symbolic links
        self._run = create_run_directory(parent) if forced_log_id < 0 else claim_run_directory(parent, forced_log_id)
        try:
            for folder in (self._run.metadata, self._run.metrics, self._run.artifacts):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise LogDirectoryError(f"cannot create {self._run.path}: {error.strerror or error}") from error
        self.parent_log_dir = str(parent)
        self.forced_log_id = forced_log_id
        self.metrics_dir = str(self._run.metrics)
        self.artifacts_dir = str(self._run.artifacts)
        self.metadata_dir = str(self._run.metadata)
        self._custom_types: dict[str, ArtifactType] = {}
        self._is_mute = is_another_rank(self._run.path)
        if self._is_mute:  # the first process of the run writes; this one may read
            self._open()
            return
        self._open()
        self._artifact_files.repair()
        if log_streams_to_file:
            self._copy_streams()

    def _open(self) -> None:
        self._metrics_files = MetricsFiles(self._run)
        self._artifact_files = ArtifactFiles(self._run)
        self._copies: list[Any] = []
        self._stop = weakref.finalize(self, _close_all, self._metrics_files, self._copies)

    def _copy_streams(self) -> None:
        from mlxp.running.streams import copies

        self._copies += copies({"stdout": self._run.stdout, "stderr": self._run.stderr})

    def close(self) -> None:
        """Close the metrics files and stop copying the streams; called when the run ends.

        Records that threads of the task log later are still written.

        Raises
        ------
        LogDirectoryError
            If a metrics file was removed while the run was writing it.
        """
        removed = self._metrics_files.removed()
        self._stop()
        if removed:
            raise LogDirectoryError(f"{removed[0]} has been removed while run {self.log_id} was writing it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process opens the files itself; each line is one write there, too.
        own = ("_metrics_files", "_artifact_files", "_stop", "_copies")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(_state_of_mlxp_1(state) if "_log_dir" in state else state)
        self._open()

    if not TYPE_CHECKING:  # else a type checker would take any name for one of the logger's

        def __getattr__(self, name: str) -> Any:
            hint = f"; write {ATTRIBUTES[name]}" if name in ATTRIBUTES else ""
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}", name=name, obj=self)

    @property
    def log_id(self) -> int:
        """The id of the run."""
        return self._run.log_id

    @property
    def log_dir(self) -> str:
        """The absolute path of the run's directory."""
        return str(self._run.path)

    def get_info(self) -> dict[str, Any]:
        """Return what info.yaml says about the logger: the id and the directories."""
        names = ("log_id", "log_dir", "metrics_dir", "metadata_dir", "artifacts_dir")
        return {name: getattr(self, name) for name in names}

    def log_metrics(self, metrics_dict: Mapping[str, Any], log_name: str) -> None:
        """Append one record to ``metrics/<log_name>.json``.

        When this returns, the operating system has the record. Several threads may log at once.

        Parameters
        ----------
        metrics_dict
            Value by name. A value is an int, float, bool, str or None, a numpy scalar or a 0-d tensor, or a
            list of such. NaN and infinities are kept.
        log_name
            The name of the file, without its suffix: ``train``, ``test``, ...

        Raises
        ------
        TypeError
            If a value is of another type; the message names its key, and nothing is written.
        InvalidKeyError
            If `log_name` is reserved (``info``, ``config``, ``mlxp``, ``artifacts``) or contains a path.
        LogDirectoryError
            If the file cannot be written, for instance because the disk is full. What was written before stays.
        """
        line = encoded(metrics_dict)
        if self._is_mute:
            return
        file = self._metrics_files.by_name.get(log_name) or self._metrics_files.opened(log_name)
        if not file.keys.issuperset(metrics_dict):  # listed first: what a killed process has logged is found
            self._metrics_files.list_keys(log_name, list(metrics_dict))
        file.append(line)

    @had_arguments(artifact_format="artifact_type", log_name="artifact_name")
    def log_artifacts(self, artifact: object, artifact_name: str, artifact_type: str) -> None:
        """Save an object as ``artifacts/<artifact_type>/<artifact_name>``, replacing any artifact of that name.

        Parameters
        ----------
        artifact
            The object.
        artifact_name
            The name of the file; it may contain folders: ``plots/final/accuracy.png``.
        artifact_type
            ``pickle``, ``numpy``, ``torch``, ``image``, or a type given to `register_artifact_type`.

        Raises
        ------
        InvalidArtifactError
            If the type is unknown, cannot save the object, or needs a package that is not installed.
        InvalidKeyError
            If the name leaves the folder of the artifacts.
        LogDirectoryError
            If the file cannot be written; the previous artifact of that name is then still there.
        """
        functions = self._artifact_type(artifact_type)
        name = checked_artifact_name(artifact_name)
        if not self._is_mute:
            self._artifact_files.save(functions, artifact, artifact_type, name)

    @had_arguments(artifact_format="artifact_type", log_name="artifact_name")
    def load_artifacts(
        self, artifact_name: str, artifact_type: str | None = None, root: str | os.PathLike[str] | None = None
    ) -> Any:
        """Load an artifact of this run, or of another one.

        Parameters
        ----------
        artifact_name
            The name that it was saved under.
        artifact_type
            Its type; by default, the one type that has an artifact of that name.
        root
            The directory of the run that saved it; by default this run's own.

        Raises
        ------
        FileNotFoundError
            If there is no such artifact.
        InvalidArtifactError
            If the type is unknown, or several types have an artifact of that name.
        """
        artifacts = self._artifact_files if root is None else ArtifactFiles(RunDirectory(Path(root)))
        name = str(checked_artifact_name(artifact_name))
        if artifact_type is None:
            artifact_type = artifacts.type_of(name)
        functions = self._artifact_type(artifact_type)
        path = artifacts.find(artifact_type, name)
        note_loaded(path)
        return functions.load(str(path))

    def register_artifact_type(self, name: str, save: Callable[[Any, str], Any], load: Callable[[str], Any]) -> None:
        """Register an artifact type for this run, with the functions that save and load it.

        The functions are recorded by import path, so that a reader can find them: each must be at the top level of a
        module. A built-in type cannot be replaced; it stays as it is, and a warning says so.

        Parameters
        ----------
        name
            The name of the type, and of the folder of its artifacts.
        save
            Called with the object and the path to save it to.
        load
            Called with the path; returns the object.

        Raises
        ------
        InvalidArtifactError
            If the name contains a path, or if a function cannot be imported.
        """
        if name in ARTIFACT_TYPES:
            message = f"'{name}' is a built-in artifact type and stays as it is; choose another name for your own"
            warnings.warn(message, stacklevel=2)
            return
        if len(checked_artifact_name(name).parts) > 1:
            raise InvalidArtifactError(f"an artifact type has a plain name, not {name!r}")
        record = {"save": import_path(save), "load": import_path(load), "path": import_directory(load)}
        self._custom_types[name] = ArtifactType(save, load)
        if not self._is_mute:
            self._artifact_files.record_type(name, record)

    def _artifact_type(self, name: str) -> ArtifactType:
        types = {**ARTIFACT_TYPES, **self._custom_types}
        if name not in types:
            raise InvalidArtifactError(
                f"unknown artifact type '{name}'; the types are: {', '.join(types)}; "
                "add your own with register_artifact_type"
            )
        return types[name]


class DefaultLogger(Logger):
    """The logger that a task gets by default: a `Logger` that also saves and loads checkpoints.

    Examples
    --------
    >>> import tempfile
    >>> with DefaultLogger(tempfile.mkdtemp()) as logger:
    ...     logger.log_checkpoint({"epoch": 3}, "last_ckpt")
    ...     logger.load_checkpoint("last_ckpt")
    {'epoch': 3}
    """

    def log_checkpoint(self, checkpoint: object, log_name: str = "checkpoint") -> None:
        """Save any picklable object as ``artifacts/pickle/<log_name>.pkl``, replacing the previous one.

        Raises
        ------
        InvalidArtifactError
            If the object cannot be pickled.
        LogDirectoryError
            If the file cannot be written; the previous checkpoint is then still there.
        """
        self.log_artifacts(checkpoint, with_suffix(log_name), "pickle")

    def load_checkpoint(self, log_name: str | None = None, root: str | os.PathLike[str] | None = None) -> Any:
        """Load a checkpoint of this run, or of another one.

        Parameters
        ----------
        log_name
            The name that it was saved under; by default ``checkpoint``, or else the only checkpoint there is.
        root
            The directory of the run that saved it, or the folder that holds the file; by default this run's own.

        Raises
        ------
        FileNotFoundError
            If there is no such checkpoint.
        InvalidArtifactError
            If no name is given and there are several checkpoints, none of which is called ``checkpoint``.
        """
        run = self._run if root is None else RunDirectory(Path(root))
        path = checkpoint_path(run, log_name)
        note_loaded(path)
        return ARTIFACT_TYPES["pickle"].load(str(path))


def _state_of_mlxp_1(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a logger that MLXP 1 pickled, in its present form."""
    own = ("_log_dir", "_log_id", "_metric_dict_keys", "_artifact_types", "session_dir")
    functions = {name: found for name, found in state["_artifact_types"].items() if name not in ARTIFACT_TYPES}
    return {
        **{name: value for name, value in state.items() if name not in own},
        "_run": RunDirectory(Path(state["_log_dir"])),
        "_custom_types": {name: ArtifactType(found["save"], found["load"]) for name, found in functions.items()},
        "_is_mute": False,
    }


def _close_all(metrics: MetricsFiles, copies: list[Any]) -> None:
    try:
        metrics.close()
    finally:
        if copies:
            from mlxp.running.streams import stop

            stop(copies)
        copies.clear()
