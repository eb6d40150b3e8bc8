"""Recomputes what notes beside tables and figures say, from the runs as they are now."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlxp.errors import MLXPError
from mlxp_reader.columns.curves import LOG_ID
from mlxp_reader.columns.keys import setting
from mlxp_reader.evidence.cells import STATISTICS, Question, cells_of, run_names
from mlxp_reader.evidence.notes import fingerprint, notes_in
from mlxp_reader.notices import some
from mlxp_reader.reader import Reader


@dataclass(slots=True)
class Verified:
    """What became of one table, figure or text.

    Attributes
    ----------
    file
        The file.
    count
        How many cells, lines or numbers it has.
    failures
        For each that does not hold, what has changed; and what is wrong with the file as a whole.
    """

    file: Path
    count: int = 0
    broken: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all of it holds."""
        return not self.failures


def verify(paths: Sequence[Path], logs: Sequence[Path] = ()) -> list[Verified]:
    """Recompute all numbers of the tables and figures below some paths from the runs.

    Parameters
    ----------
    paths
        Directories, files that have a note, or notes.
    logs
        Where the runs are, if not where the notes say: directories, or an export.

    Raises
    ------
    MLXPError
        If there is no note at all.
    """
    found = dict(pair for path in paths for pair in notes_in(path))
    if not found:
        told = some([str(path) for path in paths])
        raise MLXPError(f"there is no note in {told}: to_latex, savefig and numbers write one beside their file")
    readers = _Readers(logs)
    return [
        Verified(file, failures=[entry]) if isinstance(entry, str) else _verified(file, entry, readers)
        for file, entry in found.items()
    ]


class _Readers:
    """The readers of the directories that notes name, each opened once."""

    def __init__(self, instead: Sequence[Path]) -> None:
        self.instead = list(map(str, instead))
        self._known: dict[tuple[str, ...], Reader] = {}

    def of(self, directories: Sequence[str], near: Path) -> Reader:
        """Return the reader of directories that are told relative to a file."""
        where = self.instead or [str((near.parent / path).resolve()) for path in directories]
        if tuple(where) not in self._known:
            self._known[tuple(where)] = Reader(where[0] if len(where) == 1 else where)
        return self._known[tuple(where)]


def _verified(file: Path, entry: dict[str, Any], readers: _Readers) -> Verified:
    result = Verified(file)
    if not file.is_file():
        result.failures.append("the file is gone")
    elif fingerprint(file) != entry.get("sha256"):
        result.failures.append("the file was changed after it was written, so its text is not verified")
    for part in entry["parts"]:
        result.count += len(part["cells"])
        try:
            now = _recomputed(part, readers.of(part["logs"], file))
        except (MLXPError, SyntaxError) as error:
            result.broken += len(part["cells"])
            result.failures.append(f"nothing can be recomputed: {error}")
        else:
            _compare(part["cells"], now, result)
    return result


def _compare(cells: list[dict[str, Any]], now: list[dict[str, Any]], result: Verified) -> None:
    by_place = {_place(cell): cell for cell in now}
    for cell in cells:
        differences = list(_differences(cell, by_place.pop(_place(cell), None)))
        result.broken += bool(differences)
        result.failures += [f"{_called(cell)}: {difference}" for difference in differences]
    result.failures += [f"{_called(cell)}: was added since, with runs {_runs(cell)}" for cell in by_place.values()]


def _recomputed(part: dict[str, Any], reader: Reader) -> list[dict[str, Any]]:
    runs: Any = reader.filter(part["query"] if part["is_whole_query"] else "")
    if not part["is_whole_query"] and LOG_ID in runs.columns:
        known = {run for cell in part["cells"] for run in cell["runs"]}
        runs = runs[[name in known for name in run_names(runs)]]
    asked = part["question"]
    return cells_of(runs, Question(asked["values"], asked["by"], asked["over"], asked["exclude"])) if len(runs) else []


def _place(cell: dict[str, Any]) -> tuple[str, str]:
    return cell["value"], repr(sorted(cell["setting"].items(), key=repr))


def _called(cell: dict[str, Any]) -> str:
    where = setting(cell["setting"])
    return f"{where}, {cell['value']}" if where else str(cell["value"])


def _runs(cell: dict[str, Any]) -> str:
    return some(list(cell["runs"]))


def _differences(then: dict[str, Any], now: dict[str, Any] | None) -> Iterator[str]:
    runs = now["runs"] if now else {}
    missing = [run for run in then["runs"] if run not in runs]
    if missing:
        yield f"run {some(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    for run, was in then["runs"].items():
        if run in runs and runs[run] != was:
            yield f"run {run} changed{_change(was, runs[run])}"
    added = [run for run in runs if run not in then["runs"]]
    if added:
        yield f"run {some(added)} {'was' if len(added) == 1 else 'were'} added since"
    if now is not None and runs == then["runs"]:
        for name in STATISTICS:
            if not _are_equal(then.get(name), now.get(name)):
                yield f"the note says that its {name} is {then.get(name)}, and it is {now.get(name)}"


def _are_equal(one: Any, other: Any) -> bool:
    """Tell whether two numbers of a note are the same, but for the last digits, which hang on the computer."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-300)
    return bool(one == other)


def _change(was: dict[str, Any], now: dict[str, Any]) -> str:
    if "number" not in was or was["number"] == now.get("number"):
        return ": it logged other values"
    return f" from {was['number']} to {now.get('number')}"
