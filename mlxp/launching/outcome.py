"""The outcome of a launch: the task's values, the failures, and the table that is shown after a sweep."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlxp.errors import SweepError
from mlxp.launching.launch_record import LaunchRecord, RunRecord, summary
from mlxp.launching.starter import RunStarter
from mlxp.printing import flush, show
from mlxp.run_directory.printable import printable
from mlxp.run_directory.status import Status

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn


class SweepResults(list[Any]):
    """The return value of the task for each run of a sweep, in the order of the sweep, with the ids of the runs.

    Attributes
    ----------
    log_ids
        The id of each run; None where the logger is disabled.
    """

    def __init__(self, values: Sequence[Any], log_ids: list[int | None]) -> None:
        super().__init__(values)
        self.log_ids = log_ids


class Outcome:
    """What is known about the runs of one launch.

    Parameters
    ----------
    record
        What the processes that execute the runs wrote about each.
    starter
        What starts them.

    Attributes
    ----------
    results
        What Hydra's launcher returned for each run, if MLXP's own sweeper called it.
    """

    def __init__(self, record: LaunchRecord, starter: RunStarter) -> None:
        self.record = record
        self.starter = starter
        self.results: list[JobReturn] = []

    def of_program(self) -> Any:
        """Return the task's value, or those of a sweep, after showing how the runs ended; exit if a run failed."""
        if self.starter.only_lists:
            return None
        if self.starter.is_single:
            return self._single_value()
        self.print_summary()
        failures = self._failures()
        if failures:
            flush()
            sys.exit(failures)
        return self._sweep_results()

    def _single_value(self) -> Any:
        run = next(iter(self.record.runs()), None)
        if run is not None and run.is_left_out:
            show(f"nothing is started: {run.reason}")
            return None
        return self.results[0].return_value if self.results or run is None else run.value

    def or_raise_failures(self) -> SweepResults:
        """Return the values of a sweep.

        Raises
        ------
        SweepError
            If a run failed.
        """
        results = self._sweep_results()
        failures = self._failures()
        if failures:
            raise SweepError(failures, list(results), results.log_ids)
        return results

    def print_summary(self) -> None:
        """Print a line for each run of a sweep."""
        runs = self.record.runs()
        if runs and not self.starter.is_single:
            show(printable(summary(runs)))

    def _sweep_results(self) -> SweepResults:
        runs = self.record.runs()
        if not self.results:  # another sweeper was chosen, which keeps them to itself
            return SweepResults([run.value for run in runs], [run.log_id for run in runs])
        ids = {run.number: run.log_id for run in runs}
        values = {number: None if _has_failed(result) else result.return_value for number, result in self._numbered()}
        numbers = range(max([*ids, *values]) + 1)
        return SweepResults([values.get(number) for number in numbers], [ids.get(number) for number in numbers])

    def _numbered(self) -> list[tuple[int, "JobReturn"]]:
        """Return the results with the numbers of their runs in the sweep as it was asked for."""
        numbers = self.starter.numbers if self.starter.numbers is not None else range(len(self.results))
        return list(zip(numbers, self.results, strict=False))

    def _failures(self) -> str | None:
        """Return a line for each run that failed or was not started; None if there is no such run."""
        runs = {run.number: run for run in self.record.runs()}
        failed = [run for run in runs.values() if run.status != Status.COMPLETE and not run.is_left_out]
        missing = sum(_has_failed(result) for number, result in self._numbered() if number not in runs)
        if not failed and not missing:
            return None
        total = max(len(self.results), sum(not run.is_left_out for run in runs.values()))
        title = f"{len(failed)} of {total} runs failed" + (f", {missing} not started" if missing else "") + ":"
        return "\n".join([title, *map(_failure, failed)])


def _failure(run: RunRecord) -> str:
    return printable(f"  run {run.log_id or '-'}: {' '.join(run.overrides)}: {run.error}")


def _has_failed(result: "JobReturn") -> bool:
    from hydra.core.utils import JobStatus

    return result.status is not JobStatus.COMPLETED
