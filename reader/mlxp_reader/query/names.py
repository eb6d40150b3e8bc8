"""The names of fields: what each kind looks like, and which field a name in a query stands for.

A field is ``config.<key>`` or ``info.<key>``, a metric ``<log name>.<key>``, or ``artifact.<type>.<folder>``. A query
may leave out ``config.``, say ``log_id`` and ``status`` for those of the info, and asks for a metric by one of its
statistics, such as ``train.loss.last``.
"""

import difflib
from collections.abc import Collection

from mlxp.errors import InvalidKeyError

STATISTICS = ("last", "first", "min", "max", "mean", "count", "argmin", "argmax")
"""What can be asked of a metric, whose values are one per record."""

SHORT_NAMES = {"log_id": "info.logger.log_id", "status": "info.status"}
"""What is asked for so often that it has a short name, unless the configuration has a key of that name."""

_METADATA = ("config.", "info.")
_NOT_METRICS = (*_METADATA, "artifact.", "mlxp.")


def is_metadata(field: str) -> bool:
    """Tell whether `field` holds one value per run: a key of the configuration or of the run's info."""
    return field.startswith(_METADATA)


def is_metric(field: str) -> bool:
    """Tell whether `field` is a metric, which holds one value per record.

    Examples
    --------
    >>> is_metric("train.loss"), is_metric("config.train.loss")
    (True, False)
    """
    return "." in field and not field.startswith(_NOT_METRICS)


def split_statistic(name: str) -> tuple[str, str] | None:
    """Return the metric and the statistic that `name` asks for, or None if it is not of that form.

    Examples
    --------
    >>> split_statistic("train.loss.last")
    ('train.loss', 'last')
    >>> split_statistic("config.loss.last") is None
    True
    """
    metric, _, statistic = name.rpartition(".")
    return (metric, statistic) if statistic in STATISTICS and is_metric(metric) else None


def resolve(name: str, fields: Collection[str]) -> str:
    """Return the field, or the statistic of a metric, that `name` stands for.

    A name that starts with ``config.`` or ``info.`` is that field. Any other one is a statistic of a metric, a key of
    the configuration, or one of the `SHORT_NAMES`.

    Parameters
    ----------
    name
        A name as it is written in a query.
    fields
        The full names of all fields, the metrics among them.

    Raises
    ------
    InvalidKeyError
        If there is no such field, or if the name has both meanings. The message names the nearest fields.

    Examples
    --------
    >>> fields = ["config.seed", "info.status", "train.loss"]
    >>> resolve("seed", fields), resolve("status", fields), resolve("train.loss.min", fields)
    ('config.seed', 'info.status', 'train.loss.min')
    """
    if is_metadata(name) and name in fields:
        return name
    meanings = _meanings(name, fields)
    if len(meanings) > 1:
        raise InvalidKeyError(f"'{name}' is ambiguous: it may be {' or '.join(map(repr, meanings))}")
    if meanings:
        return meanings[0]
    if SHORT_NAMES.get(name) in fields:
        return SHORT_NAMES[name]
    if name in fields and is_metric(name):
        choices = ", ".join(f"{name}.{statistic}" for statistic in STATISTICS)
        several = "has one value per record; a query or table takes one of its statistics"
        raise InvalidKeyError(f"'{name}' {several}: {choices}")
    if name in fields:
        raise InvalidKeyError(f"'{name}' holds artifacts, which nothing can be compared with")
    raise InvalidKeyError(f"there is no field '{name}'{_suggestion(name, fields)}")


def _meanings(name: str, fields: Collection[str]) -> list[str]:
    meanings = [f"config.{name}"] if f"config.{name}" in fields else []
    statistic = split_statistic(name)
    if statistic is not None and statistic[0] in fields:
        meanings.append(name)
    return meanings


def _suggestion(name: str, fields: Collection[str]) -> str:
    metadata = [field for field in fields if is_metadata(field)]
    statistics = [f"{field}.{statistic}" for field in fields if is_metric(field) for statistic in STATISTICS]
    within = [field for field in metadata if f".{name}." in f"{field}."]
    similar = difflib.get_close_matches(name, [*metadata, *statistics], n=3)
    # Without its prefix, a short name is too far from the field that is meant to be found.
    bare = {field.partition(".")[2]: field for field in metadata}
    similar += [bare[match] for match in difflib.get_close_matches(name, bare, n=3)]
    nearest = list(dict.fromkeys(within + similar))[:3]
    return (
        f"; did you mean {' or '.join(nearest)}?"
        if nearest
        else "; reader.searchable lists what there is, and `mlxp show ID` what a run has"
    )


def suggestion(name: str, columns: Collection[str]) -> str:
    """Return the end of a message about a column that does not exist: the names that are like it.

    Examples
    --------
    >>> suggestion("train.lsos", ["train.loss", "config.seed"])
    '; did you mean train.loss?'
    """
    names = [str(column) for column in columns]
    # Without its prefix, a short name is too far from the column that is meant to be found.
    bare = {column.partition(".")[2]: column for column in names if is_metadata(column)}
    found = difflib.get_close_matches(name, names, n=3) + [bare[one] for one in difflib.get_close_matches(name, bare)]
    within = [column for column in names if f".{name}." in f"{column}."]
    similar = list(dict.fromkeys(within + found))[:3]
    return f"; did you mean {' or '.join(similar)}?" if similar else ""
