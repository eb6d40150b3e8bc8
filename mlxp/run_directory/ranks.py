"""What the processes say that a launcher (``torchrun``, ``srun``, ``mpirun``) started beside a run's first process.

Each file has one owner. The first process owns info.yaml; each of the others writes its own file when it begins, and
removes it when it has finished. So what a process leaves says that it failed, that it goes on, or that it was killed so
that it could not say so. Whoever reads the status combines them here.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxp.run_directory.checked import RANK, checked
from mlxp.run_directory.files import read_mapping
from mlxp.run_directory.status import Status

RANKS = "ranks"
"""The folder of their files in ``metadata``, and the key of info.yaml that holds the number of processes."""


def with_ranks(info: dict[Any, Any], metadata: str | os.PathLike[str]) -> dict[Any, Any]:
    """Return what info.yaml says, with what another process says that the first one did not know.

    That is the failure of another process, if the first one did not fail itself. A run whose first process has returned
    while others have not is under way.

    Parameters
    ----------
    info
        What info.yaml in `metadata` says. Other files are read only if it mentions several processes.
    metadata
        The folder of the files that describe the run.
    """
    others = _others(info, Path(metadata, RANKS))
    known = _with_failure(info, others)
    goes_on = any(_status(said) is Status.RUNNING for _, said in others)
    return {**info, "status": Status.RUNNING.value, "exit": None} if known is info and goes_on else known


def with_failed_rank(info: dict[Any, Any], metadata: str | os.PathLike[str]) -> dict[Any, Any]:
    """Return what info.yaml says, and the failure of another process if the first one did not fail itself."""
    return _with_failure(info, _others(info, Path(metadata, RANKS)))


def _others(info: Mapping[Any, Any], folder: Path) -> list[tuple[int, dict[Any, Any]]]:
    """Return what the other processes of a run say, by number, where that may change what the first one says."""
    count = info.get(RANKS)
    if type(count) is not int or count < 2 or _status(info) not in {Status.COMPLETE, Status.KILLED}:
        return []
    words = [(number, said) for number, said in _words_in(folder) if number < count]
    return words if _status(info) is Status.COMPLETE else [one for one in words if _status(one[1]) is Status.FAILED]


def _with_failure(info: dict[Any, Any], others: Sequence[tuple[int, Mapping[Any, Any]]]) -> dict[Any, Any]:
    for number, said in others:
        if _counts(said, info):
            end = said.get("exit") or {}
            return {**info, "status": said["status"], "exit": {**end, "reason": f"rank {number}: {end.get('reason')}"}}
    return info


def _status(said: Mapping[Any, Any]) -> Status | None:
    return Status.of(said.get("status"))


def forget_earlier(metadata: Path, ended_at: Any) -> None:
    """Remove what processes said in the attempt that info.yaml says ended at `ended_at`; done as the next begins."""
    for number, said in _words_in(metadata / RANKS):
        if not _is_after(said.get("ended_at") or said.get("started_at"), ended_at):
            with contextlib.suppress(OSError):
                (metadata / RANKS / f"{number}.yaml").unlink()


def _words_in(folder: Path) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Yield the number of each process that said something, and what it said."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are wanted
    except OSError:
        return
    stems = (name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))
    for number in sorted(int(stem) for stem in stems if stem.isdecimal() and len(stem) < 10):
        yield number, checked(read_mapping(folder / f"{number}.yaml"), RANK)[0]


def _is_after(one: Any, other: Any) -> bool:
    """Whether a time, in ISO 8601, is after another one; true if that cannot be known."""
    try:
        return datetime.fromisoformat(one) > datetime.fromisoformat(other)
    except (TypeError, ValueError):  # one is missing, or has no time zone
        return True


def _counts(said: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    """Whether what another process said explains more than what the first one said."""
    if _status(info) is Status.COMPLETE:
        return _status(said) in {Status.FAILED, Status.KILLED}
    # A launcher ends the others when one fails; but when all are ended, some may fail of that.
    return _status(said) is Status.FAILED and not _is_after(said.get("ended_at"), info.get("ended_at"))
