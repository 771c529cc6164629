"""Whatever is changed in policy cells is found, by recomputing what follows or by a second run."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from command_line import Toys
from policy_results import BETAS, OPTIMIZERS, REPETITIONS, cell, forge, make, mix_in, one_number, path, run_policies

from rmsuite import results, signature
from rmsuite.bundles import levels
from rmsuite.bundles.findings import Settings
from rmsuite.bundles.rerun import rerun
from rmsuite.bundles.verify import verify
from rmsuite.errors import ContractError
from rmsuite.policy_study import COLUMNS, FOLDER

N_CELLS = len(OPTIMIZERS) * len(BETAS) * REPETITIONS
REFERENCE = ("reference_gold", "reference_proxy", "reference_length", "reference_entropy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("policies"))


@pytest.fixture
def whole(made):
    """The results, to be tampered with."""
    return made.restored()


@pytest.fixture
def bundle(whole):
    """Their policies alone, which are sooner verified."""
    shutil.rmtree(whole.home / "toy-gold@1")
    return whole


def found(bundle, home=None):
    outcome = verify(home or bundle.home, bundle.book)
    assert all((one.where, one.expected, one.got, one.do) for one in outcome.findings)
    return {one.where for one in outcome.findings}


def again(bundle, sample=None):
    before = verify(bundle.home, bundle.book)
    assert before.findings == ()
    return rerun(bundle.home, before, bundle.book, bundle.catalogue, sample, 0, bundle.executor)


def test_an_honest_folder_is_verified_with_its_policies_without_others_and_from_within(whole):
    outcome = verify(whole.home, whole.book)
    assert outcome.findings == ()
    policies = {name for name, kind in outcome.kinds.items() if kind == "policy"}
    assert len(policies) == N_CELLS
    assert {name.split("/")[0] for name in policies} == {FOLDER}
    assert {outcome.cells[name] for name in policies} == {"self-verified"}
    assert set(outcome.cells) > policies
    shutil.rmtree(whole.home / "toy-gold@1")
    assert set(verify(whole.home, whole.book).cells) == policies
    within = verify(whole.home / FOLDER, whole.book)
    assert (within.findings, len(within.cells)) == ((), N_CELLS)


# The places of each array whose change recomputing finds: of a path of training the beginning and the end.
PATH = {name: [(0, 1, 0), (-1, 1, 1)] for name in COLUMNS}
ONCE = {
    **{name: [(1,)] for name in (*REFERENCE, "largest_kl", "rewards")},
    "gold_range": [(0, 1)],
    "pair_accuracy": [(0, 1)],
    "log_probabilities": [(3, 1)],
}
STEPS = {name: [(0,)] for name in ("steps", "samples", "reward_calls")}
PLACES = {"greedy": {**PATH, **ONCE, **STEPS}, "best": {**PATH, **ONCE, **STEPS}}
PLACES["greedy"]["steps"] = [(0,), (1,), (-1,)]
CHANGES = [(o, name, place) for o, places in PLACES.items() for name, own in places.items() for place in own]


def test_every_array_is_tampered_with_here(bundle):
    for optimizer, places in PLACES.items():
        assert set(places) == set(cell(bundle, optimizer).arrays)


@pytest.mark.parametrize(("optimizer", "name", "place"), CHANGES)
def test_a_number_that_a_forger_changes_is_found(bundle, optimizer, name, place):
    record = cell(bundle, optimizer)
    where = forge(bundle, record, arrays={**record.arrays, name: one_number(record.arrays[name], place)})
    assert found(bundle) == {where}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_last_bit_of_a_value_is_found(bundle, name):
    record = cell(bundle)
    changed = record.arrays[name].copy()
    changed[-1, 0, 0] = np.nextafter(changed[-1, 0, 0], np.inf)
    assert {forge(bundle, record, arrays={**record.arrays, name: changed})} == found(bundle)


def test_policies_that_are_other_distributions_are_found(bundle):
    record = cell(bundle, "best")
    changed = record.arrays["log_probabilities"].copy()
    changed[[0, 1]] = changed[[1, 0]]
    assert {forge(bundle, record, arrays={**record.arrays, "log_probabilities": changed})} == found(bundle)


# What lies between, and what training cost
BETWEEN = {**dict.fromkeys(COLUMNS, (1, 2, 0)), "samples": (-1,), "reward_calls": (-1,)}


@pytest.mark.parametrize(("name", "place"), BETWEEN.items())
def test_a_number_between_that_is_impossible_is_found(bundle, name, place):
    record = cell(bundle)
    changed = record.arrays[name].copy()
    changed[place] = 1_000_000 if name in COLUMNS else -1
    assert {forge(bundle, record, arrays={**record.arrays, name: changed})} == found(bundle)


def test_what_recomputing_cannot_find_a_second_run_finds(bundle):
    """Each number in a cell of its own: one second run for all of them."""
    forged = set()
    keys = [("greedy", repetition, beta) for repetition in range(REPETITIONS) for beta in BETAS]
    for key, name in zip(keys, ("gold", "win_rate", "samples", "reward_calls"), strict=True):
        record = cell(bundle, *key)
        changed = one_number(record.arrays[name], BETWEEN[name])
        forged.add(forge(bundle, record, arrays={**record.arrays, name: changed}))
    outcome = again(bundle)
    assert {one.where for one in outcome.findings} == forged
    assert all("as run again" in one.expected for one in outcome.findings)
    assert {outcome.cells[name] for name in forged} == {"unverified"}
    honest = {name for name, kind in outcome.kinds.items() if kind == "policy"} - forged
    assert {outcome.cells[name] for name in honest} == {"re-run verified"}


def test_another_learning_rate_in_all_signatures_is_found_by_a_second_run(bundle):
    names = set()
    for optimizer in OPTIMIZERS:
        for beta in BETAS:
            for repetition in range(REPETITIONS):
                record = cell(bundle, optimizer, repetition, beta)
                line = record.signature.replace("learning_rate=0.1", "learning_rate=0.2")
                assert line != record.signature
                name = forge(bundle, record, signature=line)
                names |= {name} if optimizer == "greedy" else set()
    assert {one.where for one in again(bundle).findings} == names, "a closed form is not trained"


FACTS = {"columns": ["gold"], "licence": "CC1", "reward_model": "other", "optimizer": "other", "beta": 0.1}
FACTS |= {"hyperparameters": {"k": 4}, "n_policies": 3, "proxy_unit": {"size": 2.0}}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_fact_that_a_forger_changes_leaves_out_or_adds_is_found(bundle, optimizer):
    record = cell(bundle, optimizer)
    measured = {"fit_seconds", "reward_seconds", "train_seconds", "policy_seconds", "made_of"}
    assert set(FACTS) <= set(record.facts)
    for name in set(record.facts) - measured:
        changed = FACTS[name] if name in FACTS else record.facts[name] + 1
        where = forge(bundle, record, facts={**record.facts, name: changed})
        misplaced = path(bundle, optimizer).relative_to(bundle.home).as_posix()
        assert found(bundle) == {where} == {misplaced}, name
        forge(bundle, record, facts={key: value for key, value in record.facts.items() if key != name})
        assert found(bundle) == {where}, name
    assert {forge(bundle, record, facts={**record.facts, "n_gpus": 0})} == found(bundle)
    forge(bundle, record)
    assert found(bundle) == set()


UNITS = (None, "1", {}, {"size": 0.0}, {"size": "1"}, {"size": float("inf")}, {"depth": 1.0})


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_a_unit_that_is_none_is_found_and_is_no_crash(bundle, unit):
    record = cell(bundle)
    changed = {**record.facts["proxy_unit"], **unit} if isinstance(unit, dict) and unit else unit
    assert {forge(bundle, record, facts={**record.facts, "proxy_unit": changed})} == found(bundle)


PARTS = ("rmsuite", "task", "pool", "embeddings", "split", "annotator", "pairs", "seed", "policies", "training")
LINES = ("", "none", "rmsuite:2|seed:0", "rmsuite:2|seed:0|policies:2|training:steps", "rmsuite:2|seed:0|policies:x")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_signature_that_a_forger_changes_or_leaves_out_is_found(bundle, part):
    record = cell(bundle)
    parts = signature.read(record.signature)
    assert set(parts) == set(PARTS)
    changed = {"seed": "1", "policies": "3", "training": parts["training"].replace("=6", "=7")}.get(part, "other")
    for line in ({**parts, part: changed}, {key: value for key, value in parts.items() if key != part}):
        assert {forge(bundle, record, signature=signature.write(line))} == found(bundle)


@pytest.mark.parametrize("line", LINES)
def test_a_signature_that_is_none_is_found(bundle, line):
    assert {forge(bundle, cell(bundle), signature=line)} == found(bundle)


SPOILT = {
    "short": lambda a: a[:-1],
    "wide": lambda a: a[..., None],
    "nan": lambda a: np.full(a.shape, np.nan),
    "text": lambda a: a.astype("U9"),
    "float16": lambda a: a.astype(np.float16),
    "empty": lambda a: a[:0],
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
def test_arrays_of_another_form_are_found_and_are_no_crash(bundle, spoilt):
    record = cell(bundle)
    for name in ("gold", "reference_gold", "gold_range", "steps", "samples", "rewards", "log_probabilities"):
        where = forge(bundle, record, arrays={**record.arrays, name: spoilt(record.arrays[name])})
        assert found(bundle) == {where}, name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_missing_array_and_one_more_are_found(bundle, optimizer):
    record = cell(bundle, optimizer)
    where = path(bundle, optimizer).relative_to(bundle.home).as_posix()
    for name in record.arrays:
        forge(bundle, record, arrays={key: one for key, one in record.arrays.items() if key != name})
        assert found(bundle) == {where}, name
    forge(bundle, record, arrays={**record.arrays, "mine": np.zeros(2)})
    assert found(bundle) == {where}


def test_notes_and_parameters_are_compared(bundle):
    record = cell(bundle)
    assert {forge(bundle, record, notes=("all rewards are equal",))} == found(bundle)
    assert {forge(bundle, record, parameters={"method": {}, "optimizer": {"k": 3}})} == found(bundle)
    assert {forge(bundle, record, parameters={})} == found(bundle)
    where = forge(bundle, record, parameters={**record.parameters, "method": {"sign": 2, "offset": 0.5}})
    assert {one.where for one in again(bundle).findings} == {where}


def test_other_code_confirms_nothing_and_refutes_nothing(bundle):
    where = forge(bundle, cell(bundle), origin="toys.py #0123456789ab; toys.py #0123456789ab")
    outcome = again(bundle)
    (finding,) = outcome.findings
    assert (finding.where, outcome.cells[where]) == (where, "self-verified")
    assert "cannot confirm" in finding.do
    assert where not in outcome.rerun


def test_missing_mixed_and_misplaced_cells_are_found(whole):
    gone = path(whole, repetition=1)
    gone.unlink()
    assert found(whole) == {gone.relative_to(whole.home).as_posix()}
    shutil.copytree(path(whole).parent, whole.home / "toy-gold@1" / path(whole).parent.name)
    shutil.copytree(whole.home / "toy-gold@1" / "mean", whole.home / FOLDER / "toy-gold@1" / "mean")
    misplaced = {f"toy-gold@1/{path(whole).parent.name}/0.json"}
    misplaced |= {f"{FOLDER}/toy-gold@1/mean/{repetition}.json" for repetition in range(REPETITIONS)}
    assert misplaced < found(whole)


def test_studies_of_two_signatures_in_one_folder_are_found(bundle):
    mix_in(bundle, "best", steps=3, watch=())
    outcome = verify(bundle.home, bundle.book)
    assert all("the signature of the task's other cells" in one.expected for one in outcome.findings)
    assert len(outcome.findings) == N_CELLS // 2


def test_failed_cells_have_no_numbers_and_their_facts_are_compared(bundle):
    record = cell(bundle)
    facts = {key: value for key, value in record.facts.items() if key != "proxy_unit"}
    where = forge(bundle, record, status="failed", phase="train", error="boom", arrays={}, facts=facts)
    outcome = verify(bundle.home, bundle.book)
    assert outcome.findings == ()
    assert outcome.without_numbers == (f"{where} (failed)",)
    forge(bundle, results.read(path(bundle)), facts={**facts, "n_policies": 1})
    assert found(bundle) == {where}


def test_the_beginning_of_a_path_is_the_reference_for_policies_with_a_hidden_layer_too(bundle):
    other = bundle.folder / "hidden"
    run_policies(bundle, other, hidden=3, prompts=2)
    assert found(bundle, other) == set()
    shutil.rmtree(other)


def test_policies_are_kept_as_what_their_values_are_computed_from(bundle):
    setting = Settings(bundle.book).policies_of(cell(bundle))
    n = len(setting.tested.part.rows)
    sure = np.full((n, 1), -1e300)  # no float32
    sure[setting.reference.prompts.starts] = 0.0
    assert set(setting.kept(sure).ravel().tolist()) == {0.0, -np.inf}
    with pytest.raises(ContractError, match="sum to 1"):
        setting.kept(sure - 1e-3)
    proxy, rough = (
        setting.proxy(np.arange(float(len(setting.rewarded_order)))),
        setting.reference.log_reference[:, None],
    )
    values = proxy.values(setting.kept(rough + 1e-9))
    assert np.allclose(values.kl, 0, atol=1e-12), "a policy that is equal on each prompt is the reference"


# The command


@pytest.fixture
def toys(whole, capfd, monkeypatch):
    shown = Toys(whole.folder, whole.plugin, capfd)
    shown.install(monkeypatch)
    return shown


def test_the_command_says_how_many_of_each_and_notes_what_was_reached(toys, whole):
    answer = toys("verify", whole.home, "--rerun", "3", "--seed", "1")
    assert answer.code == 0
    methods = len(results.found(whole.home))
    assert f"{methods} cells and {N_CELLS} cells of policies, 0 findings." in answer.out
    ran = next(line for line in answer.out.splitlines() if line.startswith("Run again"))
    counts = [int(word) for word in ran.split() if word.isdecimal()]
    assert sum(counts[:2]) == 3
    assert ran.endswith("of those of policies, chosen with seed 1.")
    known = levels.read(whole.home)
    assert sum(name.startswith(f"{FOLDER}/") for name in known) == N_CELLS
    record = cell(whole)
    assert levels.of([known])(record) != "unverified"
    forge(whole, record, facts={**record.facts, "n_policies": 7})
    failed = toys("verify", whole.home)
    assert failed.code == 1
    assert "expected fact n_policies = 2, got 7" in failed.out
    shutil.rmtree(whole.home / "toy-gold@1")
    forge(whole, record)
    alone = toys("verify", whole.home)
    assert f"\n{N_CELLS} cells of policies, 0 findings." in alone.out


def test_a_damaged_policy_cell_is_no_crash_and_is_not_missing_too(toys, whole):
    path(whole).write_text("{")
    answer = toys("verify", whole.home)
    assert answer.code == 1
    assert f"{N_CELLS} cells of policies, 1 findings." in answer.out


def test_a_method_cell_of_the_same_name_is_no_policy(whole):
    record = cell(whole)
    results.write(whole.home, replace(record, kind="method"))
    where = results.cell_path(whole.home, record).relative_to(whole.home).as_posix()
    assert where in found(whole)
