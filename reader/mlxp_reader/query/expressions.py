"""The meaning of a query: a tree of small expressions, each of which marks the runs that it matches.

The tree is built by `mlxp_reader.query.language`, which owns the syntax, or by a user's own parser. This
module knows neither files nor frames: it asks for a field's values, one per run, and returns one truth value per
run.

A comparison follows Python, with two additions that let it run over any collection of runs. It never raises: numbers
(``True`` and ``False`` are the numbers 1 and 0), strings, lists and ``None`` compare with their own kind only, so that
``lr < 1`` skips a run whose ``lr`` is ``'auto'``. And a run that lacks the key matches no comparison, not even
``!=`` or ``is None``; a run that holds something else matches ``!=``. ``not`` inverts a whole answer, so that
``not lr == 1`` matches what ``lr != 1`` does *and* the runs without ``lr``.
"""

import operator
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.notices import notice
from mlxp_reader.query.names import is_metadata, is_of_no_run, resolve

Mask = npt.NDArray[np.bool_]
FieldValues = Callable[[str], Any]
"""Returns a field's values, one per run: an array of numpy, pandas or Arrow, or a list.

``pandas.NA`` or `MISSING` stands for a run without the key, and so does a null in a masked, string or Arrow array.
``None`` in a list or an object array is a null that the configuration holds.
"""


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING = Missing.MISSING
"""Stands for the value of a key that a run does not have, as ``pandas.NA`` does."""


_NEAR = 200


@dataclass(frozen=True, slots=True)
class QueryPlace:
    """A place in the text of a query.

    Examples
    --------
    >>> print(QueryPlace("lr = 1", 3).shown())
        lr = 1
           ^
    """

    text: str
    start: int

    def shown(self) -> str:
        """Return the line of the text, or only the part near the place if it is long, with a caret under the place."""
        first = max(self.text.rfind("\n", 0, self.start) + 1, self.start - _NEAR)
        line = self.text[first : self.start + _NEAR].partition("\n")[0]
        indent = "".join(char if char == "\t" else " " for char in line[: self.start - first])
        return f"    {line}\n    {indent}^"


class Expression(ABC):
    """Something that is true or false for each run."""

    @abstractmethod
    def columns(self) -> set[str]:
        """Return the names of the fields that the answer depends on, as they are written."""

    @abstractmethod
    def resolved(self, fields: Collection[str]) -> "Expression":
        """Return the expression with each name replaced by the field in `fields` that it stands for.

        Raises
        ------
        InvalidKeyError
            If a name stands for no field or for several; the message shows the place. The full name of a
            configuration key that no run has, and that resembles none, is no error: a warning says that it matches no
            run.
        """

    @abstractmethod
    def mask(self, column: FieldValues, n: int) -> Mask:
        """Return for each of the `n` runs whether it matches; `column` is asked for each of `columns`."""


@dataclass(frozen=True, slots=True)
class Everything(Expression):
    """Matches every run: the empty query."""

    def columns(self) -> set[str]:  # noqa: D102 - documented by Expression, as below
        return set()

    def resolved(self, fields: Collection[str]) -> "Expression":  # noqa: D102, ARG002
        return self

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102, ARG002
        return np.ones(n, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _OfField(Expression):
    """Something that is true or false for the value of one field."""

    name: str

    def columns(self) -> set[str]:
        return {self.name}

    def resolved(self, fields: Collection[str]) -> "Expression":
        try:
            return replace(self, name=resolve(self.name, fields))
        except InvalidKeyError as error:
            if is_of_no_run(self.name, fields):
                notice(f"no run here has the key {self.name}: every condition on it is false")
                return Nothing(self.name)
            place: QueryPlace | None = getattr(self, "place", None)
            if place is None:
                raise
            raise InvalidKeyError(f"{error}\n{place.shown()}") from None


@dataclass(frozen=True, slots=True)
class Nothing(Expression):
    """Matches no run: stands for any condition on a key that no run has."""

    name: str

    def columns(self) -> set[str]:  # noqa: D102 - documented by Expression, as below
        return set()

    def resolved(self, fields: Collection[str]) -> "Expression":  # noqa: D102, ARG002
        return self

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102, ARG002
        return np.zeros(n, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Comparison(_OfField):
    """Compares the value of a field with a literal: a number, a string, a list or ``None``."""

    operator: str
    value: Any
    place: QueryPlace | None = field(default=None, compare=False, repr=False)

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102, ARG002
        values = _values(column(self.name))
        if self.operator == "!=":
            return values.present & ~values.equal(self.value)
        if self.operator == "==":
            return values.equal(self.value)
        return values.ordered(_ORDERS[self.operator], self.value)

    def minds_null(self) -> bool:
        """Tell whether the answer for a run that holds a null may differ from that for a run without the key."""
        return (self.operator == "!=") != (self.value is None and self.operator in {"==", "!="})


@dataclass(frozen=True, slots=True)
class Membership(_OfField):
    """Tells whether the value of a field is one of some literals or, if `negated`, exists and is none of them."""

    choices: tuple[Any, ...]
    negated: bool = False
    place: QueryPlace | None = field(default=None, compare=False, repr=False)

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102, ARG002
        values = _values(column(self.name))
        found = values.one_of(self.choices)
        return values.present & ~found if self.negated else found

    def minds_null(self) -> bool:
        """Tell whether the answer for a run that holds a null may differ from that for a run without the key."""
        return self.negated != (None in self.choices)


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """Matches the runs that its operand does not match, including those that lack the key."""

    operand: Expression

    def columns(self) -> set[str]:  # noqa: D102
        return self.operand.columns()

    def resolved(self, fields: Collection[str]) -> "Expression":  # noqa: D102
        return Not(self.operand.resolved(fields))

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102
        return ~self.operand.mask(column, n)


@dataclass(frozen=True, slots=True)
class _OfSeveral(Expression):
    operands: tuple[Expression, ...]

    def columns(self) -> set[str]:
        return set().union(*(operand.columns() for operand in self.operands))

    def resolved(self, fields: Collection[str]) -> "Expression":
        return replace(self, operands=tuple(operand.resolved(fields) for operand in self.operands))


@dataclass(frozen=True, slots=True)
class All(_OfSeveral):
    """Matches the runs that every operand matches."""

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102
        masks = [operand.mask(column, n) for operand in self.operands]
        return np.asarray(np.logical_and.reduce(masks))


@dataclass(frozen=True, slots=True)
class AnyOf(_OfSeveral):
    """Matches the runs that at least one operand matches."""

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102
        masks = [operand.mask(column, n) for operand in self.operands]
        return np.asarray(np.logical_or.reduce(masks))


@dataclass(frozen=True, slots=True)
class RecordPredicate(Expression):
    """A function of one run's record, a flat dict of its configuration and info such as ``{'config.lr': 0.1}``.

    It allows a user's own parser to return any function, such as a TinyDB query.
    """

    predicate: Callable[[Mapping[str, Any]], Any]
    fields: tuple[str, ...] = ()

    def columns(self) -> set[str]:  # noqa: D102
        return set(self.fields)

    def resolved(self, fields: Collection[str]) -> "Expression":  # noqa: D102
        return replace(self, fields=tuple(name for name in fields if is_metadata(name)))

    def mask(self, column: FieldValues, n: int) -> Mask:  # noqa: D102
        columns = {name: list(_values(column(name))) for name in self.fields}
        records = ({name: values[run] for name, values in columns.items()} for run in range(n))
        return np.fromiter((bool(self.predicate(_without_missing(record))) for record in records), np.bool_, n)


def _without_missing(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not MISSING}


# From here on: the comparison of one field's values with a literal, fast if they are all of one kind.

_NUMBERS = (int, float, np.integer, np.floating, np.bool_)
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a field; for runs that are not `present`, they mean nothing."""

    kind: Literal["number", "text", "mixed"]
    values: Sequence[Any] | npt.NDArray[Any]
    present: Mask

    def __iter__(self) -> Iterator[Any]:
        values = self.values.tolist() if isinstance(self.values, np.ndarray) else self.values
        return (value if there else MISSING for value, there in zip(values, self.present.tolist(), strict=True))

    def equal(self, literal: Any) -> Mask:
        if self._fits(literal):
            return self._all_at_once(operator.eq, literal)
        kinds = _kinds(literal)
        return self._one_by_one(lambda value: isinstance(value, kinds) and value == literal)

    def ordered(self, order: Callable[[Any, Any], Any], literal: Any) -> Mask:
        if self._fits(literal):
            return self._all_at_once(order, literal)
        kinds = _kinds(literal)
        return self._one_by_one(lambda value: isinstance(value, kinds) and order(value, literal))

    def one_of(self, choices: tuple[Any, ...]) -> Mask:
        if self.kind == "number":
            found = [self.equal(choice) for choice in choices] or [np.zeros_like(self.present)]
            return np.asarray(np.logical_or.reduce(found))
        scalars = frozenset(choice for choice in choices if not isinstance(choice, list))
        lists = [choice for choice in choices if isinstance(choice, list)]
        return self._one_by_one(lambda value: value in (scalars if isinstance(value, _HASHABLE) else lists))

    def _fits(self, literal: Any) -> bool:
        # Numpy rounds to float64 where it compares an integer with a float; below 2**53 that changes nothing.
        if self.kind == "number":
            return isinstance(literal, int | float) and abs(literal) < 2**53
        return self.kind == "text" and isinstance(literal, str)

    def _all_at_once(self, compare: Callable[[Any, Any], Any], literal: Any) -> Mask:
        return np.asarray(compare(self.values, literal), dtype=np.bool_) & self.present

    def _one_by_one(self, test: Callable[[Any], Any]) -> Mask:
        return np.fromiter((value is not MISSING and bool(test(value)) for value in self), np.bool_, len(self.present))


@dataclass(frozen=True, slots=True)
class _Coded:
    """Values of which many runs share a few: each is compared once."""

    distinct: "_Values | _Coded"
    codes: npt.NDArray[np.integer[Any]]
    present: Mask

    def __iter__(self) -> Iterator[Any]:
        values = list(self.distinct)
        return (values[at] if there else MISSING for at, there in zip(self.codes.tolist(), self.present, strict=True))

    def equal(self, literal: Any) -> Mask:
        return self._of_runs(self.distinct.equal(literal))

    def ordered(self, order: Callable[[Any, Any], Any], literal: Any) -> Mask:
        return self._of_runs(self.distinct.ordered(order, literal))

    def one_of(self, choices: tuple[Any, ...]) -> Mask:
        return self._of_runs(self.distinct.one_of(choices))

    def _of_runs(self, answers: Mask) -> Mask:
        of_codes: Mask = np.append(answers, False)[self.codes]  # where no run has a value, every code is that of False
        return of_codes & self.present


_HASHABLE = (str, type(None), *_NUMBERS)


def _kinds(literal: Any) -> tuple[type[Any], ...]:
    return _NUMBERS if isinstance(literal, _NUMBERS) else (type(literal),)


def _values(column: Any) -> _Values | _Coded:
    column = getattr(column, "array", column)  # of a Series
    if hasattr(column, "is_valid"):
        return _values_of_arrow(column)
    if isinstance(column, np.ma.MaskedArray):
        values = _values_of_numpy(column.data)
        return replace(values, present=values.present & ~np.ma.getmaskarray(column))
    if isinstance(column, np.ndarray):
        return _values_of_numpy(column)
    if hasattr(column, "isna"):
        return _values_of_pandas(column)
    return _mixed(column)


def _values_of_numpy(column: npt.NDArray[Any]) -> _Values:
    if column.dtype.kind == "f":
        return _Values("number", column.astype(np.float64, copy=False), np.ones(len(column), np.bool_))
    if column.dtype.kind in "biu":
        return _Values("number", column, np.ones(len(column), np.bool_))
    if column.dtype.kind == "U":
        return _Values("text", column, np.ones(len(column), np.bool_))
    return _mixed(column.tolist())


def _values_of_pandas(column: Any) -> _Values:
    # Distinguished by the attributes of their types, since queries do not need pandas.
    if column.dtype.type is str:
        return _Values("text", column.to_numpy(dtype=object, na_value=""), ~np.asarray(column.isna()))
    of_numpy = getattr(column.dtype, "numpy_dtype", None)
    if of_numpy is None or of_numpy.kind not in "biuf":
        return _mixed(np.asarray(column, dtype=object).tolist())
    if isinstance(column.dtype.na_value, float):  # a numpy array, in which NaN is a value like any other
        return _values_of_numpy(column.to_numpy())
    values = column.to_numpy(dtype=of_numpy, na_value=0)
    return replace(_values_of_numpy(values), present=~np.asarray(column.isna()))


def _values_of_arrow(column: Any) -> _Values | _Coded:
    import pyarrow.types as arrow

    present = np.asarray(column.is_valid())
    if arrow.is_dictionary(column.type):
        whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        codes = np.asarray(whole.indices.fill_null(0))
        return _Coded(_values_of_arrow(whole.dictionary), codes, present)
    if arrow.is_boolean(column.type):
        return _Values("number", np.asarray(column.fill_null(False)), present)
    if arrow.is_integer(column.type) or arrow.is_floating(column.type):
        return replace(_values_of_numpy(np.asarray(column.fill_null(0))), present=present)
    if arrow.is_string(column.type) or arrow.is_large_string(column.type):
        return _Values("text", np.asarray(column.fill_null(""), dtype=object), present)
    return _Values("mixed", column.to_pylist(), present)


def _mixed(values: Sequence[Any]) -> _Values:
    na = getattr(sys.modules.get("pandas"), "NA", MISSING)
    present = (value is not MISSING and value is not na for value in values)
    return _Values("mixed", values, np.fromiter(present, np.bool_, len(values)))
