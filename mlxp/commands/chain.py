"""The chain of a run, for ``mlxp show``: what it was made from, directly or not, and what was made from it."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxp.run_directory.layout import RunDirectory, log_id_of
from mlxp.run_directory.printable import printable

if TYPE_CHECKING:
    from mlxp_reader import DataFrame

_LOADED = "loaded a checkpoint or artifact"
_AGAIN = "done again"
_HOLDS = "holds it, as another tool has nested them"
_HELD = "is in it, as another tool has nested them"


@dataclass
class Link:
    """A run in the chain of another.

    Attributes
    ----------
    run
        Its id; for a run in another directory, its path as seen from the directory of the runs.
    how
        What it has to do with the run before it in the chain.
    status
        Its status; None if it is not there any more.
    links
        The next runs in the chain.
    """

    run: str
    how: str
    status: str | None
    links: list["Link"] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it in terms of JSON."""
        links = [link.to_dict() for link in self.links]
        return {"run": self.run, "how": self.how, "status": self.status, "links": links}

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield it and all that follow, each in a line."""
        told = self.status or "not there any more"
        yield printable(f"{'  ' * depth}run {self.run}  {told}  {self.how}")
        for link in self.links:
            yield from link.lines(depth + 1)


def ancestors(run: RunDirectory, seen: frozenset[str] = frozenset()) -> list[Link]:
    """Return what a run was made from."""
    logs = run.path.parent
    return [
        Link(name, how, _status(directory), ancestors(directory, seen | {str(run.path)}))
        for directory, how in _sources(run)
        if str(directory.path) not in seen
        for name in [str(directory.log_id) if directory.path.parent == logs else os.path.relpath(directory.path, logs)]
    ]


def _sources(run: RunDirectory) -> list[tuple[RunDirectory, str]]:
    info = run.info()
    parents = info.get("parents") if isinstance(info.get("parents"), list) else []
    origin = info.get("origin")
    how = _HOLDS if isinstance(origin, dict) and origin.get("tool") else _LOADED
    paths = [(run.path / parent, how) for parent in parents or [] if isinstance(parent, str)]
    if isinstance(info.get("rerun_of"), int):
        paths.append((run.path.parent / str(info["rerun_of"]), _AGAIN))
    found = [(RunDirectory(Path(os.path.normpath(path))), how) for path, how in paths]
    return [(directory, how) for directory, how in found if log_id_of(directory.path.name) is not None]


def _status(run: RunDirectory) -> str | None:
    return str(run.info().get("status") or "?") if run.metadata.is_dir() else None


def descendants(log_id: int, runs: "DataFrame", log_ids: Sequence[int]) -> list[Link]:
    """Return what was made from a run, of all `runs` of its directory, whose ids are `log_ids`."""
    columns = {name: runs[name].tolist() if name in runs else [None] * len(log_ids) for name in _COLUMNS}
    facts = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    children: dict[int, list[tuple[int, str]]] = {}
    for child, fact in zip(log_ids, facts, strict=True):
        for parent, how in _links_of(fact):
            children.setdefault(parent, []).append((child, how))
    statuses = {one: str(fact["info.status"]) for one, fact in zip(log_ids, facts, strict=True)}
    return _below(log_id, children, statuses, frozenset({log_id}))


_COLUMNS = ("info.origin.tool", "info.status", "info.parents", "info.rerun_of", "info.reproduces")


def _links_of(fact: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    parents = fact["info.parents"] if isinstance(fact["info.parents"], list | tuple) else []
    for parent in parents:
        source = log_id_of(str(parent).removeprefix("../"))
        if source is not None:
            yield source, _HELD if isinstance(fact["info.origin.tool"], str) else f"{_LOADED} of it"
    again, holds = fact["info.rerun_of"], fact["info.reproduces"]
    if isinstance(again, int | float) and math.isfinite(again):
        verdict = {True: ", and reproduces it", False: ", and does not reproduce it"}
        yield int(again), f"does it again{verdict.get(holds, '') if isinstance(holds, bool) else ''}"


def _below(
    log_id: int, children: Mapping[int, list[tuple[int, str]]], statuses: Mapping[int, str], seen: frozenset[int]
) -> list[Link]:
    return [
        Link(str(child), how, statuses[child], _below(child, children, statuses, seen | {child}))
        for child, how in children.get(log_id, [])
        if child not in seen
    ]
