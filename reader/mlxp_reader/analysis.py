"""What a frame of runs can be asked for that pandas does not know; each method's work is done in a file of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from mlxp_reader.paper_tables import Table
    from mlxp_reader.seeds import SeedGroups

__all__ = ["Analysis"]


class Analysis:
    """The methods of `mlxp_reader.DataFrame` that lead from runs to curves, seeds, figures and tables."""

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
        from mlxp_reader.history import history

        return history(self, metrics, step, wide)

    def over(self, *keys: str, exclude: str | Iterable[str] | None = None) -> "SeedGroups":
        """Return the runs in groups by all keys of the configuration that vary, except some, such as the seed.

        Parameters
        ----------
        keys
            Such as ``"seed"``; ``config.`` may be left out.
        exclude
            Patterns such as ``"paths.*"`` of further keys that make no groups. By default, texts that differ in nothing
            but the values of `keys` within them, such as an output directory; a warning names them.

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
        from mlxp_reader.seeds import SeedGroups

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
        from mlxp_reader.paper_tables import table

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
