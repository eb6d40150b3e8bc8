"""How runs are put into jobs: one per job, several in a row, or as the tasks of arrays."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mlxp.scheduler import Array, Scheduler
from mlxp.schedulers.base import asked

Item = TypeVar("Item")


@dataclass(frozen=True)
class Packing:
    """How runs are put into jobs.

    Attributes
    ----------
    per_job
        How many runs each job does.
    array
        Whether the jobs are tasks of arrays, where the scheduler has arrays.
    at_once
        How many tasks of an array may run at once; None for any number.
    side_by_side
        Whether the runs of a job are done at once, instead of one after another.
    """

    per_job: int = 1
    array: bool = False
    at_once: int | None = None
    side_by_side: bool = False

    def notes(self, scheduler: Scheduler) -> list[str]:
        """Return notes for the user on what the scheduler cannot do of this packing."""
        if not self.array:
            return []
        if scheduler.array is None:
            all_at_once = ", and all may run at once" if self.at_once is not None else ""
            return [
                f"{scheduler.name} has no arrays that work in the same way on every site: single jobs are submitted"
                + all_at_once
            ]
        if self.at_once is not None and not scheduler.array.limit:
            return [f"{scheduler.name} cannot limit how many tasks of an array run at once: all may"]
        return []

    def words(self, scheduler: Scheduler, submissions: int, jobs: int) -> str:
        """Return a description of how runs become jobs.

        Examples
        --------
        >>> from mlxp.scheduler import SCHEDULERS
        >>> Packing(per_job=2, array=True, at_once=5).words(SCHEDULERS["SLURM"], submissions=1, jobs=100)
        '100 SLURM jobs of at most 2 runs, as tasks of 1 array, 5 at once'
        """
        shape = f"one {scheduler.name} job each"
        if self.per_job > 1:
            shape = f"{jobs} {scheduler.name} job{'s' * (jobs != 1)} of at most {self.per_job} runs"
            shape += " at once" if self.side_by_side else ""
        if not self.array or scheduler.array is None:
            return shape
        limit = f", {self.at_once} at once" if self.at_once is not None and scheduler.array.limit else ""
        return f"{shape}, as tasks of {submissions} array{'s' * (submissions != 1)}{limit}"

    def array_of(self, scheduler: Scheduler) -> Array | None:
        """Return the scheduler's kind of array if the jobs are tasks of arrays."""
        return scheduler.array if self.array else None

    def is_single(self, scheduler: Scheduler) -> bool:
        """Tell whether each run gets a job of its own that is not a task of an array."""
        return self.per_job == 1 and self.array_of(scheduler) is None

    def shares(self, scheduler: Scheduler, runs: Sequence[Item]) -> list[list[list[Item]]]:
        """Return the jobs of each submission, each as a list of its runs."""
        array = self.array_of(scheduler)
        return _cut(_cut(runs, self.per_job), _largest_array(array) if array is not None else 1)

    def to_dict(self) -> dict[str, Any]:
        """Return what is recorded about the packing, so that a run can be submitted again in the same way."""
        return asdict(self)

    @classmethod
    def of(cls, written: Any) -> "Packing":
        """Return the recorded packing, or single jobs if there is no record, as in versions before 2.0.0."""
        known = written if isinstance(written, dict) else {}
        at_once, side_by_side = known.get("at_once"), bool(known.get("side_by_side"))
        return cls(known.get("per_job") or 1, bool(known.get("array")), at_once, side_by_side)


def _cut(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _largest_array(array: Array) -> int:
    """Return how many tasks the site allows in one array."""
    answer = asked(array.largest_command) if array.largest_command else None
    found = array.largest_pattern.search(answer.output) if answer is not None else None
    if found is None:
        return array.largest
    return max(int(found[1]) - array.largest_is_excluded, 1)
