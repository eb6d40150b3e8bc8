"""What a frame of runs can be asked for that pandas does not know; each method's work is done in a file of its own."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
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

        return SeedGroups(self, keys, exclude)
