"""Every format prints the same numbers and the same warnings. Whoever copies a table into a paper relies on it."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from fake_reports import ODD_NAMES, fake_report, one_row
from markdown_it import MarkdownIt

import rmsuite
from rmsuite.render import STYLES, latex, render
from rmsuite.render.cells import Cell, grid, number, overall_grid
from rmsuite.render.comma_separated import guarded, unguarded
from rmsuite.render.footer import BOLD, footer, overall_footer
from rmsuite.render.text import width
from rmsuite.reports.records import Report, Standing
from rmsuite.statistics import Difference, Variance

SCHEMA = json.loads((Path(rmsuite.__file__).parent / "render" / "table.schema.json").read_text(encoding="utf-8"))
SEEDS = range(12)
PRINTED = ("text", "markdown", "latex", "html")
every_style = pytest.mark.parametrize("style", STYLES)
printed_style = pytest.mark.parametrize("style", PRINTED)
every_seed = pytest.mark.parametrize("seed", SEEDS)
usual_or_odd = pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])


def cells(report: Report) -> list[Cell]:
    grids = [grid(table) for table in report.tables] + ([overall_grid(report.overall)] if report.overall else [])
    return [cell for one in grids for row in one.rows for cell in row[1:]]


def as_read(text: str, style: str) -> str:
    """What a reader sees of a printed format, on one line."""
    if style == "latex":
        text = latex.unescaped(re.sub(r"(?m)^%.*$", "", text).replace("$-$", "-").replace(r"\texttt", ""))
    seen = {"markdown": lambda t: re.sub(r"\\([\\`*_|~#$\]])", r"\1", html.unescape(t)), "html": html.unescape}
    return " ".join(seen.get(style, str)(text).split())


@pytest.mark.parametrize(
    ("value", "name", "sign", "expected"),
    [
        (0.8241, "pair-accuracy", False, "82.4"),
        (-0.0112, "pair-accuracy", True, "-1.1"),
        (0.0112, "pair-accuracy", True, "+1.1"),
        (-0.0001, "pair-accuracy", False, "0.0"),
        (0.5714, "spearman", False, "0.571"),
        (1.0, "pair-accuracy", False, "100.0"),
    ],
)
def test_percentages_have_one_decimal_and_others_three(value, name, sign, expected):
    assert number(value, rmsuite.metrics.metric(name), sign) == expected


@printed_style
@every_seed
def test_every_number_is_printed_as_its_cell_says(style, seed):
    report = fake_report(seed)
    text = render(report, style)
    seen = as_read(text, style)
    if style == "latex":
        seen = re.sub(r"(?<=\d)--(?=\d)", "-", seen)  # a dash between ranks
    counted = Counter(cell.text for cell in cells(report) if " [" in cell.text)
    assert counted
    for printed, times in counted.items():
        assert seen.count(printed) >= times
    assert all(cell.text in seen for cell in cells(report) if cell.text != "-")


@every_style
@every_seed
@usual_or_odd
def test_no_format_prints_what_is_no_number(style, seed, odd):
    assert not re.search(r"\bnan\b|\binf\b|NaN|Infinity", render(fake_report(seed, odd=odd), style))


@every_style
@every_seed
def test_a_gap_has_a_reason_in_every_format(style, seed):
    report = fake_report(seed)
    seen = as_read(render(report, style), style)
    gaps = 0
    for table in report.tables:
        for row in table.rows:
            absent = [column.name for column in table.columns if column.name not in row.estimates]
            gaps += len(absent)
            said = row.note or (f"{', '.join(absent)}: no value" if absent else "")
            assert said in seen
            if said and style in PRINTED:
                assert f"{row.method}: {said}" in seen
    assert gaps or seed


@every_style
def test_a_number_that_is_not_finite_is_a_gap_that_says_so(style):
    text = render(one_row(0.5, 0.1, float("inf")), style)
    assert "pair-accuracy is not finite" in as_read(text, style)
    assert not re.search(r"\binf\b|Infinity|50\.0 \[", text)
    broken = Variance(float("nan"), 0.0, 0.0, 0.0, float("nan"), None, None)
    assert "nan" not in render(one_row(spread=broken, fit_seconds=float("nan")), style).lower()
    if style == "json":
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))


@pytest.mark.parametrize(
    ("style", "bold"), [("markdown", r"\*\*(.+?)\*\*"), ("latex", r"\\textbf\{(.*?)\}"), ("html", "<strong>(.*?)<")]
)
@every_seed
def test_the_best_group_is_bold_and_nothing_else(style, bold, seed):
    report = fake_report(seed)
    text = render(report, style)
    found = [as_read(one, style) for one in re.findall(bold, text)]
    assert found == [cell.text for cell in cells(report) if cell.best]
    rows = [row for table in report.tables for row in table.rows]
    assert len(found) == sum(row.standings[name].best for row in rows for name in row.estimates if row.standings)
    assert (BOLD in text) == any(row.standings for table in report.tables for row in table.rows)
    assert BOLD not in render(report, "text")


def test_a_row_without_a_number_has_no_letters_and_is_not_bold():
    """Also where a standing was left in the record."""
    report = one_row(estimates={}, standings={"pair-accuracy": Standing("a", (1, 1), True)})
    assert next(cell.text for cell in cells(report)) == "-"
    assert not any(cell.best for cell in cells(report))


def test_columns_that_are_empty_in_all_rows_are_left_out_and_so_is_what_explains_them():
    (table,) = one_row().tables
    assert grid(table).headers == ("method", "pair-accuracy % ↑")
    assert not any(re.search(r"\bGain\b|\bsd\b|fit s|letter|parentheses", line) for line in footer(table))


def test_a_star_is_for_methods_above_the_control_whose_corrected_p_is_small():
    gain = one_row(0.1, 0.05, 0.2).tables[0].rows[0].estimates["pair-accuracy"]
    loss = replace(gain, value=-0.1, low=-0.2, high=-0.05)
    cases = {("method", gain, 0.01): "*", ("method", gain, 0.06): "", ("method", loss, 0.01): ""}
    cases[("control", gain, 0.01)] = ""
    for (kind, estimate, p), star in cases.items():
        report = one_row(kind=kind, gains={"pair-accuracy": Difference(estimate, 0.001, p)})
        (text,) = [cell.text for cell in cells(report) if cell.text.startswith(("+", "-"))]
        assert text.removesuffix("*") + star == text


def test_the_interval_sentence_is_that_of_the_estimates():
    (table,) = one_row().tables
    row = table.rows[0]
    other = replace(row.estimates["pair-accuracy"], level=0.975, method="some method", n_draws=77, n_clusters=12)
    other = replace(other, population="another population", n_repetitions=5)
    lines = footer(replace(table, rows=(replace(row, estimates={"pair-accuracy": other}),)))
    (line,) = [line for line in lines if "intervals" in line]
    assert line.startswith("97.5% intervals: some method, 77 draws of 12 test prompts")
    assert "another population (5)" in line


@pytest.mark.parametrize(("n_clusters", "warned"), [(9, True), (10, False)])
def test_few_prompts_are_warned_of(n_clusters, warned):
    (table,) = one_row().tables
    few = replace(table.rows[0].estimates["pair-accuracy"], n_clusters=n_clusters)
    table = replace(table, rows=(replace(table.rows[0], estimates={"pair-accuracy": few}),))
    for style in (*PRINTED, "json"):
        assert ("test prompt(s); below 10" in render(Report((table,)), style)) == warned


def test_uncertainty_is_split_for_the_best_method_and_says_what_would_halve_it():
    (table,) = one_row(spread=Variance(3.0, 1.0, 0.0, 3.0, 0.01, 160, None)).tables
    worse = one_row(0.5, 0.4, 0.6, method="worse", spread=Variance(0.0, 1.0, 0.0, 1.0, 0.01, 1, 1)).tables[0].rows[0]
    empty = replace(worse, method="empty", estimates={})
    lines = "\n".join(footer(replace(table, rows=(worse, *table.rows, empty))))
    assert "Uncertainty of mine, repetitions included, shares of its variance: test prompts 75%, " in lines
    assert "repetitions 25% (of 3: at most 50%), both together 0%." in lines
    assert "takes 160 prompts (now 40); more repetitions alone cannot halve it." in lines


@every_style
@every_seed
@usual_or_odd
def test_every_signature_is_printed_whole(style, seed, odd):
    report = fake_report(seed, odd=odd)
    text = render(report, style)
    seen = text if style in ("csv", "json") else as_read(text, style)
    for table in report.tables:
        assert table.signature in seen
        if style in ("csv", "json"):
            assert all(line in text for line in table.signatures.values())
    assert report.overall is None or report.overall.signature in seen
    if style in ("text", "markdown"):
        assert text.splitlines()[-1].lstrip("- ").startswith("Signature: ")


@printed_style
def test_overall_tables_say_what_each_rule_computes_and_what_to_beware_of(style):
    report = next(found for seed in SEEDS if (found := fake_report(seed)).overall)
    seen = as_read(render(report, style), style)
    for line in overall_footer(report.overall)[:-1]:
        assert line in seen
    assert "macro-gain@1 ↑" in seen
    assert "mean-rank@1 ↓" in seen
    assert "Warning: the best method depends on the rule." in seen


def test_the_text_form_lines_up_by_the_width_of_letters():
    lines = render(fake_report(3, odd=True)).splitlines()
    rule = next(line for line in lines if re.fullmatch("-+(  -+)+", line))
    start = len(rule.split("  ")[0]) + 2
    rows = lines[lines.index(rule) + 1 : lines.index("")]
    assert len(rows) >= len(ODD_NAMES)
    for row in rows:
        before = next(cut for cut in range(len(row)) if width(row[:cut]) == start)
        assert row[before - 2 : before] == "  "
        assert row[before] != " "
    assert not any("\x1b" in line or "\x00" in line for line in lines)


@every_seed
@usual_or_odd
def test_the_json_document_keeps_to_its_published_schema(seed, odd):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = fake_report(seed, odd=odd)
    text = render(report, "json")
    text.encode("utf-8")
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert [row["method"] for row in document["tables"][0]["rows"]] == [row.method for row in report.tables[0].rows]
    for row in (row for table in document["tables"] for row in table["rows"]):
        assert row["note"] or None not in row["estimates"].values()
    document["tables"][0]["rows"][0].pop("note")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


@every_seed
@usual_or_odd
def test_csv_has_one_line_a_number_each_with_its_own_signature(seed, odd):
    report = fake_report(seed, odd=odd)
    text = render(report, "csv")
    text.encode("utf-8")
    lines = [line for line in csv.DictReader(io.StringIO(text, newline="")) if line["task"] != "overall"]
    numbers = [(table, row, column) for table in report.tables for row in table.rows for column in table.columns]
    for line, (table, row, column) in zip(lines, numbers, strict=True):
        found = row.estimates.get(column.name)
        assert (line["task"], line["metric"]) == (table.task, column.name)
        assert line["value"] == ("" if found is None else repr(found.value))
        assert line["signature"] == table.signatures[column.name]
        assert found is not None or line["note"]


def test_a_spreadsheet_runs_no_cell_as_a_formula():
    for seed in SEEDS:
        for line in csv.reader(io.StringIO(render(fake_report(seed, odd=True), "csv"), newline="")):
            assert not any(cell[:1] in ("=", "@", "+", "\t") for cell in line)
            assert not any(cell.startswith("-") and not re.fullmatch(r"-[\d.e-]+", cell) for cell in line)
    for name in (*ODD_NAMES, "'quoted", "'=x", "''", "\n=1"):
        assert unguarded(guarded(name)) == name


@every_seed
@usual_or_odd
def test_markdown_renders_to_tables_with_every_row_and_no_link(seed, odd):
    report = fake_report(seed, odd=odd)
    text = render(report, "markdown")
    assert not re.search(r"(?<!\\)(\\\\)*\$", text)  # formulas, where a page knows them
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert not {"link_open", "image", "html_inline", "em_open"} & {child.type for child in inline}
    assert not any(token.type == "html_block" for token in tokens)
    shown = [grid(table) for table in report.tables] + ([overall_grid(report.overall)] if report.overall else [])
    kinds = Counter(token.type for token in tokens)
    assert kinds["table_open"] == len(shown)
    assert kinds["tr_open"] == sum(len(one.rows) + 1 for one in shown)
    assert kinds["td_open"] == sum(len(row) for one in shown for row in one.rows)
    contents = [
        "".join(child.content for child in after.children)
        for before, after in itertools.pairwise(tokens)
        if before.type == "td_open"
    ]
    assert contents == [cell.text.strip() for one in shown for row in one.rows for cell in row]


class Page(HTMLParser):
    """Fails on an end tag that closes another tag than the last opened; keeps the text of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        assert not {"href", "src", "onload", "style"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1] += data


@every_seed
@usual_or_odd
def test_html_is_one_balanced_document_without_scripts_or_links(seed, odd):
    report = fake_report(seed, odd=odd)
    text = render(report, "html")
    text.encode("utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    assert text.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in text
    shown = [grid(table) for table in report.tables] + ([overall_grid(report.overall)] if report.overall else [])
    assert page.cells == [cell.text for one in shown for row in one.rows for cell in row]


def test_the_schema_is_part_of_the_package():
    """Whoever validates documents finds it beside the code, in the wheel too."""
    assert SCHEMA["$schema"].endswith("2020-12/schema")
    assert SCHEMA["properties"]["format"]["const"] == json.loads(render(fake_report(0), "json"))["format"]
    assert json.loads(render(fake_report(0), "json"))["rmsuite"] == rmsuite.__version__
