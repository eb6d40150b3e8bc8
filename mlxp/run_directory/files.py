"""Writes whole files, all at once or not at all, and YAML in its most readable form."""

import contextlib
import functools
import os
from enum import Enum
from pathlib import Path
from typing import Any

from mlxp.errors import LogDirectoryError


def write_atomically(path: Path, text: str, *, durably: bool = False) -> None:
    """Replace the file at `path` with one that holds `text`: a reader sees the old content or the new, never a part.

    Parameters
    ----------
    path, text
        Where and what to write.
    durably
        Whether the file is on the disk, and not just on its way there, when this returns.

    Raises
    ------
    LogDirectoryError
        If the file cannot be written; the old content is then still there.
    """
    # Random, since writers on several hosts of a shared file system may replace the same file at once.
    temporary = path.with_name(f".{path.name}-{os.urandom(6).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durably:
            sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise LogDirectoryError(f"cannot write {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, if the system supports it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def create_exclusively(path: Path, text: str, *, durably: bool = True) -> bool:
    """Create the file at `path` with the content `text`; return whether this call created it.

    Of any number of processes on any number of hosts, one succeeds: a file of our own gets a second name, which NFS
    grants to only one of them. If the answer was lost on the way, the number of names tells.

    Parameters
    ----------
    path, text
        Where and what to write.
    durably
        Whether the file is to outlive this computer's power, and not just this process.

    Raises
    ------
    LogDirectoryError
        If nothing can be created there.
    """
    own = path.with_name(f".{path.name}-{os.urandom(6).hex()}")
    try:
        with own.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        try:
            is_created = _named(own, path)
        finally:
            own.unlink()
        if durably:
            sync_folder(path.parent)
    except OSError as error:
        raise LogDirectoryError(f"cannot create {path}: {error.strerror or error}") from error
    return is_created


def _named(own: Path, path: Path) -> bool:
    try:
        os.link(own, path)
    except FileExistsError:
        return own.stat().st_nlink > 1
    except OSError:  # a file system without second names
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(own.read_text(encoding="utf-8"))
        except FileExistsError:
            return False
    return True


def is_writable_text(text: str) -> bool:
    r"""Tell whether UTF-8 can hold `text`; it cannot hold halves of surrogate pairs, as in names of files in Latin-1.

    Examples
    --------
    >>> is_writable_text("café"), is_writable_text("caf\udce9")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def overwrite(path: Path, text: str) -> bool:
    """Write `text` over the file's content, unless it is longer than that; return whether it was written.

    This is a last resort on a full disk, where nothing new can be written. A reader may see a part.
    """
    content = text.encode()
    try:
        with path.open("rb+") as file:
            if len(content) > os.fstat(file.fileno()).st_size:
                return False
            file.write(content)
            file.truncate()
    except OSError:
        return False
    return True


def write_yaml(path: Path, content: Any, *, durably: bool = False) -> None:
    """Replace the YAML file at `path`, atomically; mappings keep their order."""
    write_atomically(path, to_yaml(content), durably=durably)


def to_yaml(content: Any) -> str:
    """Return `content` as YAML in block style, with keys in their order.

    Examples
    --------
    >>> print(to_yaml({"seed": 1, "model": {"layers": [64, 32]}}), end="")
    seed: 1
    model:
      layers:
      - 64
      - 32
    """
    import yaml

    return yaml.dump(
        content, Dumper=_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31 - 1
    )


@functools.cache
def _dumper() -> Any:
    """Return a dumper that writes text in its most readable form, and any object, without tags of Python types."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # the C one is not always there
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True  # a list that stands in two places is written twice

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else "'" if _is_number(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
    Dumper.add_multi_representer(list, yaml.SafeDumper.represent_list)
    Dumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.name))
    Dumper.add_multi_representer(object, lambda dumper, value: dumper.represent_data(_plain_value(value)))
    return Dumper


def _is_number(text: str) -> bool:
    # OmegaConf takes 1e-3 for a number where PyYAML does not; a recorded configuration serves both.
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain_value(value: Any) -> Any:
    """Return a number for a scalar of numpy or of a tensor library, and text for any other object."""
    if getattr(value, "ndim", None) == 0 and type(value.item()) in (bool, int, float, str):
        return value.item()
    return str(value)


def read_yaml(path: Path) -> Any:
    """Return the content of the YAML file at `path`, or None if there is no such file.

    Raises
    ------
    yaml.YAMLError
        If it is not YAML, or if a few lines of it stand for more values than anyone can have meant.
    """
    from mlxp.run_directory import yaml_lines

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return yaml_lines.load(text)


LARGEST_FILE = 16 * 2**20
"""The most bytes read of a YAML file about a run; PyYAML needs some hundred times as much memory."""


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return the mapping in a YAML file about a run; an empty mapping if the file is missing or damaged.

    One damaged file must neither stop a run nor hide the others, whatever is wrong with it.
    """
    try:
        content = read_yaml(path) if path.is_file() and path.stat().st_size <= LARGEST_FILE else None
    except Exception:  # noqa: BLE001 - PyYAML raises errors of many kinds for what it cannot understand
        return {}
    return content if isinstance(content, dict) else {}
