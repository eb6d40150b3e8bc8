"""Plan mode, as a program sees it: it reports the runs that it would do, after all checks, and does none of them.

The environment variable names the file that the report goes to. mlxpsub sets it for the one execution of a script that
finds out what to submit, and for nothing else.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "MLXP_PLAN"
"""Environment variable that holds the path of the file that reports are appended to."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a program would do.

    Attributes
    ----------
    overrides
        What makes it of the program's configuration, in Hydra's grammar, as the user wrote it where possible.
    config
        The configuration, resolved, as YAML.
    parent_log_dir
        The directory that the run's directory is to be created in.
    work_dir
        Where to execute it: the current directory, or the copy of the code that the version manager made.
    version_manager
        What the version manager says about that copy.
    late
        The keys of the configuration whose values depend on what only the job knows.
    """

    overrides: list[str]
    config: str
    parent_log_dir: str
    work_dir: str
    version_manager: Any = None
    late: list[str] = field(default_factory=list)


def is_planning() -> bool:
    """Tell whether the program shall report its runs instead of doing them."""
    return bool(os.environ.get(VARIABLE))


def append_report(runs: Sequence[PlannedRun], command: Sequence[str]) -> None:
    """Append a report of `runs` to the file that the environment names; `command` is for messages."""
    _let_program_do_what_it_wants(not Path(os.environ[VARIABLE]).exists())
    report = {"command": list(command), "runs": [asdict(run) for run in runs]}
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")


def _let_program_do_what_it_wants(is_beginning: bool) -> None:
    # From the first report, which is empty, to the second the program is in our hands; see scripts/guard.
    guard = getattr(sys.modules.get("_mlxp_plan_guard"), "guard", None)
    if guard is not None:
        guard.is_on = not is_beginning


def read_reports(file: Path) -> list[tuple[list[PlannedRun], list[str]]]:
    """Return the reports in `file`: the runs and the command of each; none if there is no such file."""
    if not file.exists():
        return []
    reports = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [([PlannedRun(**run) for run in report["runs"]], report["command"]) for report in reports]
