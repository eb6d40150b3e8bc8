"""Plan mode, as a program sees it: after all checks it reports the runs that it would start, and starts none of them.

An environment variable names the file that the report goes to. mlxpsub sets it only for the one execution of a script
that finds out what to submit.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PLAN_VARIABLE = "MLXP_PLAN"
"""Environment variable that holds the path of the file that reports are appended to."""

OVERRIDES_VARIABLE = "MLXP_PLAN_OVERRIDES"
"""Environment variable that holds, as JSON, overrides that take precedence over those of each program's command."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a program would start.

    Attributes
    ----------
    overrides
        What turns the program's configuration into this one, in Hydra's grammar, as the user wrote it if possible.
    config
        The configuration, resolved, as YAML.
    parent_log_dir
        The directory in which to create the run's directory.
    work_dir
        Where to execute it: the current directory, or the copy of the code that the version manager made.
    version_manager
        What the version manager says about that copy.
    late
        The keys of the configuration whose values depend on what only the job knows.
    directory
        The directory of the file that defines the task.
    python_path
        Where the program imports modules of its repository from.
    capture, dirty
        The settings ``capture`` and ``version_manager.dirty``.
    code
        What is known about the code; where it has a ``copy``, the job runs in it.
    program
        The path of the file that defines the task.
    identity
        The settings under ``mlxp.identity``.
    secret
        The keys of the configuration whose values are not recorded.
    only_missing, dry_run, requeue, batch
        The settings of these names.
    """

    overrides: list[str]
    config: str
    parent_log_dir: str
    work_dir: str
    version_manager: Any = None
    late: list[str] = field(default_factory=list)
    directory: str = ""
    python_path: list[str] = field(default_factory=list)
    capture: bool = True
    dirty: str = "include"
    code: dict[str, Any] | None = None
    program: str = ""
    identity: dict[str, Any] = field(default_factory=dict)
    secret: list[str] = field(default_factory=list)
    only_missing: bool = False
    dry_run: bool = False
    requeue: int = 0
    batch: str = ""


def is_planning() -> bool:
    """Tell whether the program is to report its runs instead of starting them."""
    return bool(os.environ.get(PLAN_VARIABLE))


def overrides_of_plan() -> list[str]:
    """Return the overrides that take precedence over those of the program's command."""
    return [str(one) for one in json.loads(os.environ.get(OVERRIDES_VARIABLE) or "[]")]


def append_report(runs: Sequence[PlannedRun], command: Sequence[str]) -> None:
    """Append a report of `runs` to the file that the environment names; `command` is for messages."""
    _let_program_do_what_it_wants(not Path(os.environ[PLAN_VARIABLE]).exists())
    report = {"command": list(command), "runs": [asdict(run) for run in runs]}
    with Path(os.environ[PLAN_VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")


def _let_program_do_what_it_wants(is_beginning: bool) -> None:
    # Between the first report, which is empty, and the second, MLXP controls the program; see scripts/guard.
    guard = getattr(sys.modules.get("_mlxp_plan_guard"), "guard", None)
    if guard is not None:
        guard.is_on = not is_beginning


def read_reports(file: Path) -> list[tuple[list[PlannedRun], list[str]]]:
    """Return the reports in `file`: the runs and the command of each; none if there is no such file."""
    if not file.exists():
        return []
    reports = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [([PlannedRun(**run) for run in report["runs"]], report["command"]) for report in reports]
