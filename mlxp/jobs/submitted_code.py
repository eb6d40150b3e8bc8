"""The code of the runs of one submission: its state is recorded once, and frozen jobs run a copy of it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlxp.errors import JobSubmissionError, MLXPError
from mlxp.jobs.submission import Submission
from mlxp.run_directory.layout import STORE_DIR
from mlxp.running.code_state import CodeState, not_stored, top_of
from mlxp.running.copies import Copy, captured, copy_of, names_of, place_of, refuse_changes
from mlxp.running.plan_report import PlannedRun

_SHOWN = 20
"""The largest number of names in a list of files."""


class SubmittedCode:
    """What is known about the code of runs, recorded once for all that share it.

    Parameters
    ----------
    is_frozen
        Whether jobs run a copy of the code, also where no version manager has made one.
    """

    def __init__(self, *, is_frozen: bool) -> None:
        self.is_frozen = is_frozen
        self._known: dict[tuple[str, str], dict[str, Any] | None] = {}

    def remember(self, run: PlannedRun, submission: Submission) -> None:
        """Use, for runs like this one, the code of a submission that was cut short."""
        code = submission.content.get("code")
        if isinstance(code, dict) and bool(code.get("copy")) == self.is_frozen:
            restore(submission)
            self._known[_key(run)] = code

    def recorded(self, run: PlannedRun) -> PlannedRun:
        """Return a run with what is known about its code, after storing the code beside the runs.

        Raises
        ------
        MLXPError
            If there is to be a copy, and there cannot be one.
        """
        if run.code is not None:  # a version manager has made the copy
            return run
        if _key(run) not in self._known:
            self._known[_key(run)] = self._record(run)
        return _moved(run, self._known[_key(run)])

    def _record(self, run: PlannedRun) -> dict[str, Any] | None:
        parent = Path(run.parent_log_dir)
        store = parent / STORE_DIR
        if not (self.is_frozen or run.capture):
            return None
        try:
            state = captured(Path(run.directory), store, [parent], run.dirty if self.is_frozen else "include")
        except MLXPError:
            if self.is_frozen:
                raise
            return None  # what the jobs run cannot be compared with anything
        if not self.is_frozen:
            return state.facts()
        refuse_changes(state, run.dirty)
        return {**state.facts(), "copy": str(copy_of(store, state, [parent])), "store": str(store)}

    def preview(self, run: PlannedRun) -> tuple[PlannedRun, list[str]]:
        """Return a run as `recorded` would, without making anything, and lines that say what is frozen."""
        if run.code is None and not self.is_frozen:
            return run, []
        parent = Path(run.parent_log_dir)
        with tempfile.TemporaryDirectory(prefix="mlxp-store-") as temporary:
            store = Path(temporary)
            state = captured(Path(run.directory), store, [parent, *_work_dirs(run)], run.dirty)
            others = not_stored(top_of(Path(run.directory)), store, [parent, *_work_dirs(run)])
        refuse_changes(state, run.dirty)
        code = {**state.facts(), "copy": str(place_of(parent / STORE_DIR, state))} if run.code is None else run.code
        return _moved(run, code) if run.code is None else run, _lines(state, str(code["copy"]), others)


def _work_dirs(run: PlannedRun) -> list[Path]:
    return [Path(str(run.code["store"])).parent] if run.code else []


def _key(run: PlannedRun) -> tuple[str, str]:
    return run.directory, run.parent_log_dir


def _moved(run: PlannedRun, code: Mapping[str, Any] | None) -> PlannedRun:
    copy = Copy.known(code)
    work_dir = copy.directory(run.work_dir) if copy is not None else run.work_dir
    return replace(run, code=dict(code) if code is not None else None, work_dir=work_dir)


def _lines(state: CodeState, copy: str, others: Sequence[str]) -> list[str]:
    lines = [f"frozen: {state.top}, in {copy}"]
    for what, names in (
        ("  with uncommitted changes", state.changed),
        ("  with untracked files", state.untracked),
        ("not frozen, reached by links", others),
    ):
        more = [f"… and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        lines += [f"{what}: {', '.join([*names[:_SHOWN], *more])}"] if names else []
    return [*lines, ""]


def restore(submission: Submission) -> None:
    """Make the copy of the code that a run's job starts in, if it is missing or was changed.

    Raises
    ------
    JobSubmissionError
        If that cannot be done.
    """
    code = submission.content.get("code")
    copy = Copy.known(code)
    if copy is None or not isinstance(code, dict) or not code.get("store"):
        return
    state = CodeState(copy.of, str(code["state"]), code.get("commit"))
    try:
        copy_of(Path(str(code["store"])), state, [submission.directory.path.parent], copy.path)
    except MLXPError as error:
        raise JobSubmissionError(str(error)) from error


def what_jobs_run(runs: Sequence[PlannedRun], advice: str) -> str:
    """Return a sentence that says which code the jobs of some runs execute."""
    copies = list(dict.fromkeys(str(run.code["copy"]) for run in runs if run.code and run.code.get("copy")))
    if not copies:
        return f"the jobs run whatever code is there when they start; {advice} keeps the present code"
    return f"the jobs run the code as it is now, in {names_of(copies)}"
