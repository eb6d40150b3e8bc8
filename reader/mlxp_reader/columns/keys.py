"""Finds the columns of a frame by the names that users type, and shows names and values as users read them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlxp.run_directory.printable import printable
from mlxp_reader.columns.artifacts import ArtifactDtype
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.missing import TEXTS, THERE, kind_of
from mlxp_reader.columns.runs import Runs
from mlxp_reader.query.names import FieldKind, resolve


def as_names(names: str | Iterable[str] | None) -> list[str]:
    """Return one name, several names or none as a list."""
    return [names] if isinstance(names, str) else list(names or ())


def fields_of(frame: Runs | pd.DataFrame) -> dict[str, FieldKind]:
    """Return the columns of a frame and what each of them holds."""
    return {str(name): _kind(dtype) for name, dtype in zip(frame.columns, frame.dtypes, strict=True)}


def _kind(dtype: Any) -> FieldKind:
    return "metric" if isinstance(dtype, MetricDtype) else "artifact" if isinstance(dtype, ArtifactDtype) else "value"


def resolve_columns(frame: Runs | pd.DataFrame, names: str | Iterable[str] | None) -> list[str]:
    """Return the columns that the names of keys stand for: ``config.`` may be left out.

    Raises
    ------
    InvalidKeyError
        If there is no such column, or if it is not a key.

    Examples
    --------
    >>> resolve_columns(pd.DataFrame(columns=["config.seed", "info.status"]), ["seed", "info.status"])
    ['config.seed', 'info.status']
    """
    fields = fields_of(frame)
    return [resolve(name, fields, wants="key") for name in as_names(names)]


def short(name: str) -> str:
    """Return the name of a column as pictures and tables show it.

    Examples
    --------
    >>> short("config.optimizer.lr"), short("info.status"), short("val.acc.last")
    ('optimizer.lr', 'status', 'val.acc.last')
    """
    return printable(name.removeprefix("config.").removeprefix("info."))


def shown(value: Any) -> str:
    """Return a value of a configuration as pictures and tables show it: short, and without what Python adds.

    Examples
    --------
    >>> shown(0.1), shown(np.float64(1e-05)), shown(2.0), shown("adam"), shown(None), shown([64, 64]), shown(True)
    ('0.1', '1e-05', '2', 'adam', 'null', '[64, 64]', 'True')
    """
    if (kind := kind_of(value)) != THERE:
        return TEXTS[kind]
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return printable(str(value.item() if isinstance(value, np.generic) else value))


def cut(text: str, most: int = 24) -> str:
    """Return a text as one line of at most `most` characters.

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
    return ", ".join(f"{short(name)}={cut(shown(value))}" for name, value in values.items())
