"""What commands on results folders do with policy cells: nothing is lost, and what they print is what cells hold."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from command_line import Toys
from policy_results import BETAS, OPTIMIZERS, REPETITIONS, cell, forge, make, mix_in, path, run_method, run_policies

import rmsuite
import rmsuite_baselines
from rmsuite import results
from rmsuite.bundles import levels
from rmsuite.bundles.merge import merge
from rmsuite.citation import bibliography, cite
from rmsuite.errors import ResultsError
from rmsuite.policy_study import COLUMNS, FOLDER
from rmsuite.render.published import read_published
from rmsuite.reports.policies import PolicyRow, PolicyTable
from rmsuite.reports.records import Report
from rmsuite_baselines.optimizers import OPTIMIZERS as BUNDLED

N_CELLS = len(OPTIMIZERS) * len(BETAS) * REPETITIONS
FORMATS = ("text", "markdown", "latex", "csv", "json", "html")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bundle(made):
    """The results, of which a test may change any."""
    return made.restored()


@pytest.fixture
def toys(bundle, capfd, monkeypatch):
    shown = Toys(bundle.folder, bundle.plugin, capfd)
    shown.install(monkeypatch)
    return shown


def alone(bundle):
    """Take the cells of methods away."""
    shutil.rmtree(bundle.home / "toy-gold@1")


def tree(home: Path) -> dict[str, bytes]:
    return {one.relative_to(home).as_posix(): one.read_bytes() for one in sorted(home.rglob("*")) if one.is_file()}


# export


def exported(toys, bundle, *arguments):
    answer = toys("export", bundle.home, *arguments)
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def test_the_long_table_has_each_value_of_each_policy_after_each_step(toys, bundle):
    rows = json.loads(exported(toys, bundle, "--format", "json"))
    assert {row["kind"] for row in rows} == {"method", "control", "policy"}
    assert len({tuple(row) for row in rows}) == 1, "every row has the same columns"
    for optimizer in OPTIMIZERS:
        record = cell(bundle, optimizer, 1, 1.0)
        own = [r for r in rows if (r["optimizer"], r["beta"], r["repetition"]) == (optimizer, 1.0, 1)]
        assert {(r["method"], r["kind"], r["signature"]) for r in own} == {("mean", "policy", record.signature)}
        by_key = {(r["metric"], r["step"], r["policy"]): r["value"] for r in own}
        assert len(by_key) == len(own)
        steps = record.arrays["steps"].tolist()
        assert len(own) == 4 + len(steps) * (len(COLUMNS) * record.facts["n_policies"] + 2)
        for place, step in enumerate(steps):
            assert by_key["gold", step, 1] == pytest.approx(record.arrays["gold"][place, :, 1].mean())
            assert by_key["samples", step, None] == record.arrays["samples"][place]
        assert by_key["reference_gold", None, None] == record.arrays["reference_gold"].mean()
        assert {r["larger_is_better"] for r in own if r["metric"] in ("gold", "win_rate")} == {True}
        assert {r["train_seconds"] for r in own} == {record.facts["train_seconds"]}
    of_methods = [row for row in rows if row["kind"] != "policy"]
    assert {(row["optimizer"], row["beta"], row["policy"], row["step"]) for row in of_methods} == {(None,) * 4}
    lines = list(csv.DictReader(io.StringIO(exported(toys, bundle))))
    assert [list(line) for line in lines[:1]] == [list(rows[0])]
    assert len(lines) == len(rows)


def test_a_failed_policy_cell_is_one_row_without_a_value(toys, bundle):
    forge(bundle, cell(bundle), status="failed", phase="train", error="boom", arrays={})
    rows = json.loads(exported(toys, bundle, "--format", "json"))
    (failed,) = (row for row in rows if row["status"] == "failed")
    assert (failed["phase"], failed["metric"], failed["value"], failed["optimizer"]) == ("train", None, None, "greedy")


def test_the_items_of_policies_give_their_means_back(toys, bundle):
    rows = json.loads(exported(toys, bundle, "--items", "--format", "json"))
    record, task = cell(bundle), bundle.book.task("toy-gold").load()
    own = [row for row in rows if (row["optimizer"], row["beta"], row["repetition"]) == ("greedy", 0.05, 0)]
    for name in COLUMNS:
        last = [row for row in own if (row["metric"], row["step"]) == (name, 6)]
        assert [row["prompt"] for row in last] == [one.decode() for one in task.test.prompt_id]
        assert [row["value"] for row in last] == pytest.approx(record.arrays[name][-1].mean(axis=1).tolist())
        assert {row["weight"] for row in last} == {2}
    reference = [row["value"] for row in own if row["metric"] == "reference_length"]
    assert reference == record.arrays["reference_length"].tolist()


def test_the_level_of_verification_is_exported(toys, bundle):
    toys("verify", bundle.home)
    rows = json.loads(exported(toys, bundle, "--format", "json"))
    assert {row["verification"] for row in rows if row["kind"] == "policy"} == {"self-verified"}


def test_policies_alone_are_exported(toys, bundle):
    alone(bundle)
    assert {row["kind"] for row in json.loads(exported(toys, bundle, "--format", "json"))} == {"policy"}


# table


def table(toys, bundle, *arguments):
    answer = toys("table", "-o", bundle.home, "--no-stored", *arguments)
    assert answer.code == 0, answer.err
    return answer.out


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_has_the_policies_after_the_others_which_stay_as_they_are(toys, bundle, style):
    both = table(toys, bundle, "--format", style)
    shutil.move(bundle.home / FOLDER, bundle.folder / "away")
    before = table(toys, bundle, "--format", style)
    shutil.rmtree(bundle.home)
    bundle.home.mkdir()
    shutil.move(bundle.folder / "away", bundle.home / FOLDER)
    only = table(toys, bundle, "--format", style)
    assert read_published(both) == read_published(before), "published tables of methods are read back as before"
    assert both.index("embedding-norm") < both.index("greedy")
    assert both.startswith(before[:40])
    assert "greedy" not in before
    assert "embedding-norm" not in only
    assert "policies:2" in only
    with pytest.raises(ResultsError):
        read_published(only)


def test_the_csv_of_policies_is_that_of_the_command_policy(toys, bundle):
    methods, policies = table(toys, bundle, "--format", "csv").split("\n\n")
    alone(bundle)
    assert table(toys, bundle, "--format", "csv") == policies
    lines = list(csv.DictReader(io.StringIO(policies)))
    assert {(line["optimizer"], float(line["beta"])) for line in lines} == {(o, b) for o in OPTIMIZERS for b in BETAS}
    assert {line["kind"] for line in csv.DictReader(io.StringIO(methods))} == {"method", "control"}


def test_the_json_document_keeps_to_its_schema_and_holds_the_numbers(toys, bundle):
    schema = json.loads((Path(rmsuite.__file__).parent / "render" / "table.schema.json").read_text())
    forge(bundle, cell(bundle, "best"), status="failed", phase="train", error="boom", arrays={})
    document = json.loads(table(toys, bundle, "--format", "json"))
    jsonschema.Draft202012Validator(schema).validate(document)
    (one,) = document["policies"]
    by_row = {(row["optimizer"], row["beta"]): row for row in one["rows"]}
    own = [cell(bundle, "greedy", repetition) for repetition in range(REPETITIONS)]
    gain = np.mean([c.arrays["gold"][-1].mean() - c.arrays["reference_gold"].mean() for c in own])
    assert by_row["greedy", 0.05]["gold"]["value"] == pytest.approx(gain)
    assert by_row["best", 0.05]["gold"] is None
    assert by_row["best", 0.05]["kl"] is None
    assert "boom" in by_row["best", 0.05]["note"]
    assert any("Gold and proxy gain" in line for line in one["footer"])
    shutil.rmtree(bundle.home / FOLDER)
    without = json.loads(table(toys, bundle, "--format", "json"))
    jsonschema.Draft202012Validator(schema).validate(without)
    assert without == {name: part for name, part in document.items() if name != "policies"}


@pytest.mark.parametrize("style", ["latex", "html"])
def test_documents_stay_whole(toys, bundle, style):
    text = table(toys, bundle, "--format", style)
    opened = {"latex": r"\\begin\{(\w+)\}", "html": r"<(table|section|ul|html|body)\b"}[style]
    closed = {"latex": r"\\end\{(\w+)\}", "html": r"</(table|section|ul|html|body)>"}[style]
    assert sorted(re.findall(opened, text)) == sorted(re.findall(closed, text))
    assert len(re.findall({"latex": r"\\toprule", "html": "<table"}[style], text)) == 2


def test_tasks_are_chosen_among_both_kinds(toys, bundle):
    assert table(toys, bundle, "-t", "toy-gold") == table(toys, bundle)
    answer = toys("table", "-o", bundle.home, "-t", "toy-human")
    assert answer.code == 2
    assert "expected one of toy-gold" in answer.err
    for one in results.found(bundle.home):
        results.write(bundle.home, replace(results.read(one), task="toy-other@1"))
    alone(bundle)
    assert "policies" not in table(toys, bundle, "-t", "toy-other")
    assert "embedding-norm" not in table(toys, bundle, "-t", "toy-gold")
    assert "embedding-norm" in table(toys, bundle)


def test_policies_of_two_studies_are_refused_or_apart(toys, bundle):
    mix_in(bundle, "best", learning_rate=0.5)
    answer = toys("table", "-o", bundle.home, "--no-stored")
    assert answer.code == 2
    assert "expected one signature" in answer.err
    assert table(toys, bundle, "--allow-mixed").count("toy-gold@1: policies") == 2


def test_a_folder_with_neither_is_a_mistake(toys, bundle):
    for command in ("table", "cite"):
        answer = toys(command, "-o", bundle.folder / "nowhere")
        assert answer.code == 2
        assert "expected finished cells" in answer.err


# cite


def test_cite_names_reward_models_optimizers_and_statistics(toys, bundle):
    alone(bundle)
    answer = toys("cite", "-o", bundle.home)
    assert answer.code == 0
    keys = re.findall(r"^@\w+\{(.*),$", answer.out, re.MULTILINE)
    assert set(keys) == {
        *("rmsuite", "gold-pool", "toy-base", "bootstrap", "holm", "letters"),
        *("doi:10.1000/mine", "arXiv:2310.10505", "arXiv:1412.6980"),
    }
    assert "doi = {10.1000/mine}" in answer.out
    assert "% best: its plugin names no source" in answer.out
    said = " ".join(answer.out.replace("\n% ", " ").split())
    assert "against the reward models mean" in said
    assert "optimizers best, greedy at beta" in said or "optimizers greedy, best at beta" in said
    assert "steps=6" in said
    assert cell(bundle).signature in said.replace(" ", "")
    assert "gains are over the best control" not in said


def test_cite_of_both_has_what_either_has(toys, bundle):
    both = toys("cite", "-o", bundle.home, "--no-stored").out
    shutil.move(bundle.home / FOLDER, bundle.folder / "away")
    before = toys("cite", "-o", bundle.home, "--no-stored").out
    shutil.move(bundle.folder / "away", bundle.home / FOLDER)
    keys = {name: set(re.findall(r"^@\w+\{(.*),$", text, re.MULTILINE)) for name, text in (("b", both), ("m", before))}
    assert keys["b"] - keys["m"] == {"arXiv:2310.10505", "arXiv:1412.6980"}
    assert keys["m"] <= keys["b"]
    assert "gains are over the best control" in " ".join(both.replace("\n% ", " ").split())
    assert toys("cite", "-o", bundle.home, "-m", "mean").code == 0
    assert toys("cite", "-o", bundle.home, "-m", "nobody").code == 2


def test_the_papers_of_bundled_optimizers_have_whole_entries():
    root = Path(rmsuite.__file__).parent.parent
    known = bibliography(
        [root / "rmsuite" / "references.bib", Path(rmsuite_baselines.__file__).with_name("references.bib")]
    )
    rows = tuple(PolicyRow("mine", one.name, 0.1, 0) for one in BUNDLED)
    line = "rmsuite:2|task:one@1|pool:one#0|embeddings:two#0|annotator:perfect|seed:0|policies:1|training:steps=1"
    sources = {one.name: one.reference for one in BUNDLED}
    found = cite(Report(()), {}, known, policies=[PolicyTable("one@1", line, rows)], optimizers=sources)
    numbered = {key for key in found.entries if key.startswith(("arXiv:", "doi:"))}
    assert {key: found.entries[key] for key in numbered} == {key: known[key] for key in numbered}
    assert len(numbered) > 7
    assert found.without_source == ("mine",)


@pytest.mark.parametrize(("betas", "said"), [((None,), "best-of-n, 2"), ((None, 0.1), "best-of-n at beta 0.1, 2")])
def test_cite_has_no_beta_of_what_uses_none(betas, said):
    line = "rmsuite:2|task:one@1|pool:one#0|embeddings:two#0|annotator:perfect|seed:0|policies:2|training:steps=1"
    rows = tuple(PolicyRow("mine", "best-of-n", beta, 0) for beta in betas)
    found = cite(Report(()), {}, {}, policies=[PolicyTable("one@1", line, rows, n_policies=2)])
    assert f"with the optimizers {said} policies each" in found.paragraph


# merge, clean, score, and what differs


def test_parts_merge_to_the_whole_byte_for_byte(toys, bundle):
    parts = [bundle.folder / name for name in ("one", "two")]
    shutil.copytree(bundle.home, parts[0], ignore=lambda folder, names: [FOLDER] if FOLDER in names else [])
    shutil.copytree(bundle.home / FOLDER, parts[1] / FOLDER)
    into = bundle.folder / "whole"
    answer = toys.bare("merge", *parts, "--into", into)
    count = len(results.found(bundle.home)) + N_CELLS
    assert (answer.code, answer.out) == (0, f"{count} cells in {into}\n")
    merged = tree(into)
    del merged[levels.FILE]
    assert merged == tree(bundle.home)
    for folder in (*parts, into):
        shutil.rmtree(folder)


def test_levels_of_policies_go_along(toys, bundle):
    toys("verify", bundle.home)
    into = bundle.folder / "copy"
    merge([bundle.home], into)
    assert levels.read(into) == levels.read(bundle.home)
    shutil.rmtree(into)


def test_two_studies_are_not_merged(bundle):
    other, into = bundle.folder / "seeded", bundle.folder / "mixed"
    run_policies(bundle, other, ("greedy",), steps=7)
    for one in (bundle.home / FOLDER / "toy-gold@1").glob("*greedy*"):
        shutil.rmtree(one)
    with pytest.raises(ResultsError, match="training"):
        merge([bundle.home, other], into)
    assert merge([bundle.home, other], into, allow_mixed=True) == len(results.found(bundle.home)) + N_CELLS
    shutil.rmtree(other)
    shutil.rmtree(into)


def test_clean_finds_what_is_left_among_policies_and_keeps_the_rest(toys, bundle):
    folder = path(bundle).parent
    (folder / ".0.json.4711").write_text("half")
    (folder / "0-0123456789abcdef.npz").write_bytes(b"of nobody")
    (folder / "notes.txt").write_text("mine")
    forge(bundle, cell(bundle, repetition=1), status="failed", phase="train", error="boom", arrays={})
    before = tree(bundle.home)
    listed = toys.bare("clean", bundle.home)
    named = {Path(line).name for line in listed.out.splitlines()[:-1]}
    assert named == {".0.json.4711", "0-0123456789abcdef.npz", "1.json", "1.traceback.txt"}
    assert tree(bundle.home) == before
    assert toys.bare("clean", bundle.home, "-y").code == 0
    assert {Path(name).name for name in before.keys() - tree(bundle.home).keys()} == named
    assert toys.bare("clean", bundle.home, "--all", "-y").code == 0
    assert [*tree(bundle.home)] == [(folder / "notes.txt").relative_to(bundle.home).as_posix()]
    (folder / "notes.txt").unlink()
    toys.bare("clean", bundle.home, "--all", "-y")
    assert not any(bundle.home.iterdir()), "empty folders go too"


def test_score_leaves_policies_as_they_are_and_says_what_it_cannot_do(toys, bundle):
    before = tree(bundle.home)
    assert toys("score", bundle.home).out == "Nothing changed.\n"
    assert tree(bundle.home) == before
    alone(bundle)
    for home in (bundle.home, bundle.home / FOLDER):
        answer = toys("score", home)
        assert answer.code == 2
        assert "expected cells of methods, got cells of policies" in answer.err


def test_two_folders_differ_in_their_policies(toys, bundle):
    other = bundle.folder / "other"
    run_method(bundle, other)
    run_policies(bundle, other, ("best",), steps=7)
    answer = toys.bare("diff-protocol", bundle.home, other)
    assert answer.code == 1
    assert "toy-gold: same protocol" in answer.out
    assert "toy-gold: policies: must not share a table" in answer.out
    assert "policies are trained otherwise" in " ".join(answer.out.split())
    shutil.rmtree(other)


def test_what_is_said_of_the_system_needs_no_results(toys):
    assert toys.bare("sys-info").code == 0
