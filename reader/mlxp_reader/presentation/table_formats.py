"""A table of texts, some of them marked as the best, in HTML, LaTeX, Markdown and plain text."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlxp.errors import InvalidKeyError
from mlxp_reader.presentation.tables import check_format

Numbers = npt.NDArray[np.float64]

DASH = "–"
BEST, SECOND = 1, 2

_WITHOUT_NOTES = ("html", "unsafehtml", "latex", "tsv")
"""The formats of `tabulate` that a line of text after the table would spoil."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, whether it is the `BEST` or the `SECOND` of its kind, and whether some runs are missing.

    The tip says which runs are behind the cell; Jupyter shows it where the mouse is.
    """

    text: str
    mark: int = 0
    has_fewer: bool = False
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """All texts of a table.

    Attributes
    ----------
    corner
        The headings of the columns that name the rows.
    columns, values
        The two rows of headings: each column has a place for each value. There may be no columns.
    rows
        What names each row: as many texts as there are in `corner`.
    title
        What the table shows.
    most
        How many runs a full cell stands for.
    rule
        What bold means; nothing if nothing is marked.
    latex
        The texts that LaTeX takes as they are.
    """

    corner: list[str]
    columns: list[str]
    values: list[str]
    rows: list[list[str]]
    cells: list[list[Cell]]
    title: str
    most: int
    rule: str = ""
    latex: frozenset[str] = frozenset()

    @property
    def heads(self) -> list[str]:
        """One heading per place, both rows of headings in one."""
        if not self.columns:
            return self.values
        if len(self.values) == 1:
            return self.columns
        return [f"{column} {value}" for column in self.columns for value in self.values]

    @property
    def is_two_headed(self) -> bool:
        """Whether the headings take two rows."""
        return bool(self.columns) and len(self.values) > 1

    @property
    def notes(self) -> list[str]:
        """What the marks mean that the table has: that of cells with fewer runs, and bold."""
        has_fewer = any(cell.has_fewer for row in self.cells for cell in row)
        return [*([f"† fewer than {self.most} runs"] if has_fewer else []), *([self.rule] if self.rule else [])]


def shortened(grid: Grid, rows: int, columns: int) -> Grid:
    """Return a table of at most so many rows and columns: the first and the last ones, with dots in between."""
    width = len(grid.values)
    grid = grid if len(grid.rows) <= rows else _without_rows(grid, max(1, min(rows, 10) // 2))
    if len(grid.columns) * width <= max(columns, 2 * width):
        return grid
    half = max(1, columns // (2 * width))
    cells = [[*row[: half * width], *[Cell("⋯")] * width, *row[-half * width :]] for row in grid.cells]
    return replace(grid, columns=[*grid.columns[:half], "⋯", *grid.columns[-half:]], cells=cells)


def _without_rows(grid: Grid, half: int) -> Grid:
    rows = [*grid.rows[:half], ["⋮"] * len(grid.corner), *grid.rows[-half:]]
    cells = [*grid.cells[:half], [Cell("⋮")] * len(grid.heads), *grid.cells[-half:]]
    return replace(grid, rows=rows, cells=cells)


def to_text(grid: Grid, tablefmt: str) -> str:
    """Return the table as `tabulate` writes it."""
    from tabulate import tabulate

    check_format(tablefmt)
    is_markdown = tablefmt in {"pipe", "github"}
    name = _markdown if is_markdown else str
    rows = [[*map(name, names), *map(_marked_text, cells)] for names, cells in zip(grid.rows, grid.cells, strict=True)]
    align = ["left"] * len(grid.corner) + ["right"] * len(grid.heads)
    heads = [*map(name, grid.corner), *map(name, grid.heads)]
    text = tabulate(rows, heads, tablefmt=tablefmt, disable_numparse=True, colalign=align if rows else None)
    if tablefmt in _WITHOUT_NOTES:
        return text
    return "\n\n".join([text, *grid.notes])


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_<|\[\]])", r"\\\1", text)


def _marked_text(cell: Cell) -> str:
    text = (cell.text or DASH) + "†" * cell.has_fewer
    return f"**{text}**" if cell.mark == BEST else f"_{text}_" if cell.mark == SECOND else text


def to_html(grid: Grid) -> str:
    """Return the table in HTML that looks right on light and on dark pages."""
    corner = "".join(f'<th style="text-align:left">{html.escape(name)}</th>' for name in grid.corner)
    head = f"<tr>{corner}{''.join(f'<th>{html.escape(name)}</th>' for name in grid.heads)}</tr>"
    if grid.is_two_headed:
        span = f'colspan="{len(grid.values)}" style="text-align:center"'
        above = "".join(f"<th {span}>{html.escape(name)}</th>" for name in grid.columns)
        below = "".join(f"<th>{html.escape(name)}</th>" for name in grid.values) * len(grid.columns)
        head = f'<tr><th colspan="{len(grid.corner)}"></th>{above}</tr><tr>{corner}{below}</tr>'
    body = "".join(_html_row(names, cells) for names, cells in zip(grid.rows, grid.cells, strict=True))
    note = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in grid.notes)
    caption = f'<caption style="text-align:left">{html.escape(grid.title)}</caption>'
    return f'<div><table class="dataframe">{caption}<thead>{head}</thead><tbody>{body}</tbody></table>{note}</div>'


def _html_row(names: list[str], cells: list[Cell]) -> str:
    heads = "".join(f'<th style="text-align:left">{html.escape(name)}</th>' for name in names)
    return f"<tr>{heads}{''.join(map(_html_cell, cells))}</tr>"


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text or DASH)
    text = f"<b>{text}</b>" if cell.mark == BEST else f"<u>{text}</u>" if cell.mark == SECOND else text
    tip = f' title="{html.escape(cell.tip)}"' if cell.tip else ""
    return f'<td style="white-space:nowrap"{tip}>{text}{"<sup>†</sup>" * cell.has_fewer}</td>'


_PREAMBLE = r"""% In the preamble:
% \usepackage{booktabs,siunitx}
% \sisetup{uncertainty-mode=separate,mode=text,reset-text-series=false}
"""
"""What a table with numbers of siunitx needs; without ``mode=text``, the spaces around ± are wrong."""


def with_summary(grid: Grid, names: Sequence[str], means: Numbers, measures: int, best: Any) -> Grid:
    """Return a table with columns for the mean over its columns, and for the average rank in them.

    Raises
    ------
    InvalidKeyError
        If there is no such summary, if the table has no columns or several values, or if ranks have no direction.
    """
    if unknown := [name for name in names if name not in {"mean", "rank"}]:
        raise InvalidKeyError(f"summary is 'mean', 'rank' or both, not {unknown[0]!r}")
    if not grid.columns or measures != 1:
        raise InvalidKeyError("summary needs columns= and one value, over whose columns it is computed")
    if "rank" in names and best not in {"max", "min"}:
        raise InvalidKeyError("summary='rank' needs best='max' or best='min'")
    everywhere = np.isfinite(means).all(axis=0)
    texts: dict[str, list[str]] = {}
    if not everywhere.any():
        texts = {name: [DASH] * len(means) for name in names}
    else:
        decimals = [len(text[1]) for row in grid.cells for cell in row if (text := _DECIMALS.match(cell.text))]
        known = means[:, everywhere]
        ranks = _ranks(-known if best == "max" else known)
        texts["mean"] = [f"{mean:.{max(decimals, default=3)}f}" for mean in known.mean(axis=1)]
        texts["rank"] = [f"{rank:.2f}" for rank in ranks.mean(axis=1)]
    added = [[Cell(texts[name][at]) for name in names] for at in range(len(means))]
    cells = [[*row, *more] for row, more in zip(grid.cells, added, strict=True)]
    return replace(grid, columns=[*grid.columns, *names], cells=cells)


_DECIMALS = re.compile(r"-?\d+\.(\d+)")


def _ranks(scores: Numbers) -> Numbers:
    """Return the rank of each row within its column, from 1 for the lowest; equal ones share the average."""
    below = (scores[None] < scores[:, None]).sum(axis=1)
    equal = (scores[None] == scores[:, None]).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)


def to_latex(grid: Grid, caption: str | None, label: str | None, *, siunitx: bool = False) -> str:
    """Return the table in LaTeX, for the package booktabs."""
    cell_of = _siunitx_cell if siunitx else _latex_cell
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(grid.corner)}{_numeric_columns(grid) if siunitx else 'r' * len(grid.heads)}}}",
        r"\toprule",
        *_latex_heads(grid),
        r"\midrule",
        *(
            _latex_line([*(_heading(name, grid) for name in names), *map(cell_of, cells)])
            for names, cells in zip(grid.rows, grid.cells, strict=True)
        ),
        r"\bottomrule",
    ]
    lines.append(r"\end{tabular}")
    if grid.notes:
        # A paragraph of its own, since a long note would widen the table.
        notes = r"\\ ".join(map(in_latex, grid.notes))
        lines.append(rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize {notes}\end{{minipage}}")
    if caption is not None or label is not None:
        lines = [
            r"\begin{table}[t]",
            r"\centering",
            *([rf"\caption{{{caption}}}"] if caption is not None else []),
            *([rf"\label{{{label}}}"] if label is not None else []),
            *lines,
            r"\end{table}",
        ]
    return (_PREAMBLE if siunitx else "") + "\n".join(lines) + "\n"


_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?: ± (\d+(?:\.\d+)?))?")


def _numeric_columns(grid: Grid) -> str:
    """Return a column of siunitx for each place, wide enough for its numbers."""
    columns = []
    for at in range(len(grid.heads)):
        found = [match.groups() for row in grid.cells if (match := _NUMBER.fullmatch(row[at].text))]
        parts = [mean.lstrip("-").partition(".") for mean, _ in found]
        whole, rest = (max((len(part[which]) for part in parts), default=1) for which in (0, 2))
        spread = max((len(_in_last_digits(std)) for _, std in found if std), default=0)
        sign = "-" if any(mean.startswith("-") for mean, _ in found) else ""
        columns.append(f"S[table-format={sign}{whole}.{rest}{f'({spread})' if spread else ''}]")
    return "".join(columns)


def _in_last_digits(std: str) -> str:
    """Return a spread in units of its last digit, as siunitx takes it.

    Examples
    --------
    >>> _in_last_digits("0.08"), _in_last_digits("1.25")
    ('8', '125')
    """
    return std.replace(".", "").lstrip("0") or "0"


def _siunitx_cell(cell: Cell) -> str:
    match = _NUMBER.fullmatch(cell.text)
    if match is None:
        return rf"{{{_latex_cell(cell)}}}"
    number = match[1] + (f"({_in_last_digits(match[2])})" if match[2] else "")
    text = rf"\bfseries {number}" if cell.mark == BEST else number
    if cell.mark == SECOND:
        text = rf"{{\underline{{\num{{{number}}}}}}}"
    return f"{text} {_DAGGER}" if cell.has_fewer else text


def _heading(text: str, grid: Grid) -> str:
    return text if text in grid.latex else in_latex(text)


_DAGGER = r"\textsuperscript{\dag}"


def _latex_heads(grid: Grid) -> list[str]:
    corner = [_heading(name, grid) for name in grid.corner]
    if not grid.is_two_headed:
        return [_latex_line([*corner, *(rf"\multicolumn{{1}}{{c}}{{{_heading(name, grid)}}}" for name in grid.heads)])]
    width, first = len(grid.values), len(corner) + 1
    above = [rf"\multicolumn{{{width}}}{{c}}{{{_heading(name, grid)}}}" for name in grid.columns]
    starts = range(first, first + width * len(grid.columns), width)
    rules = "".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start in starts)
    below = [rf"\multicolumn{{1}}{{c}}{{{_heading(name, grid)}}}" for name in grid.values] * len(grid.columns)
    return [_latex_line([*([""] * len(corner)), *above]), rules, _latex_line([*corner, *below])]


def _latex_line(parts: list[str]) -> str:
    return rf"{' & '.join(parts)} \\"


def _latex_cell(cell: Cell) -> str:
    text = in_latex(cell.text) if cell.text else "--"
    text = rf"\textbf{{{text}}}" if cell.mark == BEST else rf"\underline{{{text}}}" if cell.mark == SECOND else text
    return f"{text}{_DAGGER}" if cell.has_fewer else text


_MATHS = (  # what LaTeX knows by name only, and may well stand in the name of a key
    "α alpha β beta γ gamma δ delta ε varepsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi π pi ρ rho"  # noqa: RUF001
    " σ sigma τ tau υ upsilon φ varphi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi"  # noqa: RUF001
    " Ψ Psi Ω Omega ∞ infty ↑ uparrow ↓ downarrow ≈ approx ≤ leq ≥ geq ∈ in ∇ nabla ∂ partial √ surd"
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: rf"$\{name}$" for sign, name in re.findall(r"(\S) (\w+)", _MATHS)},
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    "†": _DAGGER,
    **{special: rf"\{special}" for special in "&%$#_{}"},
}


def in_latex(text: str) -> str:
    r"""Return a text that LaTeX shows as it is; the sign of a number is a minus.

    Examples
    --------
    >>> print(in_latex("lr_1 & 50%"), in_latex("-0.5 ± 0.1"))
    lr\_1 \& 50\% $-$0.5 $\pm$ 0.1
    """
    # A line break would end the row, and an opening bracket after one would be taken for its argument.
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"(?<![\w-])-(?=[\d.])", "$-$", escaped).replace("[", "{[}").replace("]", "{]}")
