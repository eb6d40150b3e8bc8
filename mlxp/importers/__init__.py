"""Reads the runs that other tools have recorded, so that ``mlxp import`` can add them to a log directory.

There is one module per tool. Each of them has a `FORMAT`: how to recognise the tool's runs, and how to read one.
"""

import importlib
from pathlib import Path
from typing import Final

from mlxp.importers.foreign_run import Format

_MODULES: Final = ("mlflow", "wandb", "sacred", "hydra_outputs", "lightning", "tensorboard")
"""The table of importers; the first one that finds runs in a path reads them."""


def formats() -> list[Format]:
    """Return all formats, in the order in which they are tried.

    Examples
    --------
    >>> [one.tool for one in formats()]
    ['MLflow', 'W&B', 'Sacred', 'Hydra', 'Lightning', 'TensorBoard']
    """
    found: list[Format] = [importlib.import_module(f"mlxp.importers.{name}").FORMAT for name in _MODULES]
    return found


def format_of(source: Path) -> Format | None:
    """Return the format of the runs in a folder; None if there are none that can be read."""
    return next((one for one in formats() if next(iter(one.folders(source)), None) is not None), None)
