"""A table that was published is read back to the digit. Whoever reproduces a paper's table relies on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from fake_reports import fake_report, one_row

from rmsuite import signature
from rmsuite.errors import ResultsError
from rmsuite.render import STYLES, latex, render
from rmsuite.render.cells import number, plain
from rmsuite.render.published import PublishedCell, PublishedTable, read_published
from rmsuite.reports.records import Report, Row, Table

SEEDS = range(20)
FULL = ("csv", "json")
MARKDOWN_PROSE = """Some prose | with a pipe, <table> and `Signature: code`.

| method | theirs % ↑ |
|--------|------------|
| foreign | 1.0 [0.0, 2.0] |

A heading
---------
"""
PAPER_PROSE = r"""\begin{tabular}{ll}
\toprule
method & theirs \% $\uparrow$ \\
\midrule
foreign & 1.0 [0.0, 2.0] \\
\bottomrule
\end{tabular}
"""
PAGE_PROSE = "<table class=x><tr><th>a ↑<th>b</tr><tr><td>1<td>2</tr></table><p>Some <code>rmsuite</code>.</p>"
PROSE = {"text": MARKDOWN_PROSE, "markdown": MARKDOWN_PROSE, "latex": PAPER_PROSE, "html": PAGE_PROSE}
every_style = pytest.mark.parametrize("style", STYLES)
every_seed = pytest.mark.parametrize("seed", SEEDS)


def name(row: Row, style: str) -> str:
    if style in FULL:
        return row.method.encode("utf-8", "replace").decode() if style == "csv" else row.method
    shown = plain(row.method)
    return latex.unescaped(latex.escaped(shown)).strip() if style == "latex" else shown


def cell(row: Row, table: Table, metric: str, style: str) -> PublishedCell | None:
    estimate = row.estimates.get(metric)
    if estimate is None:
        return None
    letters = row.standings[metric].letters if metric in row.standings else ""
    numbers = (estimate.value, estimate.low, estimate.high)
    column = next(column for column in table.columns if column.name == metric)
    return PublishedCell(*(numbers if style in FULL else (number(x, column) for x in numbers)), letters)


def assert_same(found: list[PublishedTable], report: Report, style: str) -> None:
    assert [(t.task, t.signature, t.style) for t in found] == [(t.task, t.signature, style) for t in report.tables]
    for published, table in zip(found, report.tables, strict=True):
        for back, row in zip(published.rows, table.rows, strict=True):
            assert (back.method, back.kind) == (name(row, style), row.kind)
            assert back.cells == {c.name: cell(row, table, c.name, style) for c in table.columns}


@every_style
@every_seed
@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
def test_what_is_printed_is_read_back(style, seed, odd):
    """Odd notes hold forged signatures too: they are not believed."""
    report = fake_report(seed, odd=odd)
    assert_same(read_published(render(report, style)), report, style)


@pytest.mark.parametrize("style", PROSE)
@every_seed
def test_prose_and_tables_of_others_around_it_change_nothing(style, seed):
    report = fake_report(seed, odd=bool(seed % 2))
    text = f"{PROSE[style]}\n\n{render(report, style)}\n\n{PROSE[style]}"
    assert_same(read_published(text), report, style)


@every_style
def test_line_ends_and_marks_of_other_systems_change_nothing(style):
    report = fake_report(2)
    text = "\ufeff" + render(report, style).replace("\n", "\r\n") + "\r\n"
    assert_same(read_published(text), report, style)


def test_the_text_form_is_found_in_a_quoted_or_fenced_block():
    report = fake_report(3)
    text = render(report)
    assert_same(read_published(f"Look:\n\n```\n{text}\n```\n"), report, "text")
    assert_same(read_published("Look:\n\n" + re.sub("(?m)^(?=.)", "    ", text)), report, "text")


@pytest.mark.parametrize("style", ["text", "markdown", "latex"])
def test_two_outputs_in_one_file_are_both_found(style):
    first, second = fake_report(1), fake_report(4)
    found = read_published(f"{render(first, style)}\n\nAnd:\n\n{render(second, style)}")
    assert_same(found, Report((*first.tables, *second.tables)), style)


@every_seed
def test_a_paper_without_its_comments_still_tells_the_signature(seed):
    report = fake_report(seed, odd=bool(seed % 2))
    text = re.sub("(?m)^%.*\n", "", render(report, "latex"))
    text = text.replace(r"\begin{table}", r"\begin{table*}[t]").replace(r"\end{table}", r"\end{table*}")
    assert_same(read_published(PAPER_PROSE + text + PAPER_PROSE), report, "latex")


def test_a_paper_whose_notes_were_cut_still_tells_the_signature_in_a_comment():
    report = fake_report(2)
    text = re.sub(r"Signature: \\texttt.*", "", render(report, "latex"))
    assert_same(read_published(text), report, "latex")


@pytest.mark.parametrize("style", ["text", "markdown", "html", "latex"])
def test_a_row_of_another_hand_is_left_out_and_letters_may_be_removed(style):
    row = Row("other", "method", "here", one_row().tables[0].rows[0].estimates)
    (table,) = one_row().tables
    text = render(Report((replace(table, rows=(*table.rows, row)),)), style)
    cell = "82.4 [81.1, 83.6]"
    before, _, after = text.rpartition(cell)
    (found,) = read_published(before + "90".ljust(len(cell)) + after)
    assert [(r.method, str(r.cells["pair-accuracy"])) for r in found.rows] == [("mine", cell)]


def test_a_cell_prints_as_it_was_published():
    (table,) = read_published(render(one_row()))
    assert str(table.rows[0].cells["pair-accuracy"]) == "82.4 [81.1, 83.6]"
    (table,) = read_published(render(one_row(), "csv"))
    assert str(table.rows[0].cells["pair-accuracy"]) == "0.8241 [0.8108, 0.8361]"


def unsigned(style: str) -> str:
    text = render(one_row(), style).replace("Signature: ", "").replace("<code>", "<i>").replace("</code>", "</i>")
    return text if style in ("text", "markdown", "html", "latex") else ""


WRONG = {
    "nothing": "",
    "prose": "A table was here.",
    "a signature alone": "Signature: rmsuite:2|task:toy@1",
    "a table of others": MARKDOWN_PROSE,
    "a paper of others": PAPER_PROSE,
    **{f"{style} without signature": unsigned(style) for style in ("text", "markdown", "html", "latex")},
    "half a JSON document": render(one_row(), "json")[:-20],
    "JSON of others": json.dumps({"a": 1}),
    "JSON with other rows": json.dumps({"tables": [1]}),
    "CSV with a word for a number": render(one_row(), "csv").replace("0.8241", "much"),
    "CSV without its columns": "task,method,kind,metric\n1,2,3,4\n",
    "CSV of no rows": render(one_row(), "csv").splitlines()[0],
    "a signature that is none": render(one_row()).replace("|seed:0", "|seed"),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_holds_no_table_is_an_error_that_says_what_to_give(text):
    with pytest.raises(ResultsError) as caught:
        read_published(text)
    assert all((caught.value.who, caught.value.expected, caught.value.got, caught.value.do))


@pytest.mark.parametrize(
    "text", ["<![x[ <table", "<table><tr><td>", r"\toprule \bottomrule", "| method | a ↑ |\n|--|--|", "--  --"]
)
def test_odd_prose_is_no_table_and_no_crash(text):
    with pytest.raises(ResultsError):
        read_published(text)
    report = one_row()
    assert_same(read_published(f"{text}\n\n{render(report, 'markdown')}"), report, "markdown")


@pytest.mark.parametrize(("part", "value"), [("seed", "x"), ("seed", ""), ("repetitions", "a"), ("repetitions", "0,")])
def test_a_table_whose_signature_was_spoilt_says_what_it_needs(part, value):
    table = read_published(render(fake_report(0), "csv"))[0]
    parts = {**signature.read(table.signature), part: value}
    spoilt = replace(table, signature=signature.write(parts))
    with pytest.raises(ResultsError, match=f"part '{part}'"):
        getattr(spoilt, part)
