"""What the READMEs say is what the code does. Whoever reads them first relies on it."""

from __future__ import annotations

import re

import generated
import pytest

from rmsuite import results
from rmsuite.reports.records import Table
from rmsuite.reports.tables import report

BASELINES = ("mean-difference", "bt-linear", "bt-mlp")
README = (generated.ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", generated.PAGES)
def test_generated_parts_are_fresh(page):
    text = (generated.ROOT / page).read_text(encoding="utf-8")
    assert generated.fresh(page) == text, "stale: run `python tests/generated.py`"


def test_every_page_has_a_generated_part_and_every_part_is_used():
    used = {
        match[2] for page in generated.PAGES for match in generated.BLOCK.finditer((generated.ROOT / page).read_text())
    }
    assert used == set(generated.GENERATORS)


def test_the_files_that_the_readme_names_exist():
    paths = re.findall(r"`((?:rmsuite|tasks|baselines|plugins|tests|\.ci)/[\w./-]+)`", README)
    assert len(paths) > 10
    missing = [path for path in paths if not (generated.ROOT / path).exists()]
    assert not missing


def test_ci_calls_the_readmes_test_command():
    command = re.search(r"## Develop.*?```\w*\n(.*?)```", README, re.DOTALL)[1].strip()
    assert "pytest" in command
    assert command in (generated.ROOT / ".ci" / "run").read_text()


def test_the_tutorial_is_the_example_plugins_code():
    code = (generated.ROOT / "plugins" / "rmsuite-example" / "rmsuite_example.py").read_text()
    shown = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert shown.replace('"mine"', '"example"') == code


def stored_table(task: str) -> Table:
    cells = [cell for cell in results.read_all(generated.STORED) if cell.task.startswith(f"{task}@")]
    return report(cells).tables[0]


def test_what_the_readme_says_of_length_on_alpaca_eval_is_so():
    table = stored_table("alpaca-eval")
    rows = {row.method: row for row in table.rows}
    assert table.best_control == "length"
    assert all(rows[method].gains["pair-accuracy"].estimate.value < 0 for method in BASELINES)
    assert all(rows[method].gains["best-of-16"].estimate.low > 0 for method in ("bt-linear", "bt-mlp"))
    assert all(rows[method].estimates["best-of-16"].low > 0 for method in BASELINES)
    assert all(rows[method].estimates["best-of-16"].high < 1 for method in BASELINES)


def test_what_the_readme_says_of_hh_rlhf_is_so():
    table = stored_table("hh-rlhf")
    rows = {row.method: row for row in table.rows}
    assert table.best_control == "length"
    assert all(
        rows[method].gains["pair-accuracy"].estimate.low < 0 < rows[method].gains["pair-accuracy"].estimate.high
        for method in BASELINES
    )
