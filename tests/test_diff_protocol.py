"""Why two tables must not be merged is said in words. Whoever compares with a published number relies on it."""

from __future__ import annotations

import re
import shutil
import sys

import numpy as np
import pytest
from bundled_results import make, run
from command_line import Toys

from rmsuite import results, signature
from rmsuite.bundles import protocol
from rmsuite.bundles.protocol import MEANING, OF_TABLES, compare, lines
from rmsuite.errors import ResultsError
from rmsuite.policy_study import Study
from rmsuite.render import render
from rmsuite.reports.tables import report

FORMATS = ("text", "markdown", "csv", "json", "latex", "html")
TASKS = ["toy-gold", "toy-human"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("protocols"))
    run(made, made.folder / "seed1", seed=1, methods=("noisy",))
    return made


@pytest.fixture(scope="module")
def printed(bundle):
    """The table of each format, with the signature that it prints."""
    tables = report(list(results.read_all(bundle.home)))
    return tables, {name: render(tables, name) for name in FORMATS}


@pytest.fixture
def toys(bundle, capfd, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(bundle.folder, bundle.plugin, capfd)
    found.install(monkeypatch)
    return found


# Of tasks that use these fields: test_variants, test_gold, test_attacks, test_plugged_annotators.
RARER = {"gives", "train-pool", "train-embeddings", "generators", "annotator-code"}
RARER |= {"gold", "train-gold", "probe", "probe-embeddings"}
RARER |= set(Study([], []).signature())  # of policies


def test_every_part_that_is_written_is_explained_and_every_explained_part_is_written(printed):
    tables, _ = printed
    written = [table.signature for table in tables.tables] + [tables.overall.signature]
    written += [line for table in tables.tables for line in table.signatures.values()]
    parts = {part for line in written for part in signature.read(line)}
    assert parts | RARER == set(MEANING)
    cells = set(signature.read(tables.tables[0].signature)) - OF_TABLES
    assert cells == {"rmsuite", "task", "pool", "embeddings", "split", "annotator", "pairs", "seed"}
    assert all(len(words.split()) > 2 for words in MEANING.values())


@pytest.mark.parametrize("style", FORMATS)
def test_a_table_of_any_format_gives_its_signatures_back(printed, tmp_path, style):
    tables, texts = printed
    file = tmp_path / "table"
    file.write_text(texts[style], encoding="utf-8")
    found = lines(str(file))
    for table in tables.tables:
        line = found[table.task.partition("@")[0]]
        assert line.startswith(table.signature)
        assert compare(line, table.signature) == []
    assert set(found) - {protocol.ALL} == set(TASKS)
    assert compare(found.get(protocol.ALL, tables.overall.signature), tables.overall.signature) == []


@pytest.mark.parametrize("style", FORMATS)
def test_a_folder_and_its_table_follow_the_same_protocol(toys, bundle, printed, tmp_path, style):
    file = tmp_path / "table"
    file.write_text(printed[1][style], encoding="utf-8")
    answer = toys.bare("diff-protocol", bundle.home, file)
    assert (answer.code, answer.out) == (0, "toy-gold: same protocol\ntoy-human: same protocol\n")
    assert toys.bare("diff-protocol", file, file).code == 0


def test_the_same_protocol_is_said_with_exit_code_0(toys, bundle):
    answer = toys.bare("diff-protocol", bundle.home, bundle.home)
    assert (answer.code, answer.out) == (0, "toy-gold: same protocol\ntoy-human: same protocol\n")


def test_a_difference_is_explained_with_exit_code_1(toys, bundle):
    answer = toys.bare("diff-protocol", bundle.home, bundle.folder / "seed1")
    assert answer.code == 1
    assert re.search(r"^toy-gold: must not share a table$", answer.out, re.MULTILINE)
    assert re.search(r"^seed +0 +1 +" + MEANING["seed"], answer.out, re.MULTILINE)


def test_every_changed_part_is_shown_and_no_other(printed):
    line = next(iter(printed[0].tables[0].signatures.values()))
    for part, value in signature.read(line).items():
        changed = signature.write({**signature.read(line), part: f"{value}0"})
        (found,) = compare(line, changed)
        assert (found.name, found.first, found.second, found.meaning) == (part, value, f"{value}0", MEANING[part])


def test_a_part_that_nobody_knows_is_shown_too(toys):
    line = "rmsuite:2|task:a@1|interval:x"
    answer = toys.bare("diff-protocol", line, f"{line}|moon:full")
    assert answer.code == 1
    assert re.search(r"^moon +- +full +a part that this version of rmsuite does not know", answer.out, re.MULTILINE)


def test_cells_have_no_parts_that_a_table_decides():
    cells = "rmsuite:2|task:a@1|seed:0"
    assert compare(cells, f"{cells}|repetitions:0,1|interval:x|correction:y") == []
    assert [part.name for part in compare(cells, "rmsuite:2|task:a@1|seed:1|interval:x")] == ["seed"]


def test_metrics_are_compared_where_both_sides_name_them():
    line = "rmsuite:2|task:a@1|interval:x"
    assert compare(line, f"{line}|metric:m@1|tie:half") == []
    (found,) = compare(f"{line}|metric:m@1|tie:half", f"{line}|metric:m@2|tie:half")
    assert (found.name, found.first, found.second) == ("metric", "m@1", "m@2")


def test_two_signatures_are_compared_whatever_their_tasks(toys):
    answer = toys.bare("diff-protocol", "rmsuite:2|task:a@1|seed:0", "Signature: rmsuite:2|task:b@1|seed:0")
    assert answer.code == 1
    assert re.search(r"^task +a@1 +b@1 +another task", answer.out, re.MULTILINE)


def test_a_task_that_one_side_lacks_is_a_difference(toys, bundle, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(bundle.home / "toy-gold@1", part / "toy-gold@1")
    shutil.copytree(bundle.home / "toy-human@1", part / "other@1")
    shutil.rmtree(part / "other@1")
    both = toys.bare("diff-protocol", bundle.home, part)
    assert both.code == 1
    assert "toy-human: only in the first" in both.out
    assert toys.bare("diff-protocol", part, part).code == 0


def test_a_source_with_several_protocols_of_a_task_is_refused(toys, bundle, tmp_path):
    mixed = tmp_path / "mixed.txt"
    mixed.write_text("Signature: rmsuite:2|task:a@1|seed:0\nand\nSignature: rmsuite:2|task:a@1|seed:1\n")
    answer = toys.bare("diff-protocol", mixed, mixed)
    assert answer.code == 2
    assert "several (seed: 0 against 1)" in answer.err


@pytest.mark.parametrize("source", ["nowhere", "rmsuite", ".", "rmsuite:2|task"])
def test_what_holds_no_signature_is_a_mistake(toys, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    assert toys.bare("diff-protocol", source, source).code == 2


def test_random_bytes_are_no_signature_and_no_crash(tmp_path):
    file = tmp_path / "bytes"
    file.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(ResultsError):
        protocol.lines(str(file))


LINE = "rmsuite:2|task:toy@1|seed:0|correction:holm(0.05)"


@pytest.mark.parametrize("around", ["{}", "({})", "see {}.", "({}).", "% {};", "`{}`,"])
def test_a_signature_is_read_out_of_any_sentence(tmp_path, around):
    """Its own brackets belong to it, those of the sentence do not."""
    path = tmp_path / "paper.txt"
    path.write_text(around.format(LINE))
    assert protocol.lines(str(path)) == {"toy": LINE}


@pytest.mark.parametrize("style", ["bibtex", "text"])
def test_a_citation_and_its_table_follow_the_same_protocol(toys, bundle, printed, tmp_path, style):
    (tmp_path / "cited").write_text(toys("cite", "-o", bundle.home, "--format", style).out)
    (tmp_path / "table").write_text(printed[1]["text"])
    answer = toys.bare("diff-protocol", tmp_path / "cited", tmp_path / "table")
    assert answer.code == 0, answer.out


@pytest.mark.parametrize("line", ["rmsuite:2|seed:7|seed:0", "rmsuite:2|x:\r\\input{evil}", "rmsuite:2|x:\x1b[2J"])
def test_a_part_that_is_there_twice_or_cannot_be_printed_is_no_signature(line):
    """Of two seeds nobody knows which counts; a line break in a signature is an instruction to TeX."""
    with pytest.raises(ResultsError, match="each key once"):
        signature.read(line)
