"""What column names stand for where pandas takes them, and what to say about names that it does not find."""

from typing import Any

import pandas as pd

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.accessors import MetricAccessor
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.keys import fields_of, resolve_columns
from mlxp_reader.query.names import Asked, is_metadata, resolve


def told_of_unknown(frame: pd.DataFrame, key: Any) -> str | None:
    """Return what is wrong with a column name or a list of them, or None if pandas is to say so."""
    names = [key] if isinstance(key, str) else key if isinstance(key, list) else []
    unknown = [name for name in names if isinstance(name, str) and name not in frame.columns]
    fields = fields_of(frame) if unknown else {}
    if not any(is_metadata(name) or kind != "value" for name, kind in fields.items()):
        return None
    try:
        meant = resolve(unknown[0], fields, wants="anything")
    except InvalidKeyError as error:
        return str(error)
    if meant in fields:
        return f"there is no column '{unknown[0]}'; write its full name, '{meant}'"
    asked = Asked.of(meant, frame.columns)
    is_method = hasattr(MetricAccessor, asked.statistic) and asked.at_best_of is None
    write = f"df['{asked.metric}'].metric.{asked.statistic}(), or " if is_method else ""
    write += f"add it by with_stats('{meant}')"
    return f"there is no column '{meant}'; write {write}"


def full_names(frame: pd.DataFrame, names: Any) -> Any:
    """Return the full name of a column, or a list of full names; anything else, or unknown, is returned as it is.

    Raises
    ------
    InvalidKeyError
        If one is a statistic of a metric, which is not a column; the message says what to write.
    """
    several = [names] if isinstance(names, str) else names
    if frame.columns.nlevels > 1 or not isinstance(several, list) or not all(isinstance(n, str) for n in several):
        return names
    fields = fields_of(frame)
    full = [name if name in frame.columns else resolve(name, fields, wants="anything") for name in several]
    if unknown := [name for name in full if name not in frame.columns]:
        raise InvalidKeyError(str(told_of_unknown(frame, unknown)))
    return full[0] if isinstance(names, str) else full


def full_names_of_keys(frame: pd.DataFrame, by: Any) -> Any:
    """Return what to group by, with full column names; anything else that pandas takes stays as it is."""
    is_one = isinstance(by, str)
    names = [by] if is_one else by
    if isinstance(names, tuple) and names not in frame.columns:
        names = list(names)
    if frame.columns.nlevels > 1 or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        return by
    try:
        full = [name if name in frame.index.names else resolve_columns(frame, name)[0] for name in names]
    except InvalidKeyError:
        if len(names) == len(frame) and not is_one:
            return by  # the name of a group for each row
        raise
    return full[0] if is_one else full


def ordered(frame: pd.DataFrame, names: list[str], ascending: bool) -> Any:
    """Return the runs sorted by columns, levels of the index, or statistics of metrics."""
    levels = {name: name for name in names if name in frame.index.names and name not in frame.columns}
    found = {name: named_column(frame, name, wants="anything") for name in names if name not in levels}
    columns = levels | {name: str(column.name) for name, column in found.items()}
    more = {str(column.name): column for column in found.values() if column.name not in frame.columns}
    by = [columns[name] for name in names]
    in_order = frame.assign(**more).sort_values(by, ascending=ascending, kind="stable")
    return in_order.drop(columns=list(more)) if more else in_order
