"""A matplotlib figure whose files publishers accept; imported only for drawing, since it needs matplotlib."""

import os
from pathlib import Path
from typing import Any

from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.figure import Figure

from mlxp_reader.columns.runs import Runs
from mlxp_reader.evidence.cells import Question
from mlxp_reader.evidence.notes import part_of, write_note

_EMBEDDED: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}
"""Letters stay letters: publishers refuse matplotlib's own Type 3 fonts, and outlines cannot be searched."""


class PaperFigure(Figure):
    """A figure that embeds its fonts in a file, unless users choose otherwise in matplotlib's settings.

    Attributes
    ----------
    shown
        What it was made from: for each picture in it, a frame, the method, and what that asked of the frame.
    """

    shown: list[tuple[Runs, str, Question]]

    def savefig(self, fname: Any, *args: Any, **kwargs: Any) -> None:
        """Write the figure to a file, and a note beside it; see `matplotlib.figure.Figure.savefig`."""
        ours = {name: kind for name, kind in _EMBEDDED.items() if rcParams[name] == rcParamsDefault[name]}
        with rc_context(ours):
            super().savefig(fname, *args, **kwargs)
        if isinstance(fname, str | os.PathLike):
            file = Path(fname)
            if not file.exists():  # matplotlib has added the format to the name
                file = Path(f"{fname}.{kwargs.get('format') or rcParams['savefig.format']}")
            write_note(file, [part_of(*one) for one in getattr(self, "shown", [])])

    def __getstate__(self) -> Any:
        return self.__dict__ | dict(super().__getstate__()) | {"shown": []}  # type: ignore[call-overload]
