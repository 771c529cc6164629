"""Figures drawn with matplotlib: the one module that imports it, and only ``figures.write`` imports this one.

No pyplot, and no setting that outlives a drawing. What a name holds is drawn as it is: no mathematics, and a sign for
characters that the font lacks. Lines differ by colour (Okabe and Ito, Color Universal Design, 2008) and by marker.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, cast

from matplotlib import font_manager, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Affine2DBase, ScaledTranslation, Transform

from rmsuite.render.cells import GAP, UNPRINTABLE, plain
from rmsuite.render.figures import Figure, HeatMap, Line, Panel, Slopes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX*"  # a number that has no factor in common with that of colours: 56 pairs
DASHES = ("-", "--", ":", "-.")
WIDTH, HEIGHT, LEGEND_ROW, N_COLUMNS = 3.5, 2.8, 0.17, 3  # inches
LEAST = WIDTH, HEIGHT
COLUMN, ROW = 0.5, 0.16  # inches of a column of a map, of a row of a map and of a slope
SLOPE, LETTER, MOST_LETTERS = 1.5, 0.075, 24  # inches from side to side and of a letter beside; letters of a name
LONGEST = 42  # characters of a label
MOST_MARKERS = 10  # of a line
DODGE, MOST_DODGE = 4.0, 24.0  # points between lines side by side, and between the outermost
LARGEST = 1e100  # beyond it axes cannot be computed
FONT = "DejaVu Sans"  # comes with matplotlib
SETTINGS: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": FONT,
    "font.size": 8,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,  # outlines, as publishers ask for
    "savefig.dpi": 200,
    "svg.fonttype": "path",  # looks the same where the font is not installed
    "svg.hashsalt": "rmsuite",
}
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def drawn(figure: Figure, kind: str) -> bytes:
    """Return the file of a figure in one of ``figures.FORMATS``; which others are drawn moves no bit."""
    out = io.BytesIO()
    with style.context(["default", SETTINGS]):  # whatever the user has set
        _canvas(figure).savefig(out, format=kind, metadata=UNDATED[kind])
    return out.getvalue()


def readable(text: str, longest: int = LONGEST) -> str:
    """Return what draws text on one line, in characters that the font has; of long text the middle is left out."""
    known = font_manager.get_font(font_manager.findfont(FONT)).get_charmap()
    text = "".join(one if ord(one) in known else UNPRINTABLE for one in plain(text))
    half = longest // 2
    text = text if len(text) <= longest else f"{text[:half]}…{text[1 - half :]}"
    return text.replace("$", r"\$")  # drawn as a dollar: where all have a backslash, nothing is mathematics


class _Looks:
    """The colour and marker of each label, and the dash of each quantity, in the order in which they come."""

    def __init__(self, figure: Figure) -> None:
        lines = [line for panel in figure.panels if isinstance(panel, Panel) for line in panel.lines]
        self.labels = list(dict.fromkeys(line.label for line in lines))
        self.quantities = list(dict.fromkeys(line.quantity for line in lines if line.kind != "level"))

    def of(self, line: Line) -> dict[str, Any]:
        place = self.quantities.index(line.quantity) if line.quantity in self.quantities else 0
        return self._label(line.label) | self._quantity(place, self._label(line.label)["color"])

    def _label(self, label: str) -> dict[str, Any]:
        place = self.labels.index(label)
        return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}

    def _quantity(self, place: int, colour: str) -> dict[str, Any]:
        dash = DASHES[place % len(DASHES)]
        return {"linestyle": dash, "markerfacecolor": "white" if place else colour}

    def legend(self) -> list[tuple[Line2D, str]]:
        """Return what explains labels, and quantities where there are several."""
        found = [(Line2D([], [], **self._label(label)), label) for label in self.labels]
        if len(self.quantities) > 1:
            for place, name in enumerate(self.quantities):
                look = self._quantity(place, "0.3")
                found.append((Line2D([], [], color="0.3", marker="o", **look), name))
        return found


def _canvas(figure: Figure) -> Canvas:
    looks = _Looks(figure)
    legend, n = looks.legend(), len(figure.panels)
    columns = max(1, min(n, N_COLUMNS if n <= 4 * N_COLUMNS else math.ceil(math.sqrt(n))))
    longest = max((len(readable(text)) for _, text in legend), default=0)
    n_across = max(1, int(columns * WIDTH / (0.6 + 0.065 * longest)))
    rows, legend_rows = math.ceil(n / columns), math.ceil(len(legend) / n_across)
    width, height = (max((size(panel)[i] for panel in figure.panels), default=least) for i, least in enumerate(LEAST))
    canvas = Canvas(figsize=(columns * width, max(1, rows) * height + legend_rows * LEGEND_ROW))
    shared: dict[tuple[object, ...], Axes] = {}
    lined: list[tuple[Axes, Panel]] = []
    for place, panel in enumerate(figure.panels):
        axes = canvas.add_subplot(rows, columns, place + 1)
        axes.set_title(_title(panel))
        _fill(axes, panel, looks, shared)
        if isinstance(panel, Panel):
            lined.append((axes, panel))
    for axes, panel in lined:  # now that shared limits are known
        _scale(axes, panel)
    _explain(canvas, legend, n_across)
    return canvas


def size(panel: Panel | HeatMap | Slopes) -> tuple[float, float]:
    """Return the width and height that a panel needs, in inches: maps and slopes grow with what they name."""
    if isinstance(panel, HeatMap):
        return max(WIDTH, 2.0 + COLUMN * len(panel.columns)), max(HEIGHT, 1.2 + ROW * len(panel.rows))
    if isinstance(panel, Slopes):
        return max(WIDTH, SLOPE + 2 * _beside_slopes(panel)), max(HEIGHT, 0.6 + ROW * len(panel.labels))
    return LEAST


def _title(panel: Panel | HeatMap | Slopes) -> str:
    quantity = f": {panel.quantity}" if isinstance(panel, HeatMap) and panel.quantity else ""
    return readable(panel.title + quantity)


def _explain(canvas: Canvas, legend: Sequence[tuple[Line2D, str]], n_across: int) -> None:
    if not legend:
        return
    blank = [" "] * len(legend)  # legends of older versions leave out what begins with an underscore
    made = canvas.legend([handle for handle, _ in legend], blank, loc="outside lower center", ncols=n_across)
    for text, (_, label) in zip(made.get_texts(), legend, strict=True):
        text.set_text(readable(label))


def _fill(axes: Axes, panel: Panel | HeatMap | Slopes, looks: _Looks, shared: dict[tuple[object, ...], Axes]) -> None:
    if isinstance(panel, HeatMap):
        _fill_map(axes, panel)
    elif isinstance(panel, Slopes):
        _fill_slopes(axes, panel)
    else:
        _fill_lines(axes, panel, looks, shared)


def _fill_lines(axes: Axes, panel: Panel, looks: _Looks, shared: dict[tuple[object, ...], Axes]) -> None:
    if (first := shared.setdefault(("x", panel.x_label, panel.log_x), axes)) is not axes:
        axes.sharex(first)
    if (first := shared.setdefault(("y", panel.y_label), axes)) is not axes:
        axes.sharey(first)
    axes.set_xlabel(readable(panel.x_label))
    axes.set_ylabel(readable(panel.y_label))
    if panel.log_x:
        axes.set_xscale("log")
    beside = _beside(axes, panel, cast(Affine2DBase, axes.figure.dpi_scale_trans))
    there = [
        _line(axes, panel, line, looks.of(line) | {"transform": at})
        for line, at in zip(panel.lines, beside, strict=True)
    ]
    if not any(there):
        axes.text(0.5, 0.5, "no numbers", transform=axes.transAxes, ha="center", color="0.4")


def _beside(axes: Axes, panel: Panel, to_inches: Affine2DBase) -> list[Transform]:
    """Return where each line is drawn: at its x, or a little beside it."""
    n = len(panel.lines) if panel.intervals == "dodged" else 0
    step = min(DODGE, MOST_DODGE / max(n, 1)) / 72  # inches
    inches = [step * (place - (n - 1) / 2) if n else 0.0 for place in range(len(panel.lines))]
    return [axes.transData + ScaledTranslation(one, 0, to_inches) if one else axes.transData for one in inches]


def _scale(axes: Axes, panel: Panel) -> None:
    low, high = axes.get_ylim()
    if panel.zero and low < 0 < high:
        axes.axhline(0, color="0.5", linewidth=0.8)
    if panel.ticks:
        axes.xaxis.set_major_locator(FixedLocator(panel.ticks))
    elif panel.log_x:
        axes.xaxis.set_major_locator(_log_locator(*axes.get_xlim()))
    if panel.ticks or panel.log_x:
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x == round(x) else f"{x:g}"))


def _log_locator(low: float, high: float) -> Locator:
    """Return what puts a few ticks on an axis, however short it is."""
    decades = math.log10(high) - math.log10(low)
    if decades < 0.7:
        return MaxNLocator(4)
    return LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,), numticks=8)


def _line(axes: Axes, panel: Panel, line: Line, look: dict[str, Any]) -> bool:
    """Draw a line with its intervals; return whether there was anything to draw."""
    points = _drawable(panel, line)
    if not points:
        return False
    x, y, low, high = (list(column) for column in zip(*points, strict=True))
    if line.kind == "level":
        across = axes.get_yaxis_transform()
        look |= {"linestyle": ":", "transform": across}
        axes.plot([0, 1], y[:1] * 2, clip_on=False, markevery=[1], **look)
        return True
    if line.kind == "points":
        look |= {"linestyle": "none"}
    axes.plot(x, y, markevery=_marked(len(x)) if line.kind == "line" else None, **look)
    if line.low and panel.intervals == "band" and len(x) > 1:
        axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    elif line.low:
        axes.vlines(x, low, high, color=look["color"], linewidth=1, alpha=0.6, transform=look["transform"])
        axes.update_datalim([*zip(x, low, strict=True), *zip(x, high, strict=True)])  # bars beside do not count else
        axes.autoscale_view()
    return True


def _marked(n: int) -> list[int]:
    """Return which of n points have a marker: the last, and not too many before it."""
    return list(range(n - 1, -1, -math.ceil(n / MOST_MARKERS)))[::-1]


def _drawable(panel: Panel, line: Line) -> list[tuple[float, float, float, float]]:
    rows = zip(line.x, line.y, line.low or line.y, line.high or line.y, strict=True)
    found = [row for row in rows if all(abs(number) < LARGEST for number in row[line.kind == "level" :])]
    return [row for row in found if row[0] > 0 or not panel.log_x or line.kind == "level"]


def _fill_map(axes: Axes, panel: HeatMap) -> None:
    axes.grid(False)
    values = [[one if abs(one) < LARGEST else math.nan for one in row] for row in panel.values]
    known = [one for row in values for one in row if not math.isnan(one)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if panel.rows and panel.columns:
        axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(len(panel.columns)), [readable(one, 24) for one in panel.columns], rotation=30, ha="right")
    axes.set_yticks(range(len(panel.rows)), [readable(one, 24) for one in panel.rows])
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            gap = math.isnan(value)
            colour = "black" if gap or value > (low + high) / 2 else "white"  # the map is dark below
            axes.text(j, i, GAP if gap else f"{value:{panel.style}}", ha="center", va="center", color=colour)


def _beside_slopes(panel: Slopes) -> float:
    """Return how many inches the names on one side take."""
    return 0.15 + LETTER * min(MOST_LETTERS, max(map(len, panel.labels), default=0))


def _apart(ranks: Sequence[float]) -> list[float]:
    """Return where the names of ranks stand: those of equal ranks one below the other, in their order.

    Examples
    --------
    >>> _apart([1, 2.5, 2.5, 4])
    [1.0, 2.0, 3.0, 4.0]
    """
    seen: dict[float, int] = {}
    found = []
    for rank in ranks:
        found.append(rank - (ranks.count(rank) - 1) / 2 + seen.get(rank, 0))
        seen[rank] = seen.get(rank, 0) + 1
    return found


def _fill_slopes(axes: Axes, panel: Slopes) -> None:
    axes.grid(False)
    axes.margins(y=min(0.05, 1 / max(len(panel.labels), 1)))
    ends = zip(panel.left, panel.right, _apart(panel.left), _apart(panel.right), strict=True)
    for place, (label, (left, right, *beside)) in enumerate(zip(panel.labels, ends, strict=True)):
        if abs(left) < LARGEST and abs(right) < LARGEST:
            colour, name = COLOURS[place % len(COLOURS)], readable(label, MOST_LETTERS)
            axes.plot([0, 1], [left, right], color=colour, marker=MARKERS[place % len(MARKERS)])
            axes.text(-0.06, beside[0], name, ha="right", va="center")
            axes.text(1.06, beside[1], name, va="center")
    axes.set_xticks([0, 1], [readable(side, MOST_LETTERS) for side in panel.sides])
    beyond = max(1.0, _beside_slopes(panel) / SLOPE)
    axes.set_xlim(-beyond, 1 + beyond)
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.spines[["left", "bottom"]].set_visible(False)
