"""The reader's filter language: names of fields, expressions over them, and the grammar of queries."""

from mlxp_reader.query.language import (
    MISSING,
    STATISTICS,
    DefaultParser,
    Expression,
    Parser,
    expression_of,
    parse,
    resolve,
    split_statistic,
)

__all__ = [
    "MISSING",
    "STATISTICS",
    "DefaultParser",
    "Expression",
    "Parser",
    "expression_of",
    "parse",
    "resolve",
    "split_statistic",
]
