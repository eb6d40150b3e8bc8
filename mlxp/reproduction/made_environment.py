"""Makes the environment that a run had, with uv: the same Python and the same packages, apart from the user's.

It is made once for each list of packages, beside the reader's cache: whoever deletes it loses nothing.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from mlxp.errors import MLXPError
from mlxp.programs import run_program
from mlxp.reproduction.exported_run import project_folder
from mlxp.run_directory.layout import CACHE_DIR, STORE_DIR
from mlxp.run_directory.locks import locked
from mlxp.running.code_state import capture
from mlxp.running.copies import copy_of
from mlxp.running.environment import packages_of
from mlxp.running.private_git import GitError
from mlxp.running.secrets import MASK

_PATIENCE: Final = 3600.0  # seconds, for downloads and builds
_COMMIT: Final = re.compile(r"(?P<url>.*)@(?P<commit>[0-9a-f]{7,64})")
_BACKEND: Final = re.compile(r"torch==[^+\s]+\+(?P<backend>cpu|cu\d+|rocm[\d.]+|xpu)")


def made_environment(logs: Path, address: str, python: str, code: tuple[Path, Path]) -> Path:
    """Return the Python of an environment with the packages of that address, after making it if it is not there.

    Parameters
    ----------
    logs
        The directory of the runs.
    address
        The content address of the list of packages.
    python
        The version of Python.
    code
        The top directory of the run's code, and its copy: a package that was installed from the former is taken from
        the latter.

    Raises
    ------
    MLXPError
        If the list is not there, if uv is missing, or if a package can no longer be had.
    """
    packages = packages_of(logs / STORE_DIR, address)
    if not packages:
        raise MLXPError(f"the packages of the run are not recorded in {logs / STORE_DIR}")
    if shutil.which("uv") is None:
        raise MLXPError("--env uv needs the program uv, which is not installed: https://docs.astral.sh/uv")
    folder = logs / CACHE_DIR / "environments" / f"{address}-{python}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    interpreter = folder / "bin" / "python"
    with locked([folder.with_suffix(".lock")], f"makes {folder}", wait=_PATIENCE):
        if not (folder / "complete").exists():
            with tempfile.TemporaryDirectory(prefix="mlxp-packages-") as temporary:
                wanted = [_requirement(line, code, Path(temporary, str(n))) for n, line in enumerate(packages)]
                _uv(["venv", "--quiet", "--clear", "--python", python, str(folder)])
                _install(interpreter, wanted, Path(temporary, "requirements.txt"))
            (folder / "complete").touch()
    return interpreter


def _install(interpreter: Path, wanted: Sequence[str], file: Path) -> None:
    file.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
    backend = next((found["backend"] for line in wanted if (found := _BACKEND.match(line))), None)
    index = ["--torch-backend", backend] if backend else []
    # The list is complete: nothing that it does not name is needed.
    _uv(["pip", "install", "--quiet", "--no-deps", "--python", str(interpreter), *index, "-r", str(file)])


def _uv(words: Sequence[str]) -> None:
    answer = run_program(["uv", *words], seconds=_PATIENCE)
    if answer.code != 0:
        raise MLXPError(f"uv cannot make the environment of the run: {' '.join(answer.complaint.split())}")


def _requirement(line: str, code: tuple[Path, Path], temporary: Path) -> str:
    """Return a line of the list of packages as pip and uv understand it."""
    pinned, _, origin = line.partition(" @ ")
    if not origin:
        return pinned
    name = pinned.partition("==")[0]
    if folder := project_folder(line):
        return f"{name} @ {_copied(name, code[0] / folder, code, temporary).as_uri()}"
    if origin.startswith("file://"):
        return f"{name} @ {_copied(name, Path(unquote(urlsplit(origin).path)), code, temporary).as_uri()}"
    origin = origin.replace(f"{MASK}@", "")  # uv asks git, which knows the user's password
    return f"{name} @ git+{origin}" if _COMMIT.fullmatch(origin) else f"{name} @ {origin}"


def _copied(name: str, folder: Path, code: tuple[Path, Path], temporary: Path) -> Path:
    """Return a copy of a project, which building may write into."""
    top, copy = code
    if folder.is_relative_to(top) and (copy / folder.relative_to(top)).exists():
        return Path(shutil.copytree(copy / folder.relative_to(top), temporary, symlinks=True, ignore=_links))
    if not folder.exists():
        raise MLXPError(f"the package {name} was installed from {folder}, which is not here")
    if folder.is_file():
        return folder
    try:
        return copy_of(temporary, capture(folder, temporary, [])) / _below_repository(folder)
    except GitError as error:
        raise MLXPError(f"the package {name} cannot be taken from {folder}: {error}") from error


def _below_repository(folder: Path) -> Path:
    top = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
    return folder.relative_to(top)


def _links(folder: str, names: Iterable[str]) -> set[str]:
    """Return what is not copied: the links to what the state leaves out, and git's files."""
    return {name for name in names if name == ".git" or Path(folder, name).is_symlink()}
