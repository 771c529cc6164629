"""Tables for a paper, with booktabs; they compile with plain pdflatex, in any font encoding."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rmsuite.render.cells import GAP, Block, Cell, Grid, grid, overall_grid, plain
from rmsuite.render.footer import footer, overall_footer
from rmsuite.reports.records import Report

PACKAGES = (r"\usepackage{booktabs}", r"\usepackage{graphicx}")
NEEDS = f"% Needs in the preamble: {' '.join(PACKAGES)}"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "'": "{'}",
    "`": "{`}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "†": r"\dag{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "µ": r"$\mu$",
    "…": r"\dots{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "æ": r"\ae{}",
}
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
SPECIAL |= {
    unicodedata.lookup(f"greek small letter {_n}".replace("lambda", "lamda")): rf"$\{_n}$" for _n in GREEK.split()
}
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0327": "c", "\u030c": "v"}
PLAIN = {spelled: letter for letter, spelled in SPECIAL.items()}
MARKS = {command: mark for mark, command in ACCENTS.items()}
SPELLED = re.compile("|".join(map(re.escape, sorted(PLAIN, key=len, reverse=True))))
ACCENTED = re.compile(r"\\(['`^~\"cv])\{(\w)\}")
BREAKS = re.compile(r"(?<=[|:,(#+/-])")
# As wide as it is, but no wider than the text.
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def write(report: Report, more: Sequence[Block] = ()) -> str:
    """Return one ``table`` environment a task, one for all tasks, and some more."""
    blocks = [_table(table.task, grid(table), footer(table, bold=True)) for table in report.tables]
    if report.overall:
        blocks.append(_table("all tasks", overall_grid(report.overall), overall_footer(report.overall)))
    return "\n\n".join([NEEDS, *blocks, *(_table(*one) for one in more)])


def _table(title: str, table: Grid, lines: list[str]) -> str:
    legend, *notes, signature = lines
    name = escaped(plain(title))
    return "\n".join(
        [
            f"% {signature}",
            r"\begin{table}",
            r"\centering",
            rf"\caption[{{{name}}}]{{{name}. {escaped(legend)}}}",
            r"\par\medskip",
            *_tabular(table),
            r"\par\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(escaped(note) for note in notes),
            rf"Signature: \texttt{{{_breakable(signature.removeprefix('Signature: '))}}}",
            r"\end{minipage}",
            r"\end{table}",
        ]
    )


def _tabular(table: Grid) -> list[str]:
    return [
        FIT,
        rf"\begin{{tabular}}{{l{'r' * (len(table.headers) - 1)}}}",
        r"\toprule",
        _row([escaped(header) for header in table.headers]),
        r"\midrule",
        *(_row([escaped(row[0].text), *map(_cell, row[1:])]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    """Return a cell of numbers: with a minus for a hyphen, and a dash between ranks."""
    if cell.text == GAP:
        return "--"
    text = re.sub(r"(?<=\d)-(?=\d)", "--", escaped(cell.text))
    text = re.sub(r"(?<![\w-])-(?=\d)", "$-$", text)
    return rf"\textbf{{{text}}}" if cell.best else text


def read_cell(text: str) -> str:
    """Return the text of a cell of the tabular, with ``-`` for a gap."""
    text = re.sub(r"^\\textbf\{(.*)\}$", r"\1", text.strip())
    return GAP if text == "--" else unescaped(text.replace("$-$", "-"))


def _breakable(signature: str) -> str:
    return r"\allowbreak ".join(escaped(part) for part in BREAKS.split(signature) if part)


def escaped(text: str) -> str:
    r"""Return text that LaTeX prints as it is; a letter that plain pdflatex lacks becomes its nearest, or ``?``.

    Examples
    --------
    >>> print(escaped("50 % of a_b"))
    50 \% of a\_b
    """
    # Two hyphens would be drawn as one dash, two commas as a quotation mark.
    return re.sub(r"([-,])(?=\1)", r"\1{}", "".join(map(_spelled, unicodedata.normalize("NFC", text))))


def _spelled(letter: str) -> str:
    if letter in SPECIAL or letter.isascii():
        return SPECIAL.get(letter, letter)
    base, marks = unicodedata.normalize("NFD", letter)[0], unicodedata.normalize("NFD", letter)[1:]
    if base.isascii() and base.isalpha() and marks in ACCENTS:
        return rf"\{ACCENTS[marks]}{{{base}}}"
    nearest = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return "".join(SPECIAL.get(one, one) for one in nearest) or "?"


def unescaped(text: str) -> str:
    """Return what ``escaped`` was given, but for letters that it had no spelling for."""
    text = re.sub(r"([-,])\{\}(?=\1)", r"\1", text.replace(r"\allowbreak ", ""))
    text = ACCENTED.sub(lambda found: unicodedata.normalize("NFC", found[2] + MARKS[found[1]]), text)
    return SPELLED.sub(lambda found: PLAIN[found[0]], text)
