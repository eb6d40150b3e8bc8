"""A matplotlib figure whose files publishers accept; imported only for drawing, since it needs matplotlib."""

from typing import Any

from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.figure import Figure

_EMBEDDED: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}
"""Letters stay letters: publishers refuse matplotlib's own Type 3 fonts, and outlines cannot be searched."""


class PaperFigure(Figure):
    """A figure that embeds its fonts in a file, unless users choose otherwise in matplotlib's settings."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write the figure to a file; see `matplotlib.figure.Figure.savefig`."""
        ours = {name: kind for name, kind in _EMBEDDED.items() if rcParams[name] == rcParamsDefault[name]}
        with rc_context(ours):
            super().savefig(*args, **kwargs)
