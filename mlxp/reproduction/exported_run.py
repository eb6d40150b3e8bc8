"""What a run says about itself in an export: the same as at home, without names, and with paths that hold anywhere.

Paths are relative to the folder of the export, in which the runs are in ``logs`` and the project, as far as somebody
puts data there, in ``project``.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mlxp.reproduction.names import Names
from mlxp.run_directory.files import read_mapping
from mlxp.run_directory.layout import STORE_DIR, RunDirectory, log_id_of

PROJECT: Final = "project"
LOGS: Final = "<logs>"
"""What stands for the directory of the runs in a value that the program reads."""

ORIGIN: Final = "origin"
"""The key of info.yaml that says which run an exported or imported run was before, and under which id."""

OF_JOBS: Final = ("submission.yaml", "submitting", "claims")
"""What belongs to the job of a run, and would let others cancel or submit jobs of their own."""


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A run that is exported.

    Attributes
    ----------
    directory
        Its directory.
    info
        What its info.yaml says.
    status
        Its status, all things considered.
    log_id
        Its id in the export.
    """

    directory: RunDirectory
    info: dict[str, Any]
    status: str
    log_id: int

    @property
    def store(self) -> Path:
        """The store that has its code."""
        return self.directory.path.parent / STORE_DIR

    @property
    def code(self) -> dict[str, Any]:
        """What it says about its code."""
        return mapping_at(self.info, "code")

    @property
    def state(self) -> str | None:
        """The content address of its code; None if it was not stored."""
        state = self.code.get("state")
        return state if isinstance(state, str) else None

    @property
    def packages(self) -> str | None:
        """The content address of the list of packages; None if it was not recorded."""
        address = mapping_at(self.info, "environment").get("packages")
        return address if isinstance(address, str) else None

    @property
    def top(self) -> str | None:
        """The top directory of its code, which may be relative to the directory of the runs."""
        top = self.code.get("top")
        return os.path.normpath(self.directory.path.parent / top) if isinstance(top, str) else None

    @property
    def started_in(self) -> str:
        """Where it was started, inside its project; the top if it was started elsewhere."""
        work_dir = Path(os.path.normpath(self.directory.path.parent / str(self.info.get("work_dir") or "")))
        for top in (self.code.get("copy"), self.top):
            if top and work_dir.is_relative_to(str(top)):
                return work_dir.relative_to(str(top)).as_posix()
        return "."

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield the name and the path of what is in its directory, in alphabetical order; nothing of its jobs."""
        for folder, folders, names in os.walk(self.directory.path):
            inner = Path(folder).relative_to(self.directory.path)
            folders[:] = sorted(name for name in folders if not name.startswith(".") or name == ".keys")
            of_jobs = OF_JOBS if inner == Path("metadata") else ()
            folders[:] = [name for name in folders if name not in of_jobs]
            names += [name for name in folders if Path(folder, name).is_symlink()]  # which are not followed
            shown = sorted(name for name in names if not name.startswith(".") and name not in of_jobs)
            yield from ((str(inner / name), Path(folder, name)) for name in shown)


def mapping_at(info: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping at a key; an empty one if there is none."""
    value = info.get(key)
    return value if isinstance(value, dict) else {}


def identity_of(run: RunDirectory, info: Mapping[str, Any]) -> str:
    """Return what distinguishes a run from all others, wherever it was copied to."""
    known = mapping_at(info, ORIGIN).get("run")
    if isinstance(known, str) and known.isalnum():
        return known
    facts = [info.get(key) for key in ("hostname", "process_id", "process_start", "start_date", "start_time")]
    config = run.config_file.read_bytes() if run.config_file.is_file() else b""
    told = repr([run.log_id, info.get("started_at"), *facts]).encode(errors="replace")
    return hashlib.sha256(told + config).hexdigest()[:20]


def made_from(run: RunDirectory, info: Mapping[str, Any]) -> list[RunDirectory]:
    """Return the runs that a run was made from and that are still there: those it loaded from, or does again."""
    parents = info.get("parents")
    paths = [run.path / parent for parent in parents if isinstance(parent, str)] if isinstance(parents, list) else []
    again = info.get("rerun_of")
    paths += [run.path.parent / str(again)] if isinstance(again, int) else []
    found = [RunDirectory(Path(os.path.normpath(path))) for path in paths]
    return [one for one in found if log_id_of(one.path.name) is not None and one.metadata.is_dir()]


def with_those_made_from(runs: Sequence[RunDirectory]) -> list[RunDirectory]:
    """Return the runs, and after them all that they were made from, directly or not."""
    found = {run.path: run for run in runs}
    waiting = list(runs)
    while waiting:
        run = waiting.pop()
        for parent in made_from(run, run.info()):
            if parent.path not in found:
                found[parent.path] = parent
                waiting.append(parent)
    return list(found.values())


def exported_info(run: ExportedRun, ids: Mapping[Path, int], names: Names | None, project: str) -> dict[str, Any]:
    """Return what info.yaml says in the export.

    Parameters
    ----------
    run
        The run.
    ids
        The id that each exported run has there, by its directory at home.
    names
        What is to be taken out; None to leave everything as it is.
    project
        The name of the folder that stands for the top directory of the run's code.
    """
    info = dict(run.info)
    home = run.directory
    origin = {"run": identity_of(home, info), "log_id": mapping_at(info, ORIGIN).get("log_id", home.log_id)}
    if names is not None:
        info = _without_names(run, info, ids, names, project)
    again = ids.get(home.path.parent / str(run.info.get("rerun_of")))
    parents = [ids.get(parent.path) for parent in made_from(home, {"parents": run.info.get("parents")})]
    info["status"] = run.status
    info[ORIGIN] = origin
    info["parents"] = [f"../{parent}" for parent in parents if parent is not None]
    info["rerun_of"] = again
    info["logger"] = {**mapping_at(info, "logger"), **places_of(run.log_id)}
    return info


def places_of(log_id: int, logs: str = "logs") -> dict[str, Any]:
    """Return what a run says about its id and its folders."""
    run = RunDirectory(Path(logs, str(log_id)))
    folders = {"log_dir": run.path, "metrics_dir": run.metrics, "metadata_dir": run.metadata}
    folders["artifacts_dir"] = run.artifacts
    return {"log_id": log_id, **{name: path.as_posix() for name, path in folders.items()}}


def _without_names(
    run: ExportedRun, info: dict[str, Any], ids: Mapping[Path, int], names: Names, project: str
) -> dict[str, Any]:
    given = {key: info.get(key) for key in ("command", "overrides")}
    plain: dict[str, Any] = _in_texts(info, names)
    for key, replacement in (("hostname", "<host>"), ("process_id", None), ("process_start", None)):
        if plain.get(key) is not None:
            plain[key] = replacement
    if isinstance(plain.get("git"), dict):
        plain["git"]["remote"] = None
    if run.top:
        directory = run.started_in
        plain["code"].update(top=f"../{project}", copy=None)
        plain["work_dir"] = os.path.normpath(f"../{project}/{directory}")
        inside = names.at(relative_places(run, ids, directory))
        plain["overrides"] = [_in_override(str(one), inside) for one in given["overrides"] or []]
        if isinstance(given["command"], list):
            plain["command"] = ["python", *(_moved(run, str(word), directory, inside) for word in given["command"][1:])]
    return plain


def _in_texts(value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return {key: _in_texts(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_in_texts(one, names) for one in value]
    return names.in_text(value) if isinstance(value, str) else value


def places_at(run: ExportedRun, project: str) -> dict[str, str]:
    """Return the folders of a run, and what stands for them in texts."""
    places = {str(run.directory.path.parent): "logs", str(run.code.get("copy") or ""): project}
    places[str(mapping_at(run.info, "environment").get("prefix") or "")] = "<python>"
    return {**places, run.top or "": project}


def relative_places(run: ExportedRun, ids: Mapping[Path, int], directory: str) -> dict[str, str]:
    """Return the folders of a run, and what stands for them where its program reads them.

    Those of the project are relative to the directory that the program starts in.
    """
    up = os.path.relpath(".", directory)
    runs = {str(path): f"{LOGS}/{log_id}" for path, log_id in ids.items()}
    return {str(run.directory.path.parent): LOGS, str(run.code.get("copy") or ""): up, run.top or "": up, **runs}


def with_ids(text: str, ids: Mapping[int, int]) -> str:
    """Return a text in which the folders of runs have other ids.

    Examples
    --------
    >>> with_ids("start=<logs>/1/artifacts", {1: 17})
    'start=<logs>/17/artifacts'
    """
    return re.sub(rf"{LOGS}/(\d{{1,18}})(?!\d)", lambda found: f"{LOGS}/{ids.get(int(found[1]), found[1])}", text)


def exported_package(line: str, run: ExportedRun, names: Names, project: str) -> str:
    """Return a line of a list of packages; a package that is part of the project is said to be in that folder."""
    package, _, origin = line.partition(" @ ")
    if not origin.startswith("file:"):
        return names.in_text(line)
    folder = Path(unquote(urlsplit(origin).path))
    if run.top and folder.is_relative_to(run.top):
        return f"{package} @ file://{(Path(project) / folder.relative_to(run.top)).as_posix()}"
    return package if package.startswith("mlxp==") else f"{package} @ file://<path>/{folder.name}"


def project_folder(line: str) -> str | None:
    """Return where in its project a package of an export is; None for all other packages.

    Examples
    --------
    >>> project_folder("mine==0.1 @ file://project/lib"), project_folder("mine==0.1 @ file://project")
    ('lib', '.')
    >>> project_folder("mine==0.1 @ file:///home/me/project")
    """
    found = re.fullmatch(rf"[^@]* @ file://{PROJECT}(?:-\d+)?(?:/(.*))?", line)
    return (found[1] or ".") if found else None


def _moved(run: ExportedRun, word: str, directory: str, names: Names) -> str:
    """Return a word of the command; one that is a file of the project, relative to where the program starts now."""
    path = Path(os.path.normpath(run.directory.path.parent / str(run.info.get("work_dir") or "") / word))
    for top in (run.code.get("copy"), run.top):
        if top and path.is_relative_to(top) and (Path(word).is_absolute() or path.is_file()):
            return os.path.relpath(path.relative_to(top), directory)
    return str(names.in_value(word))


def _in_override(override: str, names: Names) -> str:
    key, sign, value = override.partition("=")
    return f"{key}{sign}{names.in_value(value)}"


def raw_info(run: RunDirectory) -> dict[str, Any]:
    """Return what info.yaml says, whatever it is; an empty dict if it is damaged."""
    return {str(key): value for key, value in read_mapping(run.info_file).items()}
