"""The installed packages: what a run records of them, and what a rerun compares."""

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlxp.running.secrets import masked

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_INFO: Final = (".dist-info", ".egg-info")
_FIELD: Final = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package.

    Attributes
    ----------
    name, version
        As its metadata say.
    origin
        Where it came from, if not from an index: the address of a repository with the commit, or a folder.
    modules
        The top-level modules that it consists of.
    """

    name: str
    version: str
    origin: str = ""
    modules: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return ``name==version``, and the origin, if it has one."""
        return f"{self.name}=={self.version}" + (f" @ {self.origin}" if self.origin else "")


def same_name(name: str) -> str:
    """Return the one form of a package's name, which may be spelled in several ways.

    Examples
    --------
    >>> same_name("Hydra_Core")
    'hydra-core'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> list[Package]:
    """Return the installed packages in alphabetical order; each once, as it would be imported."""
    from importlib.metadata import distributions

    found: dict[str, Package] = {}
    for distribution in distributions():
        # Reading two fields takes a tenth of the time that parsing all of the metadata takes.
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        fields = dict(reversed(_FIELD.findall(text.partition("\n\n")[0])))
        if len(fields) == 2 and same_name(fields["Name"]) not in found:
            package = Package(fields["Name"], fields["Version"], _origin(distribution), _modules(distribution))
            found[same_name(package.name)] = package
    return [found[name] for name in sorted(found)]


def _origin(distribution: "Distribution") -> str:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    url, commit = origin.get("url"), origin.get("vcs_info", {}).get("commit_id")
    return f"{masked(url)}{f'@{commit}' if commit else ''}" if url else ""


def _modules(distribution: "Distribution") -> tuple[str, ...]:
    listed = distribution.read_text("top_level.txt")
    if listed is None:
        lines = (distribution.read_text("RECORD") or "").splitlines()
        files = {line.partition(",")[0].partition("/")[0] for line in lines if ".dist-info/" not in line}
        listed = "\n".join(name.partition(".")[0] for name in files if name.endswith((".py", ".so")) or "." not in name)
    return tuple(sorted({name for name in listed.split() if name.isidentifier()}))


def state_of_installation() -> str:
    """Return a text that changes whenever an installer adds, removes or changes a package."""
    history = os.path.join(sys.prefix, "conda-meta", "history")  # noqa: PTH118
    lines = [sys.version, str(os.stat(history).st_mtime_ns if os.path.exists(history) else 0)]  # noqa: PTH110, PTH116
    for path in sys.path:
        try:
            entries = sorted(entry.path for entry in os.scandir(path) if entry.name.endswith(_INFO))
        except OSError:
            continue
        for entry in entries:
            record = os.path.join(entry, "RECORD")  # noqa: PTH118 - of hundreds, at the start of each run
            lines.append(f"{entry} {os.stat(record).st_mtime_ns if os.path.exists(record) else 0}")  # noqa: PTH110, PTH116
    return "\n".join(lines)
