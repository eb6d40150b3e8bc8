"""Artifacts of runs: one column per type and folder, where each cell maps names to artifacts that can be loaded.

No file is opened, and no code from a log directory is executed, until somebody calls `Artifact.load`.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pandas.api.extensions import register_extension_dtype

from mlxp.errors import InvalidArtifactError, InvalidKeyError
from mlxp.run_directory.artifact_places import artifact_path
from mlxp.run_directory.artifact_types import ARTIFACT_TYPES
from mlxp.run_directory.files import read_yaml
from mlxp.run_directory.import_paths import imported
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.lineage import note_loaded
from mlxp_reader.columns.arrow_storage import chunks_of, register
from mlxp_reader.columns.cells import CellDtype, Objects, is_missing, objects
from mlxp_reader.columns.lazy_cells import LazyCellArray, Rows

Loader = Callable[[str], Any]
Names = tuple[str, ...]

_ARTIFACTS = str(RunDirectory(Path()).artifacts)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact of a run."""

    run: Path
    type: str
    name: str
    """The file's name, including the folders that contain it."""

    @property
    def path(self) -> Path:
        """The file that holds the artifact."""
        path = artifact_path(RunDirectory(self.run), self.type, self.name)
        if self.type != "numpy" or path.exists():
            return path
        # MLXP 1 recorded the name weights.npz but left this file on disk.
        written_by_numpy = path.with_name(f"{path.name}_tmp.npz")
        return written_by_numpy if written_by_numpy.exists() else path

    def load(self, loader: Loader | None = None, *, allow_marshal: bool = False) -> Any:
        """Return the artifact, read by the function that its type was registered with.

        Loading executes code that the run's author chose: load only what you trust.

        Parameters
        ----------
        loader
            A function to use instead; it takes the file's path.
        allow_marshal
            Whether to execute a loader that MLXP 1 stored as byte code.

        Raises
        ------
        InvalidArtifactError
            If the file is missing, the type is unknown, or the loader cannot be used or fails.
        """
        path = self.path
        if not path.exists():
            raise InvalidArtifactError(f"the artifact {self.name} was recorded, but there is no file {path}")
        note_loaded(path)
        try:
            return (loader or _loader(self.run, self.type, allow_marshal=allow_marshal))(str(path))
        except InvalidArtifactError:
            raise
        except Exception as error:
            raise InvalidArtifactError(f"cannot load {path} as {self.type}: {type(error).__name__}: {error}") from error


def _loader(run: Path, artifact_type: str, *, allow_marshal: bool) -> Loader:
    recorded = _recorded_type(run, artifact_type)
    if recorded is None:
        if artifact_type in ARTIFACT_TYPES:
            return ARTIFACT_TYPES[artifact_type].load
        raise InvalidArtifactError(
            f"the artifact type '{artifact_type}' is not recorded in {run}; known types are "
            f"{', '.join(ARTIFACT_TYPES)}; give the function that reads it: load(loader=function)"
        )
    load = recorded.get("load")
    if isinstance(load, bytes):
        return _from_byte_code(load, artifact_type, allow_marshal=allow_marshal)
    return _from_import_path(str(load), recorded.get("path"))


def _recorded_type(run: Path, artifact_type: str) -> Mapping[str, Any] | None:
    try:
        types = read_yaml(RunDirectory(run).artifact_types_file) or {}
        recorded = types.get(artifact_type)
    except Exception as error:
        raise InvalidArtifactError(f"the artifact types of {run} cannot be read: {error}") from error
    return recorded if isinstance(recorded, dict) else None


def _from_import_path(name: str, folder: object) -> Loader:
    try:
        return _imported(name)
    except ImportError as error:
        if not isinstance(folder, str):
            raise InvalidArtifactError(f"the loader {name} cannot be imported: {error}") from error
    # The run's script had its own folder on the path.
    sys.path.append(folder)
    try:
        return _imported(name)
    except ImportError as error:
        raise InvalidArtifactError(f"the loader {name} cannot be imported, not even from {folder}: {error}") from error
    finally:
        sys.path.remove(folder)


def _imported(name: str) -> Loader:
    loader: Loader = imported(name)
    return loader


def _from_byte_code(code: bytes, artifact_type: str, *, allow_marshal: bool) -> Loader:
    if not allow_marshal:
        raise InvalidArtifactError(
            f"MLXP 1 stored the loader of the artifact type '{artifact_type}' as byte code; "
            "execute it by load(allow_marshal=True) if you trust it, or give another one: load(loader=function)"
        )
    import builtins
    import marshal
    import types

    try:
        return types.FunctionType(marshal.loads(code), {"__builtins__": builtins}, "load")  # noqa: S302 - as asked for
    except (ValueError, EOFError, TypeError) as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise InvalidArtifactError(f"the byte code is not for Python {version}; use load(loader=function)") from error


class ArtifactFolder(Mapping[str, Artifact]):
    """The artifacts of one type in one folder of a run, by name."""

    __slots__ = ("_folder", "_names", "_run", "_type")

    def __init__(self, run: str, artifact_type: str, folder: str, names: Names) -> None:
        self._run = run
        self._type = artifact_type
        self._folder = folder
        self._names = names

    def __getitem__(self, name: str) -> Artifact:
        # Checkpoints of MLXP 1 have no suffix, and so programs for MLXP 1 write none.
        spellings = (name, str(name).removesuffix(".pkl"), f"{name}.pkl")
        found = next((spelling for spelling in spellings if spelling in self._names), None)
        if found is None:
            raise InvalidKeyError(f"there is no artifact '{name}'; there are: {', '.join(self._names)}")
        return Artifact(Path(self._run), self._type, f"{self._folder}/{found}" if self._folder else found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def paths(self) -> dict[str, str]:
        """Return the file that holds each artifact, by name."""
        # Nearly all are at their places, and looking there takes a tenth of the time of `Artifact.path`.
        folder = os.path.join(self._run, _ARTIFACTS, self._type, self._folder.replace("/", os.sep))  # noqa: PTH118
        places = {name: os.path.join(folder, name) for name in self._names}  # noqa: PTH118
        return {
            name: place if os.path.exists(place) else str(self[name].path)  # noqa: PTH110
            for name, place in places.items()
        }

    @property
    def identity(self) -> tuple[Any, ...]:
        """The run, the type, the folder and the names."""
        return self._run, self._type, self._folder, self._names

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, ArtifactFolder) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    def __reduce__(self) -> Any:
        return ArtifactFolder, self.identity

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._names))}}}"


class Recorded(NamedTuple):
    """The artifacts that some runs have of one type in one folder."""

    type: str
    folder: str
    names: Names
    rows: Rows


class ArtifactColumn:
    """The artifacts of all runs of a reader that one column shows.

    Parameters
    ----------
    directories
        For each run, the directory that holds its artifacts.
    log_ids
        The id of each run.
    """

    def __init__(self, directories: Sequence[str], log_ids: Sequence[int], recorded: Sequence[Recorded]) -> None:
        self._directories = directories
        self._log_ids = log_ids
        self._recorded = recorded
        self.rows: Rows = np.full(len(log_ids), -1, dtype=np.intp)
        """The row of each run that has artifacts here; -1 for the others."""
        self._which = np.zeros(len(log_ids), dtype=np.intp)
        for number, one in enumerate(recorded):
            self.rows[one.rows] = one.rows
            self._which[one.rows] = number

    def cell(self, row: int) -> ArtifactFolder:
        """Return the artifacts of a run."""
        one = self._recorded[self._which[row]]
        return ArtifactFolder(f"{self._directories[row]}{os.sep}{self._log_ids[row]}", one.type, one.folder, one.names)


@register_extension_dtype
class ArtifactDtype(CellDtype):
    """The type of a column of artifacts."""

    name = "artifact"
    type = ArtifactFolder

    @staticmethod
    def __from_arrow__(array: pa.Array | pa.ChunkedArray) -> "ArtifactArray":
        cells = [
            np.nan if cell is None else ArtifactFolder(cell["run"], cell["type"], cell["folder"], tuple(cell["names"]))
            for chunk in chunks_of(array)
            for cell in chunk.to_pylist()
        ]
        return ArtifactArray(objects(cells))


_ARROW_TYPE = pa.struct(
    {"run": pa.string(), "type": pa.string(), "folder": pa.string(), "names": pa.list_(pa.string())}
)


class ArtifactArray(LazyCellArray):
    """A column of artifacts, one mapping per run; NaN where a run has none."""

    _cell_dtype = ArtifactDtype()

    @classmethod
    def _cell(cls, value: Any) -> Any:
        if isinstance(value, ArtifactFolder):
            return value
        if cls._is_one_cell(value) and is_missing(value):
            return np.nan
        raise TypeError(f"a cell of an artifact column is an ArtifactFolder, not {value!r}")

    @classmethod
    def _is_one_cell(cls, value: Any) -> bool:
        return isinstance(value, ArtifactFolder) or super()._is_one_cell(value)

    @classmethod
    def _fits(cls, values: list[Any]) -> bool:
        return bool(values) and all(isinstance(value, ArtifactFolder) for value in values)

    @classmethod
    def _sort_key(cls, cell: ArtifactFolder) -> Any:
        return tuple(map(str, cell.identity))

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:  # noqa: ARG002
        return lambda cell: str(cell) if is_missing(cell) else "ARTIFACT"

    def to_plain(self) -> Objects:
        """Return for each run the paths of its artifacts, by name."""
        return objects([cell if is_missing(cell) else cell.paths() for cell in self.cells])

    def _values_for_json(self) -> Any:
        return objects([None if is_missing(cell) else list(cell) for cell in self.cells])

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002 - Arrow's name
        cells = [None if is_missing(cell) else _as_dict(cell) for cell in self.cells]
        return pa.array(cells, type=_ARROW_TYPE)


def _as_dict(cell: ArtifactFolder) -> dict[str, Any]:
    run, artifact_type, folder, names = cell.identity
    return {"run": run, "type": artifact_type, "folder": folder, "names": list(names)}


ArtifactDtype.array_type = ArtifactArray
register("artifact")
