"""The methods of a frame of runs that pandas does not have.

Each method is a function in a file of its own, which documents its parameters. Its first parameter is the frame.
"""

from typing import Any

from mlxp_reader.analysis import compute, history, importance, presence, seeds
from mlxp_reader.engines import sql
from mlxp_reader.presentation import (
    comparison_plots,
    display,
    importance_plot,
    paper_tables,
    parallel_plot,
    plots,
    running_text,
    sweep_plots,
)


class Analysis:
    """The methods of `mlxp_reader.DataFrame` that lead from runs to curves, seeds, figures and tables."""

    @property
    def constants(self) -> dict[str, Any]:
        """The keys of the configuration that have the same value in all runs, and these values.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> DataFrame({"config.lr": [0.1, 1.0], "config.depth": [3, 3]}).constants
        {'config.depth': 3}
        """
        return display.constants(self)  # type: ignore[arg-type]  # only frames have these methods

    history = history.history
    missing = presence.missing
    duplicates = presence.duplicates
    compute = compute.compute
    over = seeds.over
    importance = importance.importance
    sql = sql.sql
    value = running_text.value
    table = paper_tables.table
    plot_metric = plots.plot_metric
    plot_sweep = sweep_plots.plot_sweep
    plot_importance = importance_plot.plot_importance
    plot_compare = comparison_plots.plot_compare
    plot_parallel = parallel_plot.plot_parallel
