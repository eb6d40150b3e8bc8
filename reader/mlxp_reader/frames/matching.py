"""Queries over the runs of a frame, of which only the columns are known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlxp_reader.columns.asked_values import asked_values
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.curves import SOURCE
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.missing import IS_NAN, exact_values, kinds_of
from mlxp_reader.columns.mixed import MixedDtype
from mlxp_reader.evidence.cells import ORIGIN, frame_origin
from mlxp_reader.notices import notice
from mlxp_reader.query.expressions import MISSING, Comparison, Expression, Membership
from mlxp_reader.query.language import parse
from mlxp_reader.query.names import is_metadata, is_metric


def matching(frame: pd.DataFrame, text: str) -> npt.NDArray[np.bool_]:
    """Tell for each run of a frame whether it matches a query; see `mlxp_reader.Reader.filter`.

    Raises
    ------
    InvalidKeyError
        If the query has a name that does not exist.
    QuerySyntaxError
        If the query is not valid; the message shows the place.
    """

    def values(name: str) -> Any:
        if name in frame.columns:
            return _values(frame[name])
        return asked_values(frame, name)

    expression = parse(text).resolved(fields_of(frame))
    _tell_of_null(frame, expression)
    return expression.mask(values, len(frame))


def remember_query(frame: pd.DataFrame, found: pd.DataFrame, text: str) -> None:
    """Remember that what a query found is from both queries, if the frame itself has all runs of one."""
    origin = frame_origin(frame)
    names = parse(text).resolved(fields_of(frame)).columns()
    is_read = all(is_metadata(name) or is_metric(name) or name == SOURCE for name in names)
    if origin and is_read and len(frame) == origin["count"]:
        queries = [f"({one})" for one in (origin["query"], text) if one.strip()]
        found.attrs[ORIGIN] = {**origin, "query": " & ".join(queries), "count": len(found)}


def _values(column: "pd.Series[Any]") -> list[Any]:
    # A NaN may also be how pandas filled a gap, where it put frames together.
    return [MISSING if value is not None and is_missing(value) else value for value in exact_values(column)]


def _tell_of_null(frame: pd.DataFrame, expression: Expression) -> None:
    """Warn where the answer depends on what a column of numbers or texts does not tell: a null, or no such key."""
    for leaf in _leaves(expression):
        if leaf.name not in frame.columns or not leaf.minds_null():
            continue
        column = frame[leaf.name]
        is_exact = column.dtype == object or isinstance(column.dtype, MixedDtype)
        count = 0 if is_exact else int((kinds_of(column) == IS_NAN).sum())
        if count:
            some = f"{count} runs have a null in {leaf.name} or lack it"
            one = f"one run has a null in {leaf.name} or lacks it"
            notice(
                f"{some if count > 1 else one}, which a frame does not tell apart:"
                " here they count as if they lacked it; Reader.filter knows"
            )


def _leaves(expression: Expression) -> Iterator[Comparison | Membership]:
    if isinstance(expression, Comparison | Membership):
        yield expression
    for operand in (*getattr(expression, "operands", ()), *filter(None, [getattr(expression, "operand", None)])):
        yield from _leaves(operand)
