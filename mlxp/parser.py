"""The parser of queries under the name that existing code imports it by; it lives in `mlxp_reader`."""

from mlxp_reader.query.language import DefaultParser, Parser

__all__ = ["DefaultParser", "Parser"]
