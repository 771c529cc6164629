"""The LaTeX form compiles in a stranger's paper, whatever names and notes hold. Authors rely on it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from fake_reports import ODD_NAMES, fake_report, one_row

from rmsuite.render import latex, render
from rmsuite.render.cells import plain
from rmsuite.reports.records import Report, Standing
from rmsuite.statistics import Difference

every_seed = pytest.mark.parametrize("seed", range(12))
usual_or_odd = pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])


def paper(report: Report, *packages: str) -> str:
    begin = [r"\documentclass{article}", *packages, *latex.PACKAGES, r"\begin{document}", r"\listoftables"]
    return "\n".join([*begin, render(report, "latex"), r"\end{document}"])


@every_seed
@usual_or_odd
def test_latex_is_sound_in_structure(seed, odd):
    text = paper(fake_report(seed, odd=odd))
    assert text.isascii()
    for body in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line != r"\midrule"]
        assert all(line.endswith(r" \\") for line in rows)
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in rows}) == 1
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    plain_text = re.sub(r"\\[\\{}#$%&_\"'`^~]", "", "\n".join(lines))
    opened: list[str] = []
    for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", plain_text):
        opened.append(name) if word == "begin" else opened.remove(name)
        assert word == "begin" or name not in opened
    assert not opened
    assert plain_text.count("{") == plain_text.count("}")
    assert plain_text.count("$") % 2 == 0
    assert not re.search(r"[#~^]", plain_text)
    assert not re.search(r"%(?!$)", plain_text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="its structure is checked, and no TeX is installed")
@pytest.mark.parametrize("packages", [(), (r"\usepackage[T1]{fontenc}",)], ids=["plain", "T1"])
@pytest.mark.parametrize("seed", [1, 3])
def test_latex_compiles(seed, packages, tmp_path):
    (tmp_path / "t.tex").write_text(paper(fake_report(seed, odd=True), *packages))
    for _ in range(2):  # the second run reads the captions back, for the list of tables
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
        run = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False
        )
        assert run.returncode == 0, run.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "t.log").read_text(errors="replace")
    assert (tmp_path / "t.pdf").stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("a--b,,c", "a-{}-b,{},c"),
        ("50% of $x_1", r"50\% of \$x\_1"),
        ("é → ∞", r"\'{e} $\rightarrow$ ?"),
    ],
)
def test_no_letters_melt_into_others(text, drawn):
    assert latex.escaped(text) == drawn


def test_minus_signs_and_ranges_of_ranks_are_drawn_as_such():
    gain = Difference(one_row(-0.003, -0.01, 0.01).tables[0].rows[0].estimates["pair-accuracy"], 0.5, 0.5)
    standing = Standing("a", (1, 3), False)
    text = render(one_row(gains={"pair-accuracy": gain}, standings={"pair-accuracy": standing}), "latex")
    assert r"mine & 82.4 [81.1, 83.6] a & 1--3 & $-$0.3 [$-$1.0, +1.0] \\" in text


@pytest.mark.parametrize("text", [*ODD_NAMES, "a--b---c", ",,,", "é ñ ü ç ř", "{}", "-{}-", "\\'{e}", "$\\alpha$ α"])
def test_latex_spells_every_letter_that_it_has_and_the_spelling_is_read_back(text):
    text = plain(text)
    spelled = latex.escaped(text)
    assert spelled.isascii()
    if "?" not in spelled:
        assert latex.unescaped(spelled) == text
