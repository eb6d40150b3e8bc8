"""What ``mlxp sql`` does: asks DuckDB about the runs."""

import argparse
from typing import TYPE_CHECKING

from mlxp.commands.logs_directory import readable
from mlxp.commands.table_and_plot import print_values
from mlxp.errors import MLXPError
from mlxp.run_directory.printable import printable

if TYPE_CHECKING:
    from mlxp_reader import DataFrame


def sql(options: argparse.Namespace) -> int:
    """Print the answer to a question in SQL about the runs."""
    from tabulate import tabulate

    from mlxp_reader import Reader

    runs: DataFrame = Reader(readable(options.logs)).filter()
    try:
        answer = runs.sql(options.question)
        heads, rows = (answer.columns, answer.fetchall()) if answer is not None else ([], [])
    except MLXPError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("duckdb", "_duckdb")):
            raise
        raise MLXPError(f"DuckDB: {error}") from error
    if options.format in {"csv", "json"}:
        print_values(heads, rows, options.format)
    else:
        print(printable(tabulate(rows, heads, options.format)))
    return 0
