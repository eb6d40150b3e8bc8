"""The enumerations of MLXP 1: their words are plain text now, and each name says so."""

from mlxp.earlier_names import removed

__all__: list[str] = []

__getattr__ = removed(
    Status="write the words themselves, such as 'COMPLETE'",
    Directories="write the names of the folders themselves, such as 'metrics'",
    DataFrameType="write result_format='dataframe' or 'pandas'",
    SearchableKeys="reader.searchable lists the names that a query can use",
)
