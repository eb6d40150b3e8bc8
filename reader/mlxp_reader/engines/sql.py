"""Questions about runs in SQL, in which names mean what they mean everywhere."""

import re
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from mlxp.errors import InvalidKeyError
from mlxp_reader.analysis.history import history
from mlxp_reader.columns.arrow_storage import portable_table
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.curves import run_ids
from mlxp_reader.columns.keys import fields_of
from mlxp_reader.columns.runs import Runs
from mlxp_reader.engines.duckdb_engine import quoted
from mlxp_reader.engines.extras import imported
from mlxp_reader.query.names import kinds_of, resolve

if TYPE_CHECKING:
    import duckdb

_WORD = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|[^\W\d]\w*(?:\.[^\W\d][\w@]*)*", re.DOTALL)
"""A text, a quoted name, a comment, or a name that may have dots."""

_TABLES = ("runs", "metrics")

_FURTHER = ("step", *_TABLES)
"""What a name without a dot means in any question."""

_GIVEN = re.compile(r"\bas\s+([^\W\d]\w*)|([^\W\d]\w*)\s+as\s*\(", re.IGNORECASE)
"""A name that a question gives to a column or a table."""


def sql(frame: Runs, query: str) -> "duckdb.DuckDBPyRelation":
    """Return DuckDB's answer to a question in SQL about the runs; ``.df()`` makes it a `pandas.DataFrame`.

    The table ``runs`` has ``log_id``, the configuration and info of the runs, and every statistic of a metric that the
    question names. The table ``metrics`` has ``log_id``, ``step`` and the metrics that it names, or all if it names
    none, joined by run and step. A name with a dot, such as ``model.name`` or ``test.acc.last``, means what it means in
    a query; in double quotes, it must be a full name. A name without a dot, such as ``seed`` or ``status``, does, too,
    as a further column of ``runs``, unless the question gives that name to something. What is NaN in the frame is null.

    Parameters
    ----------
    query
        Such as ``"select model.name, avg(test.acc.last) from runs group by 1"``.

    Raises
    ------
    InvalidKeyError
        If a name has two meanings.
    MLXPError
        If DuckDB is not installed.
    """
    connection = imported("duckdb").connect()
    text, names = _with_full_names(query, frame)
    kinds = kinds_of(fields_of(frame))
    values = [name for name in frame.columns if kinds.get(name) == "value"]
    asked = {name: named_column(frame, name) for name in names if name not in frame.columns}
    runs = pd.DataFrame(frame[values]).assign(**asked)
    table = portable_table(runs, index=False)
    taken = {"log_id", *(table.column_names), *_FURTHER}
    for word, full in _short_names(query, frame).items():
        if word.casefold() not in taken and full in table.column_names:
            table = table.append_column(word, table[full])
    connection.register("runs", table.add_column(0, "log_id", pa.array(run_ids(frame))))
    if re.search(r"\bmetrics\b", text):
        metrics = [name for name in names if kinds.get(name) == "metric"]
        curves = history(frame, *metrics)
        there = [name for name in curves.columns if name not in values or name == "source"]
        connection.register("metrics", pa.Table.from_pandas(curves[there], preserve_index=False))
    answer: duckdb.DuckDBPyRelation = connection.sql(text)
    return answer


def _with_full_names(query: str, frame: Runs) -> tuple[str, list[str]]:
    """Return the question with quoted full names, and these names."""
    names: dict[str, None] = {}

    def replaced(found: re.Match[str]) -> str:
        word = found[0]
        if word[0] in "'\"-/" or "." not in word:
            if word[0] == '"':
                names[word[1:-1].replace('""', '"')] = None
            return word
        table, _, rest = word.partition(".")
        before, name = (f"{table}.", rest) if table in _TABLES else ("", word)
        full = _full_name(name, frame)
        if full is None:  # perhaps a column of a table that the question gives another name
            before, full = f"{table}.", _full_name(rest, frame) if "." in rest else None
        if full is None:
            return word
        names[full] = None
        return before + quoted(full)

    text = _WORD.sub(replaced, query)
    return text, [name for name in names if _full_name(name, frame) == name]


def _short_names(query: str, frame: Runs) -> dict[str, str]:
    """Return the names without a dot in a question that mean a value of the runs, and their full names."""
    given = {word.casefold() for pair in _GIVEN.findall(query) for word in pair}
    words = [found[0] for found in _WORD.finditer(query) if found[0][0] not in "'\"-/"]
    last = dict.fromkeys(word.rpartition(".")[2] for word in words if word.count(".") < 2)
    full = {word: _full_name(word, frame) for word in last if word.casefold() not in given}
    return {word: name for word, name in full.items() if name is not None and name != word}


def _full_name(name: str, frame: Runs) -> str | None:
    try:
        return resolve(name, fields_of(frame), "anything")
    except InvalidKeyError as error:
        if "ambiguous" in str(error):
            raise
        return None
