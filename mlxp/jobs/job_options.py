"""The options of a job as each scheduler spells them: its name, its output files and its shell."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from mlxp.run_directory.layout import RunDirectory
from mlxp.scheduler import Scheduler
from mlxp.scripts.job_script import quoted


def header_lines(scheduler: Scheduler, name: str, stdout: Path, stderr: Path, *, shell: str) -> list[str]:
    """Return MLXP's own options as lines of a script."""
    values = option_values(scheduler, name, stdout, stderr, shell)
    if scheduler.quotes_in_header:
        values = {key: quoted(value) for key, value in values.items()}
    return [f"{scheduler.directive} {filled(option, values)}" for option in scheduler.header]


def option_values(scheduler: Scheduler, name: str, stdout: Path, stderr: Path, shell: str) -> dict[str, str]:
    """Return the values that replace the ``{names}`` in the options of a job."""
    files = {"stdout": str(stdout), "stderr": str(stderr)}
    for plain, escaped in scheduler.escaped_in_output:
        files = {key: path.replace(plain, escaped) for key, path in files.items()}
    return {"name": scheduler.names.adapted(name), **files, "shell": shell, "directory": str(stdout.parent)}


def filled(text: str, values: dict[str, str]) -> str:
    """Return `text` with its ``{names}`` replaced; other braces stay.

    Examples
    --------
    >>> filled("--output={stdout}", {"stdout": "/logs/{1}/log.stdout"})
    '--output=/logs/{1}/log.stdout'
    """
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def job_name(directory: RunDirectory) -> str:
    """Return the name of a run's job, where the scheduler allows it: ``logs/1``."""
    return f"{directory.path.parent.name}/{directory.path.name}"


def shell_path(interpreter: Sequence[str]) -> str:
    """Return the path of a script's shell, without ``env`` and options."""
    word = next((word for word in interpreter if Path(word).name not in {"env", "-S"}), "/bin/bash")
    return shutil.which(word) or word


def task_variable(scheduler: Scheduler) -> str | None:
    """Return the variable that holds the number of an array's task; None if it is not known."""
    others = {"PBS": "PBS_ARRAYID", "MWM": "MOAB_JOBARRAYINDEX", "OAR": "OAR_ARRAY_INDEX"}
    known = scheduler.array.task_variable if scheduler.array is not None else ""
    return known or others.get(scheduler.name)


def tasks_of(option: str) -> str:
    """Return an array's task numbers, in the form a shell loop takes, from the option that requests the array.

    Examples
    --------
    >>> tasks_of("--array=1-4%2"), tasks_of("-t 2-10:4"), tasks_of("--array=1,3,7"), tasks_of("--array 5")
    ('$(seq 1 4)', '$(seq 2 4 10)', '1 3 7', '$(seq 1 5)')
    """
    numbers = re.search(r"(\d[\d,:-]*)", re.sub(r"%.*", "", option))
    parts = numbers[1].split(",") if numbers else ["1"]
    return " ".join(part if part.isdecimal() and len(parts) > 1 else _range(part) for part in parts)


def _range(text: str) -> str:
    first, _, rest = text.rpartition("-")
    last, _, step = rest.partition(":")
    return f"$(seq {first or 1} {f'{step} ' if step else ''}{last})"
