"""The reader's filter language: names of fields, expressions over them, and the grammar of queries."""

from mlxp_reader.query.expressions import MISSING, Expression
from mlxp_reader.query.language import DefaultParser, Parser, expression_of, parse
from mlxp_reader.query.names import resolve, split_statistic
from mlxp_reader.query.statistics import STATISTICS

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
