"""Whatever is changed in a results folder is found. Whoever reads results of a stranger relies on it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundled_results import CONTROLS, METHODS, Bundle, make, one_digit, seal
from command_line import Toys
from threadpoolctl import threadpool_limits

from rmsuite import harness, results, signature
from rmsuite.book import TaskBook, read_book
from rmsuite.bundles import levels
from rmsuite.bundles.rerun import rerun
from rmsuite.bundles.verify import verify
from rmsuite.errors import ResultsError
from rmsuite.tested import Answers

STORED = Path(__file__).parent.parent / "baselines" / "rmsuite_baselines" / "results"
OK = {"noisy", "careful[scale=2.0]", "constant"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("verify"))


@pytest.fixture
def bundle(made):
    """The results of the run, to be tampered with."""
    return made.restored()


@pytest.fixture
def toys(bundle, capfd, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(bundle.folder, bundle.plugin, capfd)
    found.install(monkeypatch)
    return found


def named(home, path):
    return path.relative_to(home).as_posix()


def found(bundle: Bundle) -> dict[str, list[str]]:
    """What is found, by cell."""
    out: dict[str, list[str]] = {}
    for finding in verify(bundle.home, bundle.book).findings:
        assert all((finding.where, finding.expected, finding.got, finding.do)), finding
        out.setdefault(finding.where, []).append(str(finding))
    return out


def assert_found(bundle, path, *words):
    """Exactly one cell is found, and what is said of it holds the words."""
    findings = found(bundle)
    assert list(findings) == [named(bundle.home, path)]
    text = "\n".join(findings[named(bundle.home, path)])
    assert all(word in text for word in words), text


def rerun_all(bundle, sample=None, seed=0):
    before = verify(bundle.home, bundle.book)
    return rerun(bundle.home, before, bundle.book, bundle.catalogue, sample, seed, bundle.executor)


def test_an_honest_folder_is_verified_and_cells_without_numbers_are_listed(bundle):
    outcome = verify(bundle.home, bundle.book)
    assert outcome.findings == ()
    assert len(outcome.cells) == 2 * 2 * (len(METHODS) + len(CONTROLS))
    by_level = {
        level: {name.split("/")[1].split("-2")[0] for name in outcome.cells if outcome.cells[name] == level}
        for level in set(outcome.cells.values())
    }
    assert by_level["re-run verified"] >= {"random", "oracle"}, "controls are made anew, rewards and all"
    assert len(by_level["self-verified"]) == len(OK)
    assert by_level["unverified"] == {"failing", "refusing"}
    assert {line.split("/")[1:][0] + line[-9:] for line in outcome.without_numbers} == {
        "failing (failed)",
        "refusing(skipped)",
    }


# Digits in a record whose seal is left alone.
PLACES = ("task", "method", "repetition", "signature", "origin", "parameters", "facts", "arrays_sha256", "sha256")


@pytest.mark.parametrize("place", PLACES)
def test_a_digit_of_a_record_that_is_changed_breaks_its_seal(bundle, place):
    path = bundle.path(method="noisy")
    before, mark, after = path.read_text(encoding="utf-8").partition(f'"{place}": ')
    assert mark
    path.write_text(before + mark + one_digit(after), encoding="utf-8")
    assert_found(bundle, path, "sha256")
    outcome = verify(bundle.home, bundle.book)
    assert len(outcome.findings) == 1, "a damaged cell is not missing too"
    assert outcome.cells[named(bundle.home, path)] == "unverified"


def test_a_byte_of_the_arrays_that_is_changed_breaks_their_seal(bundle):
    path = bundle.path()
    arrays = next(path.parent.glob("0-*.npz"))
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert_found(bundle, path, "another sha256")


def test_arrays_that_are_gone_are_found_and_so_is_a_file_that_is_no_array(bundle):
    path = bundle.path()
    arrays = next(path.parent.glob("0-*.npz"))
    arrays.unlink()
    assert_found(bundle, path, "No such file")
    for content in (b"PK\x03\x04 and no more", b"text", b""):
        digest = hashlib.sha256(content).hexdigest()
        path.with_name(f"0-{digest[:16]}.npz").write_bytes(content)
        seal(path, {"arrays_sha256": digest})
        assert len(found(bundle)) == 1


SIGNED = ("rmsuite", "task", "pool", "embeddings", "split", "annotator", "pairs", "seed")


def test_the_parts_of_a_signature_are_those_that_are_tampered_with_here(bundle):
    assert tuple(signature.read(bundle.cell().signature)) == SIGNED


@pytest.mark.parametrize("method", ["noisy", "random"])
@pytest.mark.parametrize("part", SIGNED)
def test_a_signature_part_that_a_forger_changes_and_seals_is_found(bundle, part, method):
    path = bundle.path(method=method)
    parts = signature.read(bundle.cell(method=method).signature)
    value = one_digit(parts[part]) if any(c.isdigit() for c in parts[part]) else parts[part] + "2"
    bundle.forge(path, signature=signature.write({**parts, part: value}))
    # Another seed is a whole protocol: the counts agree, and the rewards say nothing of the pairs they come from.
    if (part, method) == ("seed", "noisy"):
        assert {f.where for f in rerun_all(bundle).findings} == {named(bundle.home, path)}
    else:
        assert_found(bundle, path, *([] if part == "seed" else [f"{part}:{value}"]))


@pytest.mark.parametrize("line", ["", "none", "task:toy-gold@1", "rmsuite:2|seed:x", "rmsuite:2|seed:"])
def test_a_signature_that_is_none_is_found(bundle, line):
    path = bundle.forge(bundle.path(), signature=line)
    assert_found(bundle, path, "signature")


def test_a_part_that_is_left_out_of_a_signature_or_added_is_found(bundle):
    parts = signature.read(bundle.cell().signature)
    del parts["pool"]
    path = bundle.forge(bundle.path(), signature=signature.write({**parts, "mine": "1"}))
    assert_found(bundle, path, "got pool:-", "expected signature part mine:-, got mine:1")


FACTS = (
    "n_train_pairs",
    "n_validation_pairs",
    "n_train_prompts",
    "n_test_prompts",
    "n_test_responses",
    "annotator_agreement",
    "columns",
    "licence",
)


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_a_forger_changes_or_leaves_out_is_found(bundle, name):
    facts = dict(bundle.cell().facts)
    assert set(FACTS) == set(facts) - {"fit_seconds", "reward_seconds", "made_of"}
    changed = {"columns": ["spearman"], "licence": "CC1"}.get(name) or facts[name] + 1
    assert_found(bundle, bundle.forge(bundle.path(), facts={**facts, name: changed}), f"fact {name} = ")
    without = bundle.forge(bundle.path(), facts={k: v for k, v in facts.items() if k != name})
    assert_found(bundle, without, "got columns None" if name == "columns" else "got None")


def test_a_fact_that_is_added_is_found(bundle):
    path = bundle.forge(bundle.path(), facts={**bundle.cell().facts, "n_gpus": 0})
    assert_found(bundle, path, "n_gpus")


def test_seconds_are_the_word_of_whoever_ran_it(bundle):
    """No second run gives them again; the documentation says so."""
    bundle.forge(bundle.path(), facts={**bundle.cell().facts, "fit_seconds": 1e-9})
    assert found(bundle) == {}


@pytest.mark.parametrize("method", ["noisy", "careful", "random", "oracle"])
def test_every_metric_value_that_a_forger_changes_by_a_bit_is_found(bundle, method):
    path = next((bundle.home / "toy-gold@1").glob(f"{method}*")) / "0.json"
    record = results.read(path)
    metrics = set(record.arrays) - {"rewards", "uncertainty", "probability"}
    assert len(metrics) > 10
    for name in metrics:
        changed = record.arrays[name].copy()
        changed.flat[0] = np.nextafter(changed.flat[0], np.inf)
        results.write(bundle.home, replace(record, arrays={**record.arrays, name: changed}))
        assert_found(bundle, path, f"expected {name} as recomputed, got other bits in 1 of")
        results.write(bundle.home, record)
    assert found(bundle) == {}


def test_last_bits_may_differ_only_where_that_is_allowed(toys, bundle):
    record = bundle.cell()
    moved = {**record.arrays, "best-of-4": record.arrays["best-of-4"] * (1 + 1e-14)}
    path = bundle.forge(bundle.path(), arrays=moved)
    assert_found(bundle, path, "best-of-4", "by at most", "e-13", "--rounding")
    assert toys("verify", bundle.home).code == 1
    assert toys("verify", bundle.home, "--rounding").code == 0
    bundle.forge(path, arrays={**moved, "best-of-4": record.arrays["best-of-4"] * (1 + 1e-6)})
    assert toys("verify", bundle.home, "--rounding").code == 1


def test_a_metric_that_is_missing_surplus_or_of_another_shape_is_found(bundle):
    record = bundle.cell()
    arrays = {k: v for k, v in record.arrays.items() if k != "spearman"}
    arrays |= {"mine": np.zeros(3), "pair-accuracy": record.arrays["pair-accuracy"][:-1]}
    path = bundle.forge(bundle.path(), arrays=arrays)
    assert_found(bundle, path, "spearman as recomputed, got none", "no mine as recomputed, got one", "of shape")


def test_a_reward_that_changes_an_order_is_found_from_the_metrics_that_a_forger_forgot(bundle):
    record = bundle.cell()
    changed = record.arrays["rewards"].copy()
    changed[:6] = changed[:6][::-1]
    path = bundle.forge(bundle.path(), arrays={**record.arrays, "rewards": changed})
    assert_found(bundle, path, "as recomputed")


def forged_whole(bundle, changed):
    """Rewards, and every metric of them, as a forger who owns the package would store them."""
    record, task = bundle.cell(), bundle.book.task("toy-gold").load()
    return bundle.forge(bundle.path(), arrays=harness.measured(task.test, Answers(changed(record.arrays["rewards"]))))


@pytest.mark.parametrize(
    "changed",
    [lambda r: np.nextafter(r, np.inf), lambda r: r[::-1].copy(), lambda r: 3 * r],
    ids=["last bit, no order changed", "other rewards", "scaled"],
)
def test_rewards_forged_with_all_that_follows_from_them_are_found_by_a_second_run_only(bundle, changed):
    path = forged_whole(bundle, changed)
    assert found(bundle) == {}, "recomputation cannot find it: the numbers follow from the rewards"
    again = rerun_all(bundle)
    assert {f.where for f in again.findings} == {named(bundle.home, path)}
    assert any("rewards as run again" in finding.expected for finding in again.findings)
    assert again.cells[named(bundle.home, path)] == "unverified"


@pytest.mark.parametrize("name", ["rewards", "uncertainty", "probability"])
@pytest.mark.parametrize(
    "spoilt",
    [
        lambda a: a[:-1],
        lambda a: a[:, None],
        lambda a: np.full_like(a, np.nan),
        lambda a: a.astype("U9"),
        lambda a: -a - 9,
    ],
    ids=["short", "wide", "nan", "text", "negative"],
)
def test_answers_that_no_method_may_give_are_found_and_are_no_crash(bundle, name, spoilt):
    path = next((bundle.home / "toy-gold@1").glob("careful*")) / "1.json"
    record = results.read(path)
    bundle.forge(path, arrays={**record.arrays, name: spoilt(record.arrays[name])})
    assert_found(bundle, path)


def test_a_cell_that_lost_its_rewards_is_found(bundle):
    assert_found(bundle, bundle.forge(bundle.path(), arrays={}), "got shape (0,)")


def test_a_control_that_is_changed_is_found_whatever_is_recomputed_around_it(bundle):
    record, task = bundle.cell(method="random"), bundle.book.task("toy-gold").load()
    forged = harness.measured(task.test, Answers(np.nextafter(record.arrays["rewards"], np.inf)))
    path = bundle.forge(bundle.path(method="random"), arrays=forged)
    assert_found(bundle, path, "expected rewards as recomputed")


def test_a_note_that_is_left_out_or_made_up_is_found(bundle):
    assert bundle.cell(method="constant").notes
    path = bundle.forge(bundle.path(method="constant"), notes=())
    assert_found(bundle, path, "expected notes ['all rewards are equal'], got []")


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition": "0"},
        {"repetition": True},
        {"repetition": -1},
        {"facts": None},
        {"parameters": [1]},
        {"signature": None},
        {"status": "fine"},
        {"kind": "control"},
        {"kind": "other"},
        {"task": 3},
        {"error": None},
        {"notes": None},
        {"surplus": 1},
        {"format": 99},
        {"method": "../noisy"},
        {"task": "toy-gold"},
        {"task": ".."},
    ],
    ids=str,
)
def test_a_sealed_record_of_another_form_is_found_and_is_no_crash(bundle, changes):
    path = bundle.path()
    seal(path, changes)
    assert named(bundle.home, path) in found(bundle)


def test_a_method_sold_as_a_control_or_a_control_as_a_method_is_found(bundle):
    seal(bundle.path(method="random"), {"kind": "method"})
    assert_found(bundle, bundle.path(method="random"), "kind 'method' of 'random'")


def test_a_cell_in_the_wrong_place_is_found(bundle):
    copy = bundle.home / "toy-gold@1" / "copy"
    shutil.copytree(bundle.path().parent, copy)
    findings = found(bundle)
    assert "expected this record at toy-gold@1/noisy/0.json" in findings["toy-gold@1/copy/0.json"][0]


def test_missing_repetitions_methods_controls_and_first_repetitions_are_found(bundle):
    bundle.path(repetition=1).unlink()
    shutil.rmtree(bundle.path(method="oracle").parent)
    assert set(found(bundle)) == {f"toy-gold@1/{name}.json" for name in ("noisy/1", "oracle/0", "oracle/1")}
    for path in bundle.home.glob("toy-gold@1/*/0.json"):
        path.unlink()
    assert {f"toy-gold@1/{name}/0.json" for name in ("constant", "random")} <= set(found(bundle))


def test_a_task_that_is_not_at_hand_or_of_another_version_is_no_pass(bundle):
    book = bundle.book
    for tasks_ in ({}, {"toy-gold": replace(book.tasks["toy-gold"], version=2), "toy-human": book.tasks["toy-human"]}):
        outcome = verify(bundle.home, TaskBook(tasks_, {}))
        gold = [name for name in outcome.cells if name.startswith("toy-gold")]
        assert {outcome.cells[name] for name in gold} == {"unverified"}
        assert {f.where for f in outcome.findings} >= set(gold)
        assert all("cannot be verified" in f.do for f in outcome.findings)


def test_other_gold_is_found_even_where_the_pools_card_was_changed_with_it(bundle, tmp_path):
    root = tmp_path / "other"
    shutil.copytree(bundle.root, root)
    gold = root / "pools" / "gold-pool" / "gold.npy"
    before = hashlib.sha256(gold.read_bytes()).hexdigest()
    changed = np.load(gold)
    changed[0] += 1
    np.save(gold, changed)
    outcome = verify(bundle.home, read_book([root]))
    assert {f.where.split("/")[0] for f in outcome.findings} == {"toy-gold@1"}, "a pool that differs from its card"
    card = gold.with_name("pool.toml")
    card.write_text(card.read_text().replace(before, hashlib.sha256(gold.read_bytes()).hexdigest()))
    outcome = verify(bundle.home, read_book([root]))
    assert {f.where.split("/")[0] for f in outcome.findings} == {"toy-gold@1"}
    assert any("signature part pool:" in f.expected for f in outcome.findings)


def test_a_second_run_verifies_and_writes_nothing(bundle):
    tree = {path: path.read_bytes() for path in bundle.home.rglob("*") if path.is_file()}
    again = rerun_all(bundle)
    assert again.findings == ()
    assert len(again.rerun) == 2 * 2 * len(OK)
    assert {again.cells[name] for name in again.rerun} == {"re-run verified"}
    assert tree == {path: path.read_bytes() for path in bundle.home.rglob("*") if path.is_file()}


def test_a_sample_is_of_its_size_and_follows_from_its_seed(bundle):
    one, same = (rerun_all(bundle, sample=3, seed=5) for _ in range(2))
    assert len(one.rerun) == 3
    assert one.rerun == same.rerun
    assert len({rerun_all(bundle, sample=1, seed=seed).rerun for seed in range(-2, 4)}) > 1


def test_parameters_that_a_forger_changes_are_found_by_a_second_run(bundle):
    assert bundle.cell().parameters == {"scale": 1.0, "shape": [2, 3]}
    path = bundle.forge(bundle.path(), parameters={"scale": 2.0, "shape": [2, 3]})
    assert [f.where for f in rerun_all(bundle).findings] == [named(bundle.home, path)]


def test_other_code_confirms_nothing_and_refutes_nothing(bundle):
    path = bundle.forge(bundle.path(), origin="toys.py #0123456789ab")
    again = rerun_all(bundle)
    (finding,) = again.findings
    assert finding.where == named(bundle.home, path)
    assert "cannot confirm" in finding.do
    assert again.cells[finding.where] == "self-verified"
    assert finding.where not in again.rerun


def test_a_method_that_is_not_at_hand_cannot_be_run_again(bundle):
    path = bundle.path(method="mine")
    shutil.copytree(bundle.path().parent, path.parent)
    for number in (0, 1):
        seal(path.with_name(f"{number}.json"), {"method": "mine"})
    again = rerun_all(bundle)
    assert [finding.where.split("/")[1] for finding in again.findings] == ["mine"] * 2
    assert all("give its plugin" in finding.do for finding in again.findings)


def test_the_command_prints_findings_and_a_table_and_records_what_was_reached(toys, bundle):
    answer = toys("verify", bundle.home, "--rerun", 2, "--seed", 4)
    assert (answer.code, answer.err) == (0, "")
    assert "Run again: 2 of the verified cells of methods, chosen with seed 4." in answer.out
    assert "40 cells, 0 findings." in answer.out
    assert "toy-gold@1/failing/0.json (failed): no numbers to verify" in answer.out
    known = levels.read(bundle.home)
    assert {entry["level"] for entry in known.values()} == {"self-verified", "re-run verified"}
    assert len(list(results.read_all(bundle.home))) == 40, "the record of verification is no cell"
    bundle.forge(bundle.path(), facts={**bundle.cell().facts, "n_train_pairs": 1})
    failed = toys("verify", bundle.home)
    assert failed.code == 1
    assert "toy-gold@1/noisy/0.json: expected fact n_train_pairs = " in failed.out


def test_a_level_holds_for_the_record_that_was_verified_only(toys, bundle):
    """A record that is not the one that was looked at, however alike, is unverified."""

    def level():
        return levels.of([levels.read(bundle.home)])(bundle.cell())

    toys("verify", bundle.home, "--rerun", "all")
    assert level() == "re-run verified"
    toys("verify", bundle.home)
    assert level() == "re-run verified", "as it was run again before"
    first = bundle.cell()
    bundle.forge(bundle.path(), output="another")
    assert level() == "unverified"
    toys("verify", bundle.home)
    assert level() == "self-verified"
    assert levels.of([levels.read(bundle.home)])(first) == "unverified"
    assert levels.of([levels.read(bundle.home)])(replace(bundle.cell(), seal="")) == "unverified"


def test_nothing_is_recorded_where_that_was_not_wanted(toys, bundle):
    assert toys("verify", bundle.home, "--no-record").code == 0
    assert not (bundle.home / levels.FILE).exists()


def test_a_record_of_verification_that_cannot_be_written_costs_no_findings(toys, bundle):
    (bundle.home / levels.FILE).mkdir()
    answer = toys("verify", bundle.home)
    assert answer.code == 2
    assert "40 cells, 0 findings." in answer.out
    assert levels.FILE in answer.err


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', '{"cells": {"a": 1}}', '{"cells": {"a": {"level": 1}}}'])
def test_a_record_of_verification_that_is_none_is_refused(bundle, text):
    (bundle.home / levels.FILE).write_text(text)
    with pytest.raises(ResultsError, match=levels.FILE):
        levels.read(bundle.home)


def test_a_level_that_does_not_exist_is_none(bundle):
    path, record = bundle.path(), bundle.cell()
    levels.write(bundle.home, {named(bundle.home, path): {"seal": record.seal, "level": "notarised"}})
    assert levels.of([levels.read(bundle.home)])(record) == "unverified"
    assert json.loads((bundle.home / levels.FILE).read_text())["rmsuite"]


def test_a_folder_without_cells_is_a_mistake(toys, tmp_path):
    assert toys("verify", tmp_path).code == 2


def test_the_stored_results_are_whole():
    root = STORED.parent.parent.parent / "tasks" / "rmsuite_tasks"
    with threadpool_limits(limits=1):  # as the command has it: threads decide the order of sums
        outcome = verify(STORED, read_book([root]), rounding=True)  # on whatever processor
    assert [str(finding) for finding in outcome.findings] == []
    assert outcome.without_numbers == ()
    level = levels.of([levels.read(STORED)])
    stored = {(record.kind, level(record)) for record in results.read_all(STORED)}
    assert stored - {("control", "self-verified"), ("control", "re-run verified")} == {("method", "re-run verified")}
