"""A table of texts, some of them marked as the best, in HTML, LaTeX, Markdown and plain text."""

import html
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from mlxp_reader.presentation.tables import check_format

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
        The headings: those of each column, from the outermost, and below them a place for each value. A table of values
        only has one column, without a heading.
    rows
        What names each row: as many texts as there are in `corner`, from the outermost.
    title
        What the table shows.
    most
        How many runs a full cell stands for.
    rule
        What bold means; nothing if nothing is marked.
    latex
        The texts that LaTeX takes as they are.
    summaries
        How many of the last rows sum up those above.
    """

    corner: list[str]
    columns: list[list[str]]
    values: list[str]
    rows: list[list[str]]
    cells: list[list[Cell]]
    title: str
    most: int
    rule: str = ""
    latex: frozenset[str] = frozenset()
    summaries: int = 0

    @property
    def heads(self) -> list[str]:
        """One heading per place, all rows of headings in one."""
        columns = [", ".join(filter(None, texts)) for texts in self.columns]
        if len(self.values) == 1 and any(self.columns):
            return columns
        return [" ".join(filter(None, [column, value])) for column in columns for value in self.values]

    @property
    def headings(self) -> list[list[tuple[str, int]]]:
        """The rows of headings, from the outermost: each has texts, and over how many places each of them stands."""
        are_told = len(self.values) > 1 or not any(self.columns)
        paths = [[*texts, *([value] if are_told else [])] for texts in self.columns for value in self.values]
        levels = range(len(paths[0]) if paths else 0)
        return [
            _in_runs([tuple(path[: level + 1]) for path in paths], is_last=level == len(levels) - 1) for level in levels
        ]

    @property
    def notes(self) -> list[str]:
        """What the marks mean that the table has: that of cells with fewer runs, and bold."""
        has_fewer = any(cell.has_fewer for row in self.cells for cell in row)
        return [*([f"† fewer than {self.most} runs"] if has_fewer else []), *([self.rule] if self.rule else [])]


def _in_runs(paths: list[tuple[str, ...]], *, is_last: bool) -> list[tuple[str, int]]:
    """Return the last texts of some paths, and how many equal paths follow each other; in the last row, each by itself.

    Examples
    --------
    >>> _in_runs([("a",), ("a",), ("b",)], is_last=False)
    [('a', 2), ('b', 1)]
    """
    if is_last:
        return [(path[-1], 1) for path in paths]
    return [(path[-1], len(list(alike))) for path, alike in itertools.groupby(paths)]


def shortened(grid: Grid, rows: int, columns: int) -> Grid:
    """Return a table of at most so many rows and columns: the first and the last ones, with dots in between."""
    width = len(grid.values)
    grid = grid if len(grid.rows) <= rows else _without_rows(grid, max(1, min(rows, 10) // 2))
    if len(grid.columns) * width <= max(columns, 2 * width):
        return grid
    half = max(1, columns // (2 * width))
    cells = [[*row[: half * width], *[Cell("⋯")] * width, *row[-half * width :]] for row in grid.cells]
    dots = ["⋯"] * len(grid.columns[0])
    return replace(grid, columns=[*grid.columns[:half], dots, *grid.columns[-half:]], cells=cells)


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
    *above, last = grid.headings or [[]]
    nothing = f'<th colspan="{len(grid.corner)}"></th>'
    head = "".join(f"<tr>{nothing}{''.join(map(_html_heading, row))}</tr>" for row in above)
    head += f"<tr>{corner}{''.join(f'<th>{html.escape(name)}</th>' for name, _ in last)}</tr>"
    body = "".join(_html_row(names, cells) for names, cells in zip(_row_names(grid), grid.cells, strict=True))
    note = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in grid.notes)
    caption = f'<caption style="text-align:left">{html.escape(grid.title)}</caption>'
    return f'<div><table class="dataframe">{caption}<thead>{head}</thead><tbody>{body}</tbody></table>{note}</div>'


def _html_heading(heading: tuple[str, int]) -> str:
    text, span = heading
    return f'<th colspan="{span}" style="text-align:center">{html.escape(text)}</th>'


def _row_names(grid: Grid) -> list[list[tuple[str, int]]]:
    """Return for each row the names that begin there, and over how many rows each of them stands; 0 if above."""
    names: list[list[tuple[str, int]]] = [[] for _ in grid.rows]
    for level in range(len(grid.corner)):
        runs = _in_runs([tuple(row[: level + 1]) for row in grid.rows], is_last=level == len(grid.corner) - 1)
        told = [one for text, count in runs for one in [(text, count), *[("", 0)] * (count - 1)]]
        names = [[*before, one] for before, one in zip(names, told, strict=True)]
    return names


def _html_row(names: list[tuple[str, int]], cells: list[Cell]) -> str:
    heads = [_html_name(name, rows) for name, rows in names if rows]
    return f"<tr>{''.join([*heads, *map(_html_cell, cells)])}</tr>"


def _html_name(name: str, rows: int) -> str:
    look = f'style="text-align:left;vertical-align:top" rowspan="{rows}"' if rows > 1 else 'style="text-align:left"'
    return f"<th {look}>{html.escape(name)}</th>"


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text or DASH)
    text = f"<b>{text}</b>" if cell.mark == BEST else f"<u>{text}</u>" if cell.mark == SECOND else text
    tip = f' title="{html.escape(cell.tip)}"' if cell.tip else ""
    return f'<td style="white-space:nowrap"{tip}>{text}{"<sup>†</sup>" * cell.has_fewer}</td>'


_PREAMBLE = "% In the preamble:\n% \\usepackage{booktabs,siunitx}\n"
_LOOK = "uncertainty-mode=separate,mode=text,reset-text-series=false"
"""How siunitx writes the numbers of a column: ± instead of brackets, and bold where it is asked for."""


def to_latex(grid: Grid, caption: str | None, label: str | None, *, siunitx: bool = False) -> str:
    """Return the table in LaTeX, for the package booktabs."""
    cell_of = _siunitx_cell if siunitx else _latex_cell
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(grid.corner)}{_numeric_columns(grid) if siunitx else 'r' * len(grid.heads)}}}",
        r"\toprule",
        *_latex_heads(grid),
        r"\midrule",
        *_latex_rows(grid, cell_of),
        r"\bottomrule",
        r"\end{tabular}",
    ]
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
        columns.append(f"S[table-format={sign}{whole}.{rest}{f'({spread})' if spread else ''},{_LOOK}]")
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
    """Return the rows of headings; a line is below each heading of several columns."""
    lines = []
    for number, row in enumerate(grid.headings, start=1):
        corner = grid.corner if number == len(grid.headings) else [""] * len(grid.corner)
        texts = [rf"\multicolumn{{{span}}}{{c}}{{{_heading(text, grid)}}}" for text, span in row]
        lines.append(_latex_line([*(_heading(name, grid) for name in corner), *texts]))
        starts = itertools.accumulate((span for _, span in row), initial=len(grid.corner) + 1)
        rules = [
            rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
            for start, (text, span) in zip(starts, row, strict=False)
            if text and number < len(grid.headings)
        ]
        lines += ["".join(rules)] if rules else []
    return lines or [_latex_line([_heading(name, grid) for name in grid.corner])]


def _latex_rows(grid: Grid, cell_of: Callable[[Cell], str]) -> list[str]:
    """Return the rows; a name stands once for the rows that share it, with a line above the next one."""
    lines = []
    has_blocks = any(count > 1 for row in _row_names(grid) for _, count in row)
    for number, (names, cells) in enumerate(zip(_row_names(grid), grid.cells, strict=True)):
        above_summaries = len(grid.rows) - grid.summaries
        is_new = has_blocks and names[0][1] > 0 and number < above_summaries
        if number and (is_new or number == above_summaries):
            lines.append(r"\midrule")
        lines.append(_latex_line([*(_heading(name, grid) for name, _ in names), *map(cell_of, cells)]))
    return lines


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
