"""What a frame of runs can be asked for that pandas does not know; each method's work is done in a file of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from mlxp_reader.analysis.seeds import SeedGroups
    from mlxp_reader.presentation.paper_tables import Table


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
        from mlxp_reader.presentation.display import constants

        return constants(self)

    def history(self, *metrics: str, step: str | None = None, wide: bool = False) -> pd.DataFrame:
        """Return the curves of the runs as a tidy table: one row per run and step.

        Its columns are ``log_id``, ``step``, one per metric, and the keys of the configuration that vary. Metrics of
        several files are joined by run and step, NaN where one was not logged; a step that a run logged several times,
        since it was resumed say, has as many rows.

        Parameters
        ----------
        metrics
            Such as ``"train.loss"``; by default all that are no steps.
        step
            The key that tells the step of each record; by default ``step``, ``epoch`` or ``iteration`` if there is one,
            else the number of the record in its file.
        wide
            Whether to return one row per step and one column per run instead; of a step that was logged several times,
            the last value. With several metrics, the columns have two levels.

        Raises
        ------
        InvalidKeyError
            If there is no such metric or key.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> curves = {"train.loss": [[0.5, 0.25], [1.0]], "train.epoch": [[0, 1], [0]]}
        >>> runs = DataFrame({"config.lr": [0.1, 1.0], **{name: pd.array(curves[name], "metric") for name in curves}})
        >>> runs.history("train.loss")
           log_id  step  train.loss  config.lr
        0       0     0        0.50        0.1
        1       0     1        0.25        0.1
        2       1     0        1.00        1.0
        """
        from mlxp_reader.analysis.history import history

        return history(self, metrics, step, wide)

    def over(self, *keys: str, exclude: str | Iterable[str] | None = None) -> "SeedGroups":
        """Return the runs in groups by all keys of the configuration that vary, except some, such as the seed.

        Parameters
        ----------
        keys
            Such as ``"seed"``; ``config.`` may be left out.
        exclude
            Patterns such as ``"paths.*"`` of further keys that make no groups. By default, texts that differ in nothing
            but the values of `keys` within them, such as an output directory, and copies of these values; a warning
            names them.

        Raises
        ------
        InvalidKeyError
            If there is no such key.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> DataFrame({"config.lr": [0.1, 0.1, 1.0, 1.0], "config.seed": [1, 2, 1, 2]}).over("seed")
        2 groups of 2 runs by lr, over seed
        """
        from mlxp_reader.analysis.seeds import SeedGroups

        groups = SeedGroups(self, keys, exclude)
        groups.tell_keys()
        return groups

    def table(  # noqa: PLR0913 - each is one choice of how a table looks
        self,
        rows: str | Sequence[str],
        columns: str | Sequence[str] | None = None,
        value: str | Sequence[str] = (),
        over: str | Sequence[str] = (),
        *,
        best: str | Mapping[str, str] | None = None,
        second: bool = False,
        fmt: str | Mapping[str, str] | None = None,
        ties: str | None = "ci",
        best_in: str = "column",
        labels: Mapping[Any, str] | None = None,
        exclude: str | Iterable[str] | None = None,
    ) -> "Table":
        """Return a table of means over runs, to look at or for a paper.

        A cell without runs shows ``–``; one with fewer runs than others is marked by ``†``; a single run has no spread.

        Parameters
        ----------
        rows, columns
            Keys of the configuration; without columns, there is one for each value.
        value
            What the cells tell: a statistic of a metric such as ``"test.acc.last"``, a column of numbers, or several.
        over
            The keys that the runs of one cell differ in, such as ``"seed"``.
        best
            ``"max"`` or ``"min"``, by value if they differ, for the best of each column to be bold.
        second
            Whether the second best is underlined.
        fmt
            The format of a cell, such as ``"{mean:.1f} ± {std:.1f}"`` of any of the statistics of
            `SeedGroups.aggregate`, by value if they differ; by default mean ± std with as many digits as the spread
            leaves certain.
        ties
            With ``"ci"``, all that the 95 % intervals of the means do not separate from the best count as best; with
            None, only what has the same mean.
        best_in
            ``"row"`` looks for the best of each row instead.
        labels
            Other names for keys, their values and metrics.
        exclude
            Patterns of keys that do not matter although they vary; see `over`.

        Raises
        ------
        InvalidKeyError
            If there is no such key or metric, or if another key varies: a cell would mix its settings.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> scores = pd.array([[0.9], [0.92], [0.7], [0.72]], dtype="metric")
        >>> runs = DataFrame({"config.model": list("aabb"), "config.seed": [1, 2, 1, 2], "test.acc": scores})
        >>> runs.table(rows="model", value="test.acc.last", over="seed", best="max", ties=None)
        model      test.acc.last
        -------  ---------------
        a        **0.91 ± 0.01**
        b            0.71 ± 0.01
        """
        from mlxp_reader.presentation.paper_tables import table

        return table(
            self,
            rows,
            columns,
            value,
            over,
            best=best,
            second=second,
            fmt=fmt,
            ties=ties,
            best_in=best_in,
            labels=labels,
            exclude=exclude,
        )

    def plot_metric(  # noqa: PLR0913 - each is one choice of how a picture looks
        self,
        metric: str,
        *,
        hue: str | None = None,
        style: str | None = None,
        col: str | None = None,
        over: str | Sequence[str] = (),
        band: str | None = "std",
        x: str = "step",
        step: str | None = None,
        align: str | None = None,
        smooth: float = 0.0,
        logx: bool = False,
        logy: bool = False,
        max_points: int = 2000,
        exclude: str | Iterable[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the curves of a metric by matplotlib: a line per run, or the mean over some runs and a band around it.

        Where runs end early, the line has a tick, and ``n=5→3`` above says how many go on, once for all lines that end
        alike; so does its label for the line as a whole.

        Parameters
        ----------
        hue, style, col
            Keys whose values have a colour, a dash, or a picture of their own.
        over
            The keys that the runs behind one line differ in, such as ``"seed"``; see `over`.
        band
            How far the band reaches: ``"std"``, ``"sem"``, ``"ci95"`` or ``"bootstrap"`` around the mean,
            ``"min-max"``, ``"iqr"`` (the quartiles, around the median), or None.
        x
            What the curves are drawn against: ``"step"``, or another metric, of the same file if it is only a key, such
            as ``"time"``; it is joined as `history` does.
        step
            The key that tells the step; see `history`.
        align
            How curves of one group are brought together; see `SeedGroups.aggregate`. By default ``"union"``, or
            ``"interpolate"`` if they were logged at different places.
        smooth
            From 0 to less than 1: the weight of what came before in the moving average of each run.
        logx, logy
            Whether the axes are logarithmic.
        max_points
            Lines of more points are drawn by this many, which keep their ups and downs.
        exclude
            Patterns of keys that do not matter although they vary; see `over`.
        ax
            Axes to draw into, a cell of a grid say; by default new ones.

        Returns
        -------
        matplotlib.axes.Axes
            With `col`, an array of them.

        Raises
        ------
        InvalidKeyError
            If there is no such metric, key or choice.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> curves = pd.array([[3.0, 2.0, 1.0], [5.0, 4.0]], dtype="metric")
        >>> runs = DataFrame({"config.seed": [1, 2], "val.loss": curves})
        >>> axes = runs.plot_metric("val.loss", over="seed")
        >>> axes.get_legend().get_texts()[0].get_text()
        'n=2→1'
        """
        from mlxp_reader.presentation.plots import plot_metric

        return plot_metric(
            self,
            metric,
            hue=hue,
            style=style,
            col=col,
            over=over,
            band=band,
            x=x,
            step=step,
            align=align,
            smooth=smooth,
            logx=logx,
            logy=logy,
            max_points=max_points,
            exclude=exclude,
            ax=ax,
        )

    def plot_sweep(  # noqa: PLR0913 - each is one choice of how a picture looks
        self,
        keys: str | Sequence[str],
        value: str,
        *,
        over: str | Sequence[str] = (),
        hue: str | None = None,
        band: str | None = "std",
        logy: bool = False,
        exclude: str | Iterable[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw what a number became along a key of the configuration, or over two keys as a heat map of means.

        Parameters
        ----------
        keys
            One key, whose axis is logarithmic if its values span two decades; or two, for the rows and the columns.
        value
            A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
        over
            The keys over which means are taken, such as ``"seed"``.
        hue
            A key for whose values there is a line each.
        band
            How far the error bars reach; see `plot_metric`.
        logy
            Whether the axis of the number is logarithmic.
        exclude
            Patterns of keys that do not matter although they vary; see `over`.
        ax
            Axes to draw into; by default new ones.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InvalidKeyError
            If there is no such key or metric, or if another key varies, too.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> runs = DataFrame({"config.lr": [0.1, 0.1, 1.0], "config.seed": [1, 2, 1], "score": [1.0, 3.0, 5.0]})
        >>> runs.plot_sweep("lr", "score", over="seed").get_lines()[0].get_ydata().tolist()
        [2.0, 5.0]
        """
        from mlxp_reader.presentation.sweep_plots import plot_sweep

        return plot_sweep(self, keys, value, over=over, hue=hue, band=band, logy=logy, exclude=exclude, ax=ax)

    def plot_parallel(
        self,
        value: str,
        *,
        keys: str | Sequence[str] = (),
        over: str | Sequence[str] = (),
        exclude: str | Iterable[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw each setting as a line through an axis per key that varies and one for a number, which colours it.

        Parameters
        ----------
        value
            A statistic of a metric such as ``"test.acc.last"``, or a column of numbers.
        keys
            The keys in their order; by default all that vary.
        over
            The keys over which means are taken, such as ``"seed"``.
        exclude
            Patterns of keys that do not matter although they vary; see `over`.
        ax
            Axes to draw into; by default new ones.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InvalidKeyError
            If there is no such key or metric, or if `keys` leaves out one that varies.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from mlxp_reader import DataFrame
        >>> runs = DataFrame({"config.lr": [0.1, 1.0], "config.depth": [1, 2], "score": [1.0, 3.0]})
        >>> [text.get_text() for text in runs.plot_parallel("score").get_xticklabels()]
        ['lr', 'depth', 'score']
        """
        from mlxp_reader.presentation.sweep_plots import plot_parallel

        return plot_parallel(self, value, keys=keys, over=over, exclude=exclude, ax=ax)
