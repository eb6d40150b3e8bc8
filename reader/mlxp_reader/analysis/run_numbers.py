"""One number per run: a column, or a statistic of a metric such as ``test.acc.last``."""

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.keys import named_column
from mlxp_reader.columns.runs import Runs

Numbers = npt.NDArray[np.float64]


def numbers_of(frame: Runs, name: str) -> Numbers:
    """Return a number per run: a statistic of a metric, or a column, NaN where there is none.

    Raises
    ------
    InvalidKeyError
        If there is no such column or statistic, or if it holds no numbers.
    """
    series = named_column(frame, name)
    try:
        return np.array([np.nan if is_missing(value) else value for value in series.tolist()], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidKeyError(f"'{name}' does not hold numbers only") from error
