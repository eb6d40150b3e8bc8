"""Keys of the configuration as users write and read them: without ``config.`` where that says as much."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.runs import Runs
from mlxp_reader.query.names import suggestion


def as_names(names: str | Iterable[str] | None) -> list[str]:
    """Return one name, several or none as a list."""
    return [names] if isinstance(names, str) else list(names or ())


def resolve_columns(frame: Runs | pd.DataFrame, names: str | Iterable[str] | None) -> list[str]:
    """Return the columns that `names` stand for: a key of the configuration may be given without ``config.``.

    Raises
    ------
    InvalidKeyError
        If there is no such column, or if it is a metric.

    Examples
    --------
    >>> resolve_columns(pd.DataFrame(columns=["config.seed", "info.status"]), ["seed", "info.status"])
    ['config.seed', 'info.status']
    """
    return [_resolved(frame, name) for name in as_names(names)]


def _resolved(frame: Runs | pd.DataFrame, name: str) -> str:
    columns = [column for column in (name, f"config.{name}") if column in frame.columns]
    for column in columns:
        if not isinstance(frame[column].dtype, MetricDtype):
            return column
    if columns:
        raise InvalidKeyError(f"'{name}' is a metric, with a value per step; a key has one value per run")
    known = suggestion(name, frame.columns)
    raise InvalidKeyError(f"there is no key '{name}' in the configuration, and no such column{known}")


def short(name: str) -> str:
    """Return the name of a column as pictures and tables show it.

    Examples
    --------
    >>> short("config.optimizer.lr"), short("info.status"), short("val.acc.last")
    ('optimizer.lr', 'status', 'val.acc.last')
    """
    return name.removeprefix("config.").removeprefix("info.")


def shown(value: Any) -> str:
    """Return a value of a configuration as pictures and tables show it: short, and without what Python adds.

    Examples
    --------
    >>> shown(0.1), shown(np.float64(1e-05)), shown(2.0), shown("adam"), shown(None), shown([64, 64]), shown(True)
    ('0.1', '1e-05', '2', 'adam', 'None', '[64, 64]', 'True')
    """
    if is_missing(value):
        return "None"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return str(value.item() if isinstance(value, np.generic) else value)


def cut(text: str, most: int = 24) -> str:
    """Return a text in one line of so many characters at most.

    Examples
    --------
    >>> cut("a long text", 6), cut("a short text")
    ('a lon…', 'a short text')
    """
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def setting(values: Mapping[Any, Any]) -> str:
    """Return keys and their values as one text.

    Examples
    --------
    >>> setting({"config.lr": 0.1, "config.model": "mlp"})
    'lr=0.1, model=mlp'
    """
    return ", ".join(f"{short(name)}={shown(value)}" for name, value in values.items())
