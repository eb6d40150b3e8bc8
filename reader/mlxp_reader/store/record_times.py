"""When the records of a run were logged, in seconds since its start, as it has noted beside its metrics files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlxp.run_directory.layout import RunDirectory
from mlxp_reader.store.json_lines import BOM, is_complete
from mlxp_reader.store.long_text import CHUNK, LongText

Numbers = npt.NDArray[np.float64]

_INTERVAL = 0.1
"""How many seconds after a noted time a record may have been logged without a note of its own."""


def times_of_records(run: RunDirectory, log_name: str) -> Numbers | None:
    r"""Return the time of each record of a metrics file, in seconds since the run started; None if nobody noted any.

    Examples
    --------
    >>> import tempfile
    >>> run = RunDirectory(Path(tempfile.mkdtemp()) / "1")
    >>> run.record_times.mkdir(parents=True)
    >>> _ = run.metrics_file("train").write_text('{"loss": 0.5}\n{"loss": 0.25}\n')
    >>> _ = run.record_times_file("train").write_text("0 100.0\n14 102.5\n29 107.5\n")
    >>> times_of_records(run, "train").tolist()
    [2.5, 7.5]
    """
    sizes, times = _noted(run.record_times_file(log_name))
    if not len(sizes):
        return None
    # Another file may have been the first that the run wrote.
    start = min(float(_noted(file)[1].min(initial=times[0])) for file in sorted(run.record_times.glob("*.txt")))
    try:
        ends = _ends_of_records(run.metrics_file(log_name))
    except OSError:
        return None
    if len(ends) and ends[-1] > sizes[-1]:
        sizes, times = np.r_[sizes, ends[-1]], np.r_[times, times[-1] + _INTERVAL]
    return _at(ends, sizes, times) - start


def _noted(file: Path) -> tuple[Numbers, Numbers]:
    """Return the sizes of a metrics file that were noted, and the time of each; both ascend."""
    try:
        lines = file.read_bytes().split(b"\n")[:-1]  # what comes after the last line break is torn
    except OSError:
        lines = []
    found = [pair for line in lines if len(pair := line.split()) == 2 and all(map(_is_number, pair))]
    table = np.array(found, dtype=np.float64).reshape(-1, 2)
    # The clock may have been set back, and two processes may have noted at once.
    sizes, times = (np.maximum.accumulate(column) for column in table.T)
    last = np.r_[sizes[1:] != sizes[:-1], np.ones(min(1, len(sizes)), dtype=np.bool_)]
    return sizes[last], times[last]


def _is_number(text: bytes) -> bool:
    return text.replace(b".", b"", 1).isdigit()


def _ends_of_records(file: Path) -> npt.NDArray[np.int64]:
    """Return for each record where its line ends; the text of a long file is not in memory at once."""
    found, done, rest = [np.empty(0, dtype=np.int64)], 0, b""
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            found.append(done + _ends_in(lines + newline, is_start=done == 0))
            done += len(lines + newline)
    if rest and is_complete(rest):
        found.append(done + np.array([len(rest)])[: _records_in(rest + b"\n")])
    return np.concatenate(found)


def _ends_in(lines: bytes, *, is_start: bool) -> npt.NDArray[np.int64]:
    ends = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) + 1
    starts = np.r_[len(BOM) if is_start and lines.startswith(BOM) else 0, ends[:-1]]
    if not len(ends) or _records_in(lines[starts[0] :]) == len(ends):
        return ends
    is_record = [_records_in(lines[start:end]) > 0 for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    return np.asarray(ends[np.array(is_record, dtype=np.bool_)])


def _records_in(lines: bytes) -> int:
    text = LongText(only="")
    if lines:
        text.add(lines)
    return text.parsed(len(lines)).records[0]


def _at(ends: npt.NDArray[np.int64], sizes: Numbers, times: Numbers) -> Numbers:
    """Return when a file reached each of some sizes: at the noted time, or shortly after the one noted before."""
    after = np.searchsorted(sizes, ends, side="left")
    after_or_last = np.minimum(after, len(sizes) - 1)
    before = np.maximum(after - 1, 0)
    room = np.maximum(sizes[after_or_last] - sizes[before], 1)
    share = np.clip((ends - sizes[before]) / room, 0, 1)
    shortly = times[before] + share * np.minimum(times[after_or_last] - times[before], _INTERVAL)
    return np.where(sizes[after_or_last] == ends, times[after_or_last], shortly)
