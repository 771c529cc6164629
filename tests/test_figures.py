"""Figures: the same bits every time, names as they are, no number lost. Whoever puts one into a paper relies on it."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import set_up
from fake_reports import ODD_NAMES, ODD_NOTES
from matplotlib import cbook, rcParams
from matplotlib import figure as matplotlib_figure
from matplotlib.text import Text
from plugin_files import source
from test_curves import VALUES, sweep, table
from test_curves import cells as curve_cells
from test_policy_paths import STEPS, cells, paths

from rmsuite.errors import RmsuiteError
from rmsuite.render import drawing
from rmsuite.render.cells import UNPRINTABLE
from rmsuite.render.comma_separated import unguarded
from rmsuite.render.curve_figures import curve_figures
from rmsuite.render.figures import FORMATS, Figure, HeatMap, Line, Panel, Slopes, caption, numbers, write
from rmsuite.render.policy_figures import policy_figures

NAN, INF = math.nan, math.inf
HOSTILE = (*ODD_NAMES, "$\\frac{1}{", "$x$ and $y$", "_under", "x" * 5000, "", "\x00", "\ud800\udfff")
MAGIC = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}


def line(label: str = "mine", **changes: object) -> Line:
    return replace(Line(label, (1.0, 2.0, 4.0), (0.1, 0.3, 0.2), (0.0, 0.2, 0.1), (0.2, 0.4, 0.3)), **changes)


def panel(*lines: Line, **changes: object) -> Panel:
    return replace(Panel("panel", "x", "y", lines or (line(), line("theirs"))), **changes)


def figure(*panels: Panel | HeatMap | Slopes, **changes: object) -> Figure:
    return replace(Figure("toy", panels or (panel(),), ("What it shows.",), "rmsuite:2|task:toy@1"), **changes)


MAP = HeatMap("map", ("a", "b"), ("c", "d", "e"), ((0.1, 0.2, NAN), (0.4, 0.5, 0.6)), "gain")
SLOPES = Slopes("slopes", ("before", "after"), ("a", "b"), (1, 2), (2, 1))
KINDS = {
    "band": panel(),
    "bars": panel(intervals="bars"),
    "dodged": panel(intervals="dodged", ticks=(1.0, 2.0, 4.0)),
    "logarithm": panel(log_x=True, zero=True),
    "level": panel(line(), Line("floor", (NAN,), (0.2,), kind="level")),
    "points": panel(line(kind="points"), line(quantity="other")),
    "no line": panel(lines=()),
    "nothing finite": panel(line(y=(NAN, INF, -INF))),
    "nothing positive": panel(line(x=(0.0, -1.0, 0.0)), log_x=True),
    "huge": panel(line(x=(-1e308, 0.0, 1e308)), line(y=(-1e308, 0.0, 1e308), low=(), high=())),
    "one point": panel(Line("one", (3.0,), (2.0,), (2.0,), (2.0,)), log_x=True),
    "map": MAP,
    "map of nothing": HeatMap("map", (), (), ()),
    "map of gaps": replace(MAP, values=((NAN,) * 3, (INF,) * 3)),
    "slopes": SLOPES,
    "no slope": Slopes("slopes", ("before", "after"), (), (), ()),
}


def lines_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def artists(one: Figure) -> matplotlib_figure.Figure:
    """The figure as matplotlib has it."""
    return drawing._canvas(one)


# Files


@pytest.mark.parametrize("one", KINDS.values(), ids=KINDS)
def test_every_panel_is_drawn_in_every_format_the_same_each_time(one, tmp_path):
    first = write([figure(one)], tmp_path / "first")
    assert [path.name for path in first] == [f"toy.{kind}" for kind in (*FORMATS, "csv", "txt")]
    assert all(path.read_bytes().startswith(MAGIC.get(path.suffix[1:], b"")) for path in first)
    for again in write([figure(one)], tmp_path / "again", ("svg",)):  # others are drawn again in the next tests
        assert again.read_bytes() == (tmp_path / "first" / again.name).read_bytes(), again.name


def test_no_bit_depends_on_what_else_is_drawn_or_on_the_users_settings(tmp_path):
    alone = {kind: write([figure()], tmp_path / kind, (kind,))[0].read_bytes() for kind in FORMATS}
    before = dict(rcParams)
    rcParams.update({"lines.linewidth": 9, "font.size": 20, "svg.hashsalt": "theirs"})
    try:
        theirs = dict(rcParams)
        made = write([figure(MAP, name="else"), figure()], tmp_path / "both", FORMATS[::-1])
        assert dict(rcParams) == theirs
    finally:
        rcParams.update(before)
    assert {path.suffix[1:]: path.read_bytes() for path in made[5:8]} == alone


def test_other_processes_draw_the_same_without_pyplot(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; from test_figures import figure, write\n"
        f"write([figure()], Path({str(tmp_path / 'theirs')!r})); assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, capture_output=True)
    for path in write([figure()], tmp_path / "mine"):
        assert (tmp_path / "theirs" / path.name).read_bytes() == path.read_bytes()


def test_no_file_has_a_date(tmp_path):
    svg, pdf, png, *_ = (path.read_bytes() for path in write([figure()], tmp_path))
    assert b"<dc:date>" not in svg
    assert b"/CreationDate" not in pdf
    assert b"tIME" not in png


def test_a_figure_is_more_than_its_frame(tmp_path):
    """Each number of a panel moves the picture."""
    base = write([figure(panel(line()))], tmp_path, ("svg",))[0].read_bytes()
    others = [panel(line(y=(0.1, 0.3, 0.25))), panel(line("theirs")), panel(line(low=(0.0, 0.1, 0.1))), MAP, SLOPES]
    made = [write([figure(one)], tmp_path, ("svg",))[0].read_bytes() for one in others]
    assert len({base, *made}) == len(others) + 1


def test_names_make_files_that_stay_in_the_folder_and_are_apart(tmp_path):
    odd = ("../../up", "/root", ".", "..", "A", "a", "con.svg", "--help", "x" * 300)
    made = [figure(name=name) for name in (*HOSTILE, *odd)]
    files = [one.file for one in made]
    assert len({name.lower() for name in files}) == len(files)
    for name in files:
        assert re.fullmatch(r"[a-z0-9@=_-]{1,80}", name)
    assert figure(name="policy-path-toy@1").file == "policy-path-toy@1"
    for path in write(made[:1], tmp_path / "there", ("svg",)):
        assert path.parent == tmp_path / "there"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RmsuiteError, match=r"figures in .*file: expected a writable folder, got .* Do: give another"):
        write([figure()], tmp_path / "file", ("svg",))
    (tmp_path / "toy.svg").mkdir()
    with pytest.raises(RmsuiteError, match="expected a writable folder"):
        write([figure()], tmp_path, ("svg",))


# Text


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_drawn_as_they_are(name, tmp_path):
    marked = panel(line(name, quantity=name), line("b"), title=name, x_label=name, y_label=name, notes=(name,))
    maps = HeatMap(name, (name,), (name,), ((1.0,),), name), Slopes(name, (name, name), (name,), (1,), (1,))
    one = figure(marked, *maps, name="odd", caption=(name, *ODD_NOTES), signature=name)
    svg, table, text = write([one], tmp_path, ("svg",))
    ElementTree.parse(svg)
    shown = drawing.readable(name)
    assert len(shown.replace(r"\$", "$")) <= drawing.LONGEST
    assert "\n" not in shown
    canvas = artists(one)
    assert canvas.axes[0].get_title() == shown
    assert canvas.legends[0].get_texts()[0].get_text() == shown
    first = lines_of(table.read_bytes())[0]["line"]
    assert unguarded(first).replace("?", "") == name.encode("utf-8", "replace").decode().replace("?", "")
    assert text.read_text().splitlines()[-1].startswith("Signature: ")
    assert text.read_text().count("\nSignature: ") == 1


def test_characters_that_the_font_lacks_are_replaced_and_long_text_keeps_both_ends():
    assert drawing.readable("日本 é→") == f"{UNPRINTABLE * 2} é→"
    assert drawing.readable("two\n lines") == "two lines"
    long = "".join(f"[{i}]" for i in range(100))
    assert drawing.readable(long).startswith("[0][1]")
    assert drawing.readable(long).endswith("[98][99]")
    assert drawing.readable(long).count("…") == 1


@pytest.mark.parametrize("name", ["$a_1$", r"\$a$", r"\\$a$\$", "$", "$$", "a$b", r"$\frac{$"])
def test_no_text_of_a_figure_is_read_as_mathematics(name):
    one = figure(panel(line(name), title=name, log_x=True), HeatMap(name, (name,), (name,), ((1.0,),)))
    with drawing.style.context(["default", drawing.SETTINGS]):
        texts = [text.get_text() for text in artists(one).findobj(Text)]
    assert not any(map(cbook.is_math_text, texts))
    assert sum(text.replace(r"\$", "$") == name for text in texts) >= 5  # as matplotlib draws what is no mathematics


# What is seen


def looks(one: Figure) -> dict[str, set[tuple[str, str]]]:
    """The colours and markers that lines have in the axes, by their place."""
    found: dict[str, set[tuple[str, str]]] = {}
    for axes in artists(one).axes:
        for place, drawn in enumerate(axes.lines):
            found.setdefault(str(place), set()).add((drawn.get_color(), drawn.get_marker()))
    return found


def test_each_label_has_a_colour_and_a_marker_of_its_own_in_all_panels():
    many = [line(f"method {i}") for i in range(40)]
    found = looks(figure(panel(*many), panel(*many)))
    assert all(len(pairs) == 1 for pairs in found.values())
    assert len({pair for pairs in found.values() for pair in pairs}) == 40
    assert len({marker for pairs in looks(figure(panel(*many[:8]))).values() for _, marker in pairs}) == 8


def test_colours_next_to_one_another_differ_in_lightness_or_the_markers_do():
    assert len(set(drawing.MARKERS)) == len(drawing.MARKERS)
    assert math.gcd(len(drawing.MARKERS), len(drawing.COLOURS)) == 1


def test_quantities_differ_by_dash_and_are_in_the_legend():
    canvas = artists(figure(panel(line(quantity="gold"), line(quantity="proxy"))))
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == ["mine", "gold", "proxy"]
    assert [drawn.get_linestyle() for drawn in canvas.axes[0].lines] == ["-", "--"]
    assert len({drawn.get_color() for drawn in canvas.axes[0].lines}) == 1


def test_panels_with_one_label_share_their_limits_and_others_do_not():
    low, high = panel(line()), panel(line(x=(10.0, 20.0, 40.0), y=(5.0, 6.0, 7.0), low=(), high=()))
    first, second, third = artists(figure(low, high, replace(high, y_label="z"))).axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim() != third.get_ylim()


@pytest.mark.parametrize("intervals", ["band", "bars", "dodged"])
def test_intervals_are_within_the_axes(intervals):
    wide = line(low=(-7.0, 0.2, 0.1), high=(0.2, 0.4, 9.0))
    (axes,) = artists(figure(panel(wide, wide, intervals=intervals))).axes
    low, high = axes.get_ylim()
    assert low < -7
    assert high > 9


def test_what_is_not_finite_or_not_on_a_logarithm_is_left_out_of_the_drawing_only():
    gap = line(x=(0.0, 2.0, 4.0), y=(0.1, NAN, 0.2))
    (axes,) = artists(figure(panel(gap, log_x=True))).axes
    assert axes.lines[0].get_xdata() == [4.0]
    assert [(one["x"], one["y"]) for one in lines_of(numbers(figure(panel(gap, log_x=True))))] == [
        ("0.0", "0.1"),
        ("2.0", ""),
        ("4.0", "0.2"),
    ]


@pytest.mark.parametrize("x", [(1.0, 1.1), (10.0, 40.0), (0.003, 0.2), (1.0, 1e4), (1e-8, 1e12), (5.0, 5.0)])
def test_a_logarithmic_axis_has_a_few_ticks_in_plain_digits(x):
    (axes,) = artists(figure(panel(Line("one", x, (0.0, 1.0)), log_x=True))).axes
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert 1 <= len(shown) <= 10
    assert len(shown) >= 2 or x[0] == x[1]
    labels = [axes.xaxis.get_major_formatter()(tick) for tick in shown]
    assert len(set(labels)) == len(labels)
    assert not any("$" in text for text in labels)


def test_lines_with_many_points_have_some_markers_always_one_at_the_end():
    for n in (1, 2, 9, 10, 11, 20, 21, 500):
        found = drawing._marked(n)
        assert found[-1] == n - 1
        assert found[0] >= 0
        assert len(found) <= drawing.MOST_MARKERS


# Numbers and words


def test_the_csv_has_every_number_in_full_precision_and_the_signature():
    one = figure(panel(line(y=(1 / 3, 0.3, NAN), quantity="gold")), MAP, SLOPES)
    found = lines_of(numbers(one))
    assert {row["signature"] for row in found} == {one.signature}
    assert float(found[0]["y"]) == 1 / 3
    assert (found[0]["line"], found[0]["quantity"], found[2]["y"]) == ("mine", "gold", "")
    maps = {(row["line"], row["x"]): row["y"] for row in found if row["panel"] == "map"}
    assert maps["a", "c"] == "0.1"
    assert maps["a", "e"] == ""
    assert {(row["line"], row["x"], row["y"]) for row in found if row["panel"] == "slopes"} == {
        *(("a", "before", "1"), ("b", "before", "2"), ("a", "after", "2"), ("b", "after", "1"))
    }
    assert lines_of(numbers(figure(panel(lines=())))) == []


def test_the_caption_keeps_notes_and_ends_with_the_signature():
    said = caption(figure(panel(notes=("one is missing",)))).decode().splitlines()
    assert said == ["- What it shows.", "- panel: one is missing", "Signature: rmsuite:2|task:toy@1"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: line(y=(1.0,)),
        lambda: line(low=(1.0,)),
        lambda: line(low=()),
        lambda: replace(MAP, rows=("a",)),
        lambda: replace(MAP, columns=("a",)),
        lambda: replace(SLOPES, left=(1,)),
    ],
)
def test_records_whose_parts_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match=r"unequal length|not a value for each|not two ranks"):
        make()


# Policies


@pytest.fixture(scope="module")
def policies():
    found = paths(cells("climb", "climb[k=2]"))
    return found, {one.name.split("-")[1]: one for one in policy_figures([found])}


def test_a_task_has_a_path_by_samples_and_frontiers_with_intervals_and_signature(policies):
    found, figures = policies
    assert set(figures) == {"path", "samples", "frontier"}
    for one in figures.values():
        said = caption(one).decode()
        assert "95% intervals: cluster bootstrap" in said
        assert "draws of 30 test prompts" in said
        assert "2 policies each" in said
        assert said.splitlines()[-1] == f"Signature: {found.signature}"


def test_the_path_is_gold_with_an_interval_and_proxy_against_the_root_of_kl(policies):
    found, figures = policies
    panels = {one.title: one for one in figures["path"].panels}
    assert set(panels) == {"mine, climb", "mine, optimum", "mine, best-of-n"}
    path = next(one for one in found.paths if (one.optimizer, one.beta) == ("climb[k=2]", 0.1))
    gold, proxy = (one for one in panels["mine, climb"].lines if one.label == "k=2, beta 0.1")
    assert (gold.quantity, proxy.quantity) == ("gold", "proxy")
    assert gold.x == proxy.x == tuple(math.sqrt(point.kl) for point in path.points)
    assert gold.y == tuple(point.gold.value for point in path.points)
    assert (gold.low[-1], gold.high[-1]) == (path.end.gold.low, path.end.gold.high)
    assert proxy.y == tuple(point.proxy for point in path.points)
    labels = list(dict.fromkeys(one.label for one in panels["mine, climb"].lines))
    assert sorted(labels, key=lambda text: float(text.split()[-1])) == labels


def test_what_beta_does_not_move_is_drawn_once():
    same = [replace(one, arrays=cells("climb")[-1].arrays) for one in cells("climb")]
    (one, *_) = policy_figures([paths(same)])
    (best,) = (one for one in one.panels if one.title.endswith("best-of-n"))
    labels = [drawn.label for drawn in best.lines]
    assert sorted(labels) == 2 * ["n=16, any beta"] + 2 * ["n=4, any beta"]  # gold and proxy


def test_by_samples_closed_forms_are_levels_and_a_panel_has_all_optimizers(policies):
    _, figures = policies
    assert [one.title for one in figures["samples"].panels] == ["mine, beta 0", "mine, beta 0.1", "mine, beta 1"]
    for one in figures["samples"].panels:
        assert one.log_x
        kinds = {drawn.label: drawn.kind for drawn in one.lines}
        assert kinds == {
            **dict.fromkeys(("climb", "climb[k=2]"), "line"),
            **dict.fromkeys(("optimum", "best-of-n[n=4]", "best-of-n[n=16]"), "level"),
        }
    climb = next(drawn for drawn in figures["samples"].panels[0].lines if drawn.label == "climb")
    assert climb.x == tuple(8.0 * step for step in STEPS)


def test_the_frontier_has_a_line_an_optimizer_name(policies):
    _, figures = policies
    (one,) = figures["frontier"].panels
    assert {drawn.label: len(drawn.x) for drawn in one.lines} == {"climb": 6, "optimum": 3, "best-of-n": 6}
    for drawn in one.lines:
        assert list(drawn.x) == sorted(drawn.x)
        assert len(drawn.low) == len(drawn.high) == len(drawn.y)


def test_the_csv_of_a_path_has_each_point_of_each_row(policies):
    found, figures = policies
    rows = lines_of(numbers(figures["path"]))
    assert len(rows) == sum(len(path.points) for path in found.paths)
    assert numbers(figures["samples"]) == numbers(figures["path"])
    path = next(one for one in found.paths if (one.optimizer, one.beta) == ("climb", 1.0))
    own = [row for row in rows if (row["optimizer"], row["beta"]) == ("climb", "1.0")]
    for row, point in zip(own, path.points, strict=True):
        assert (int(row["step"]), float(row["samples"]), float(row["kl"])) == (point.step, point.samples, point.kl)
        gold = point.gold
        assert tuple(float(row[name]) for name in ("gold_gain", "low", "high")) == (gold.value, gold.low, gold.high)
        assert (float(row["proxy_gain"]), row["signature"]) == (point.proxy, found.signature)
    assert len(lines_of(numbers(figures["frontier"]))) == len(found.paths)


def test_policies_without_numbers_make_figures_that_say_so(tmp_path):
    records = [replace(one, status="failed", phase="fit", error="boom $x$", arrays={}) for one in cells("climb")]
    for one in policy_figures([paths(records)]):
        assert "No row has a number." in caption(one).decode()
        assert "Note: mine, climb, beta 0: 2 of 2 cells failed: fit: boom $x$." in caption(one).decode()
        assert len(write([one], tmp_path, ("svg",))) == 3


# Curves


def test_curves_have_the_points_of_the_table_and_gaps_are_told():
    records, of = curve_cells("mine", "broken"), sweep("mine", "broken")
    place = next(i for i, one in enumerate(records) if one.method == "broken[labels=200]")
    records[place] = replace(records[place], status="failed", phase="fit", error="boom", arrays={})
    found = table(records, of)
    (one,) = curve_figures([found])
    (drawn,) = one.panels
    assert (drawn.log_x, drawn.ticks, drawn.y_label) == (True, VALUES, "pair-accuracy % ↑")
    lines = {each.label: each for each in drawn.lines}
    for curve in found.curves:
        values = [NAN if point is None else 100 * point.value for point in curve.points]
        np.testing.assert_array_equal(lines[curve.method].y, values)
        assert lines[curve.method].x == VALUES
    said = caption(one).decode()
    assert "Note: broken: labels=200: failed in 1 of 2 repetitions: fit: boom; no area." in said
    assert "draws of 60 test prompts" in said
    assert said.splitlines()[-1] == f"Signature: {found.signature}"


def test_figures_of_several_metrics_have_files_of_their_own():
    found = [table(curve_cells("mine"), sweep("mine"), name) for name in ("pair-accuracy", "worst-category")]
    assert len({one.file for one in curve_figures(found)}) == 2


# The commands

OPTIMIZER = """

from rmsuite.policies import Optimum, ReMax


@rmsuite.hookimpl
def rmsuite_optimizers():
    made = {"climb": ReMax, "optimum": Optimum}
    return [rmsuite.PolicyOptimizer(name=name, make=make) for name, make in made.items()]
"""
POLICY = ("-m", "good", "--optimizer", "climb", "--optimizer", "optimum", "-t", "toy-gold", "-r", "1", "--steps", "8")
COMMANDS = {
    "policy": (*POLICY, "--policies", "1", "-j", "1", "--beta", "0.1", "--beta", "1"),
    "curve": ("-m", "good", "--over", "sign=1,2", "-t", "toy-gold", "-r", "1", "-j", "1"),
}


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    return set_up(tmp_path, source("good", root=toy_root) + OPTIMIZER, capfd, monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_prints_the_same_and_says_which_files_it_wrote(toys, command):
    plain = toys(command, *COMMANDS[command])
    answer = toys(command, *COMMANDS[command], "--figures", "drawn/here")
    assert (answer.code, answer.out) == (0, plain.out)
    named = re.findall(r"^Figure: (.*)$", answer.err, re.MULTILINE)
    assert sorted(named) == sorted(map(str, Path("drawn/here").iterdir()))
    assert len(named) == len(set(named)) >= 2 * (len(FORMATS) + 2)
    signatures = [path.read_text().splitlines()[-1] for path in Path("drawn/here").glob("*.txt")]
    assert all(line.startswith("Signature: rmsuite:2|task:toy-gold@1|") for line in signatures)


def test_the_end_of_the_path_in_the_csv_is_the_row_of_the_printed_table(toys, monkeypatch):
    monkeypatch.setattr(drawing, "drawn", lambda figure, kind: b"")  # it is the numbers that count here
    answer = toys("policy", *COMMANDS["policy"], "--format", "csv", "--figures", "drawn")
    printed = {(row["optimizer"], row["beta"]): row for row in lines_of(answer.out.encode())}
    ends = {
        (row["optimizer"], row["beta"]): row for row in lines_of(Path("drawn/policy-path-toy-gold@1.csv").read_bytes())
    }
    assert set(ends) == set(printed)
    for key, row in printed.items():
        assert all(ends[key][name] == row[name] for name in ("gold_gain", "low", "high", "kl", "proxy_gain"))


@pytest.mark.parametrize("command", COMMANDS)
def test_without_matplotlib_the_command_is_refused_before_anything_is_run(toys, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    answer = toys(command, *COMMANDS[command], "--figures", "drawn")
    assert (answer.code, answer.out) == (2, "")
    assert "figures: expected the package matplotlib, got " in answer.err
    assert answer.err.endswith("Do: pip install 'rmsuite[figures]'.\n")
    assert not Path("rmsuite-results").exists()
    assert not Path("drawn").exists()
    assert toys(command, *COMMANDS[command]).code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_run(toys, command):
    answer = toys(command, *COMMANDS[command], "--figures", "toys.py")
    assert (answer.code, answer.out) == (2, "")
    assert "figures in toys.py: expected a writable folder" in answer.err
    assert not Path("rmsuite-results").exists()


def test_without_the_option_matplotlib_is_not_imported():
    code = (
        "import sys\nfrom rmsuite.commands import command\ncommand('policy'), command('curve')\n"
        "import rmsuite.render.policy_figures, rmsuite.render.curve_figures\n"
        "assert not any(name.startswith('matplotlib') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
