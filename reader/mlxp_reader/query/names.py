"""The names of fields: what each kind looks like, and which field a name stands for, wherever a person types one.

A field is ``config.<key>`` or ``info.<key>``, a metric ``<log name>.<key>``, or ``artifact.<type>.<folder>``; a frame
may have further columns. A name may omit ``config.``, use ``log_id``, ``status`` and ``exit.reason`` for those of the
info, and ask for a statistic of a metric, such as ``train.loss.last``. See `mlxp_reader.query.statistics`.
"""

import difflib
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mlxp.errors import InvalidKeyError
from mlxp_reader.notices import some
from mlxp_reader.query.statistics import STATISTICS, listed, statistic_of

FieldKind = Literal["value", "metric", "artifact", "statistic"]
"""What a field holds: one value per run, one per record, files, or a statistic of a metric."""

SHORT_NAMES = {"log_id": "info.logger.log_id", "status": "info.status", "exit.reason": "info.exit.reason"}
"""Fields used so often that they have a short name, unless the configuration has a key of that name."""

_METADATA = ("config.", "info.")
_NOT_METRICS = (*_METADATA, "artifact.", "mlxp.")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What may be named in one kind of place, and what messages say about anything else there."""

    noun: str
    kinds: tuple[FieldKind, ...]
    instead_of_metric: str = ""
    instead_of_statistic: str = ""
    instead_of_value: str = ""


_ONE_OF_ITS_STATISTICS = "has one value per record; a query or table takes one of its statistics: {statistics}"
_WANTED = {
    "value": _Wanted("field", ("value", "statistic"), instead_of_metric=_ONE_OF_ITS_STATISTICS),
    "key": _Wanted(
        "key",
        ("value",),
        instead_of_metric="is a metric, with a value per step; a key has one value per run",
        instead_of_statistic="is a statistic, not a key; runs.with_stats('{name}') makes it a column",
    ),
    "metric": _Wanted(
        "metric",
        ("metric",),
        instead_of_statistic="is one value per run, not a metric; the metric is {metric}",
        instead_of_value="has one value per run; a metric has a value per step",
    ),
    "statistic": _Wanted("statistic", ("statistic",), instead_of_metric="is a metric; its statistics are {statistics}"),
    "anything": _Wanted("column", ("value", "metric", "artifact", "statistic")),
}
Wants = Literal["value", "key", "metric", "statistic", "anything"]
"""What a name is wanted for: a value to compare or show, a key to group by, curves, or one of their statistics."""


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a name such as ``test.acc@val.acc.max`` asks for: a statistic of a metric, perhaps beside another one.

    Attributes
    ----------
    metric
        The metric whose value is wanted.
    statistic
        The statistic, such as ``last`` or ``at(100)``.
    at_best_of
        The metric whose statistic tells the step; None if it is `metric` itself.
    """

    metric: str
    statistic: str
    at_best_of: str | None = None

    @classmethod
    def of(cls, name: str, metrics: Container[str] = ()) -> "Asked":
        """Return what a name asks for, given the metrics that there are: one may itself contain ``@``.

        Examples
        --------
        >>> Asked.of("train.loss.quantile(0.9)")
        Asked(metric='train.loss', statistic='quantile(0.9)', at_best_of=None)
        >>> Asked.of("test.acc@val.acc.max"), Asked.of("test.hits@5.max", ["test.hits@5"]).metric
        (Asked(metric='test.acc', statistic='max', at_best_of='val.acc'), 'test.hits@5')
        """
        head, parenthesis, number = name.rpartition("(") if name.endswith(")") else (name, "", "")
        metric, _, word = head.rpartition(".")
        if metric in metrics:
            return cls(metric, f"{word}{parenthesis}{number}")
        splits = [(metric[:at], metric[at + 1 :]) for at, sign in enumerate(metric) if sign == "@"]
        known = [split for split in splits if split[0] in metrics and split[1] in metrics]
        wanted, other = (known or splits or [(metric, "")])[0]
        return cls(wanted, f"{word}{parenthesis}{number}", other or None)

    @property
    def metrics(self) -> list[str]:
        """The metrics whose values it takes."""
        return [self.metric, *([self.at_best_of] if self.at_best_of else [])]

    @property
    def takes_steps(self) -> bool:
        """Whether it takes more than the values of the metric."""
        row = statistic_of(self.statistic)
        return self.at_best_of is not None or (row is not None and row.takes_steps)

    @property
    def is_when(self) -> bool:
        """Whether it tells the step at which something happens for the first time."""
        row = statistic_of(self.statistic) if self.at_best_of is None else None
        return row is not None and row.is_when


def split_statistic(name: str) -> tuple[str, str] | None:
    """Return the metric and the statistic that `name` asks for, or None if it is not of that form.

    Examples
    --------
    >>> split_statistic("train.loss.last"), split_statistic("test.acc@val.acc.max")
    (('train.loss', 'last'), ('test.acc', 'max'))
    >>> split_statistic("config.loss.last") is None
    True
    """
    asked = Asked.of(name)
    return (asked.metric, asked.statistic) if _exists(asked.statistic) and is_metric(asked.metric) else None


def _exists(statistic: str) -> bool:
    try:
        return statistic_of(statistic) is not None
    except ValueError as error:
        raise InvalidKeyError(str(error)) from None


def kinds_of(fields: Collection[str]) -> Mapping[str, FieldKind]:
    """Return what each field holds, judging by its name unless `fields` already maps names to kinds."""
    return fields if isinstance(fields, Mapping) else {field: _kind(field) for field in fields}


def _kind(field: str) -> FieldKind:
    return "artifact" if field.startswith("artifact.") else "metric" if is_metric(field) else "value"


def resolve(name: str, fields: Collection[str], wants: Wants = "value") -> str:
    """Return the field, or the statistic of a metric, that `name` stands for.

    A field's full name stands for that field. Any other name is a key of the configuration, a statistic of a metric, or
    one of the `SHORT_NAMES`; a meaning of the wrong kind does not count.

    Parameters
    ----------
    name
        The name as a person types it.
    fields
        The full names of all fields, or a mapping from them to their kinds.
    wants
        ``"value"`` for one value per run, ``"key"`` for one that is not a statistic, ``"metric"``, ``"statistic"``, or
        ``"anything"``.

    Raises
    ------
    InvalidKeyError
        If there is no such field, if it is of another kind, or if the name has two meanings. The message names the
        nearest fields.

    Examples
    --------
    >>> fields = ["config.seed", "info.status", "train.loss"]
    >>> resolve("seed", fields), resolve("status", fields), resolve("train.loss.min", fields)
    ('config.seed', 'info.status', 'train.loss.min')
    """
    kinds = kinds_of(fields)
    meanings = _meanings(name, kinds)
    wanted = _WANTED[wants]
    fitting = [meaning for meaning, kind in meanings.items() if kind in wanted.kinds]
    if name in fitting and kinds.get(name):
        return name
    if len(fitting) > 1:
        raise InvalidKeyError(f"'{name}' is ambiguous: it may be {' or '.join(map(repr, fitting))}")
    if fitting:
        return fitting[0]
    if meanings:
        raise InvalidKeyError(f"'{name}' {_instead(name, *next(iter(meanings.items())), wanted)}")
    raise InvalidKeyError(_unknown(name, kinds, wanted))


def is_of_no_run(name: str, fields: Collection[str]) -> bool:
    """Tell whether `name` is the full name of a configuration key that no run has, and not a typing error.

    Runs of another time or place may have that key. A typing error resembles the name of an existing key.

    Examples
    --------
    >>> is_of_no_run("config.act", ["config.lr"]), is_of_no_run("config.lrr", ["config.lr"])
    (True, False)
    """
    key = name.removeprefix("config.")
    keys = [field.partition(".")[2] for field in fields if is_metadata(field)]
    return name.startswith("config.") and bool(key) and name not in fields and not near(key, keys)


def _meanings(name: str, kinds: Mapping[str, FieldKind]) -> dict[str, FieldKind]:
    """Return all fields that a name may mean, and what each holds; short names count only if nothing else fits."""
    meanings = {field: kinds[field] for field in (name, f"config.{name}") if field in kinds}
    asked = Asked.of(name, kinds)
    if all(kinds.get(metric) == "metric" for metric in asked.metrics) and _exists(asked.statistic):
        meanings.setdefault(name, "statistic")
    if not meanings and (field := SHORT_NAMES.get(name)) in kinds and field is not None:
        meanings = {field: kinds[field]}
    return meanings


def _instead(name: str, meaning: str, kind: FieldKind, wanted: _Wanted) -> str:
    """Return the message for a name that stands for something other than what is wanted."""
    if kind == "artifact":
        return "holds artifacts, which are files: they have no values to compare, to group by or to draw"
    if kind == "value" and wanted.noun == "statistic":
        return "has one value per run, so it has no statistics"
    form = {
        "metric": wanted.instead_of_metric,
        "statistic": wanted.instead_of_statistic,
        "value": wanted.instead_of_value,
    }[kind]
    statistics = ", ".join(f"{meaning}.{statistic}" for statistic in STATISTICS)
    return form.format(name=name, metric=Asked.of(name, [meaning]).metric, statistics=statistics)


def _unknown(name: str, kinds: Mapping[str, FieldKind], wanted: _Wanted) -> str:
    asked = Asked.of(name, kinds)
    unknown = [metric for metric in asked.metrics if kinds.get(metric) != "metric"]
    if not unknown and "statistic" in wanted.kinds:
        return f"there is no statistic '{asked.statistic}' of {asked.metrics[-1]}; there are {listed('and')}"
    if asked.at_best_of and unknown:
        like = near(unknown[0], [field for field, kind in kinds.items() if kind == "metric"])
        return f"there is no metric '{unknown[0]}'" + (f"; did you mean {' or '.join(like)}?" if like else "")
    fields = [field for field, kind in kinds.items() if kind in wanted.kinds]
    statistics = _statistics_like(name, kinds) if "statistic" in wanted.kinds else []
    nearest = list(dict.fromkeys([*statistics, *near(name, fields)]))[:3]
    if nearest:
        known = f"; did you mean {' or '.join(nearest)}?"
    elif wanted.noun == "field":
        known = "; reader.searchable lists what there is, and `mlxp show ID` what a run has"
    else:
        known = f"; there are {some(fields)}" if fields else "; there is none"
    return f"there is no {wanted.noun} '{name}'{known}"


def _statistics_like(name: str, kinds: Mapping[str, FieldKind]) -> list[str]:
    """Return statistics of metrics like the one that `name` asks for; it compares metrics, which are fewer."""
    asked = Asked.of(name, kinds)
    metric, statistic = (asked.metric, asked.statistic) if asked.statistic in STATISTICS else (name, "last")
    return [f"{one}.{statistic}" for one in near(metric, [field for field, kind in kinds.items() if kind == "metric"])]


def near(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three of `names` that resemble `name`, which may be part of one, or one without its prefix.

    Examples
    --------
    >>> near("train.lsos", ["train.loss", "config.seed"]), near("sede", ["config.seed"])
    (['train.loss'], ['config.seed'])
    """
    names = list(map(str, names))
    within = [known for known in names if f".{name}." in f"{known}."]
    similar = difflib.get_close_matches(name, names, n=3)
    # Without its prefix, a short name is too far from the field that is meant to be found.
    bare = {known.partition(".")[2]: known for known in names if is_metadata(known)}
    similar += [bare[match] for match in difflib.get_close_matches(name, bare, n=3)]
    return list(dict.fromkeys(within + similar))[:3]
