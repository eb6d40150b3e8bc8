"""One number per run: a column, or a statistic of a metric such as ``test.acc.last``."""

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.asked_values import named_column
from mlxp_reader.columns.missing import AS_NUMBER, exact_values, kind_of
from mlxp_reader.columns.runs import Runs

Numbers = npt.NDArray[np.float64]


def numbers_of(frame: Runs, name: str, step: str | None = None) -> Numbers:
    """Return a number per run: a statistic of a metric, or a column; where there is none, a NaN that tells which kind.

    Parameters
    ----------
    step
        The key that tells the steps, where these matter; see `DataFrame.history`.

    Raises
    ------
    InvalidKeyError
        If there is no such column or statistic, or if it holds no numbers.
    """
    series = named_column(frame, name, step=step)
    try:
        return np.array([AS_NUMBER.get(kind_of(value), value) for value in exact_values(series)], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidKeyError(f"'{name}' does not hold only numbers") from error
