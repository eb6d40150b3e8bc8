"""How much computing runs took, by hardware, as conferences ask for it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.runs import Runs
from mlxp_reader.notices import notice, some

_DURATION: Final = "info.duration"
_HARDWARE: Final = ("gpu", "gpus", "cpu", "cpus")
_SUMMED: Final = ("runs", "hours", "gpu_hours", "cpu_hours")
_LARGEST: Final = ("peak_memory", "peak_gpu_memory")


def compute(frame: Runs) -> pd.DataFrame:
    """Return how many hours the runs took on each kind of hardware, the most hours first.

    All runs of the frame count, including failed ones; to choose, write ``runs.filter("status ==
    'COMPLETE'").compute()``. Only the last attempt of each run counts. Runs without a recorded duration, because they
    are in progress, were lost or come from a release before 2.0, are left out, and a warning says how many.

    Returns
    -------
    pandas.DataFrame
        A plain frame with the columns

        - ``gpu``: the model of the GPUs; None for runs without one. ``gpus``: how many each run could use
        - ``cpu``: the model of the processor. ``cpus``: how many each run could use
        - ``runs``: the number of runs
        - ``hours``: from start to end, all runs together
        - ``gpu_hours``: the same times the number of GPUs, in use or not
        - ``cpu_hours``: processor time of the runs' processes and their children
        - ``peak_memory``, ``peak_gpu_memory``: the most memory that a run used, in bytes; the latter on one GPU.
          Missing if no run recorded it, as without ``mlxp[resources]``.

    Examples
    --------
    >>> from mlxp_reader import DataFrame
    >>> runs = DataFrame(
    ...     {
    ...         "info.duration": [3600.0, 1800.0],
    ...         "info.environment.cpu": ["Xeon", "Xeon"],
    ...         "info.environment.cpus": [8, 8],
    ...         "info.environment.gpus": [["A100"] * 2, ["A100"] * 2],
    ...     }
    ... )
    >>> runs.compute()[["gpu", "gpus", "cpu", "runs", "hours", "gpu_hours"]].to_dict("records")
    [{'gpu': 'A100', 'gpus': 2, 'cpu': 'Xeon', 'runs': 2, 'hours': 1.5, 'gpu_hours': 3.0}]
    """
    names = [name for name in map(str, frame.columns) if name == _DURATION or name.startswith(_PREFIXES)]
    columns = {name: list(frame[name]) for name in names}
    rows = [{name: values[number] for name, values in columns.items()} for number in range(len(frame))]
    known = [_cost(row) for row in rows if not is_missing(row.get(_DURATION))]
    if len(known) < len(rows):
        lacking = [label for label, row in zip(frame.index, rows, strict=True) if is_missing(row.get(_DURATION))]
        notice(
            f"{len(lacking)} of {len(rows)} runs are not counted, since they do not say how long they took: "
            f"{some(lacking)}"
        )
    table = pd.DataFrame(known, columns=pd.Index([*_HARDWARE, *_SUMMED, *_LARGEST]))
    groups = table.groupby(list(_HARDWARE), dropna=False, sort=False)
    summed = groups[[*_SUMMED]].sum().join(groups[[*_LARGEST]].max()).reset_index()
    summed["gpu"] = summed["gpu"].astype(object).where(summed["gpu"].notna(), None)
    return summed.sort_values(["gpu_hours", "hours"], ascending=False, ignore_index=True)


_PREFIXES: Final = ("info.resources.", "info.environment.")


def _cost(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one run took, and on what."""
    watched = _list(row.get("info.resources.gpus"))
    models = [str(gpu["name"]) for gpu in watched] or _usable(row)
    hours = float(row[_DURATION]) / 3600
    memory = [gpu["peak_memory"] for gpu in watched if gpu.get("peak_memory") is not None]
    return {
        "gpu": " + ".join(sorted(set(models))) or None,
        "gpus": len(models),
        "cpu": _known(row, "info.environment.cpu"),
        "cpus": _known(row, "info.environment.cpus"),
        "runs": 1,
        "hours": hours,
        "gpu_hours": hours * len(models),
        "cpu_hours": (_known(row, "info.resources.cpu_seconds") or 0.0) / 3600,
        "peak_memory": _known(row, "info.resources.peak_memory"),
        "peak_gpu_memory": max(memory, default=None),
    }


def _usable(row: Mapping[str, Any]) -> list[str]:
    """Return the GPUs of the machine that the run was allowed to use, where nobody watched them."""
    models = [str(model) for model in _list(row.get("info.environment.gpus"))]
    variables = row.get("info.environment.variables")
    given = variables.get("CUDA_VISIBLE_DEVICES") if isinstance(variables, Mapping) else None
    if given is None:
        given = row.get("info.environment.variables.CUDA_VISIBLE_DEVICES")
    if is_missing(given):
        return models
    chosen = [word.strip() for word in str(given).split(",") if word.strip() and word.strip() != "-1"]
    return [models[int(word)] if word.isdigit() and int(word) < len(models) else models[0] for word in chosen if models]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def _known(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    return None if is_missing(value) else value
