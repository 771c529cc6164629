"""Policy cells: what workers get, that gold stays here, and that numbers are the same whoever computes them beside."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from plugin_files import METHOD, write
from running import loaded, same_arrays

from rmsuite import plugins, policy_cells, policy_worker, results
from rmsuite.arrays import as_log_probabilities
from rmsuite.cells import Conditions
from rmsuite.errors import ContractError, TaskError
from rmsuite.executors import InProcess, Local
from rmsuite.harness import Entrant
from rmsuite.policies import Training, Unit
from rmsuite.policy_setting import PolicySetting
from rmsuite.policy_study import Improver, Study, label
from rmsuite.setting import Setting
from rmsuite.worker import Outcome

PLUGIN = (
    METHOD
    + """

import gc
import os
import sys
from dataclasses import dataclass

import numpy as np
from rmsuite.policies import RLOO, BestOf, Optimum, Reinforce


class Failing(Mean):
    def reward(self, embeddings):
        raise ValueError("no reward")


class Void(Mean):
    def reward(self, embeddings):
        return np.full(len(embeddings), np.nan)


def unmade(how="raise"):
    if how == "none":
        return None
    raise SystemExit(3) if how == "exit" else KeyError("x")


class Stating(Mean):
    def probability(self, embeddings, first, second):
        raise ValueError("nobody is to ask")


@dataclass(frozen=True)
class Reader:
    "Reads a file."
    path: str

    def coefficients(self, step):
        open(self.path)


@dataclass(frozen=True)
class Broken:
    how: str = "raise"

    def coefficients(self, step):
        if self.how == "exit":
            os._exit(3)
        if self.how == "void":
            return np.full(step.probabilities.shape, np.nan)
        if self.how == "print":
            print("hello from the optimizer")
        raise ValueError("no step")


@dataclass(frozen=True)
class Rude:
    "Answers with what is no distribution."
    how: str = "half"

    def log_probabilities(self, choices, rewards):
        if self.how == "half":
            return np.full((choices.n_responses, 1), -1e-3)
        if self.how == "write":
            rewards[:] = 0
        return np.zeros((3, 1))


@dataclass(frozen=True)
class Thrifty:
    "Takes rewards that it does not ask for."

    def coefficients(self, step):
        return step._situation.gradient()


@dataclass(frozen=True)
class Spying:
    "Fails if a number of the process is gold, or an array of its own has gold's length but is no reward."

    def coefficients(self, step):
        found = {name for one in gc.get_objects() for name in (one if isinstance(one, dict) else ())
                 if isinstance(name, str) and name in ("gold", "prompt_id", "response_id", "_drawn", "human_pairs")
                 and isinstance(one.get(name), np.ndarray)}
        if found or "rmsuite.policy_setting" in sys.modules:
            raise AssertionError(f"found {sorted(found)}")
        return step.ascent(step.sample(), step.value(step.sample()))


@rmsuite.hookimpl
def rmsuite_methods():
    made = {"good": Mean, "failing": Failing, "stating": Stating, "void": Void}
    return [rmsuite.Method(name=name, make=make) for name, make in made.items()]


@rmsuite.hookimpl
def rmsuite_optimizers():
    made = {"rloo": RLOO, "plain": Reinforce, "best": BestOf, "optimum": Optimum, "reader": Reader,
            "broken": Broken, "rude": Rude, "thrifty": Thrifty, "spying": Spying, "unmade": unmade}
    return [rmsuite.PolicyOptimizer(name=name, make=make) for name, make in made.items()]
"""
)
SHORT = Training(steps=12, learning_rate=0.1, watch=(5,))
BETA = 0.05


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "theirs.py", PLUGIN)


def run(
    file: Path,
    root: Path,
    home: Path,
    optimizers=("rloo",),
    *,
    methods=("good",),
    betas=(BETA,),
    task="toy-gold",
    repetitions=1,
    training=SHORT,
    n_policies=2,
    workers=None,
):
    catalogue = plugins.load([file], installed=False)
    entrants = [Entrant(configured, owner.source) for owner, configured in map(catalogue.configured, methods)]
    improvers = [Improver(configured, owner.source) for owner, configured in map(catalogue.optimizer, optimizers)]
    study = Study(improvers, betas, training, n_policies)
    workers = workers or Local(1, Conditions((root, home), {plugins.load_file(file).__name__: file}))
    crossed = policy_cells.Crossed(entrants, study, repetitions, 0)
    records = policy_cells.run(loaded(root, task), crossed, workers, home)
    return {(record.method, record.repetition): record for record in records}


def one(file, root, home, optimizer="rloo", **more):
    (record,) = run(file, root, home, [optimizer], **more).values()
    return record


def test_a_cell_says_what_policies_are_worth_along_the_path(file, toy_root, tmp_path):
    record = one(file, toy_root, tmp_path / "out")
    assert (record.status, record.error, record.kind) == ("ok", "", "policy")
    assert record.method == label("good", "rloo", BETA)
    found = record.arrays
    n_prompts, n_train = record.facts["n_test_prompts"], record.facts["n_train_prompts"]
    assert found["steps"].tolist() == [0, 5, 12]
    assert {found[name].shape for name in policy_cells.COLUMNS} == {(3, n_prompts, 2)}
    assert found["samples"].tolist() == found["reward_calls"].tolist() == [0, 5 * 4 * n_train, 12 * 4 * n_train]
    assert np.allclose(found["win_rate"][0], 0.5)
    assert np.allclose(found["kl"][0], 0)
    assert np.allclose(found["gold"][0], found["reference_gold"][:, None])
    assert np.allclose(found["length"][0], found["reference_length"][:, None])
    gains = [(found[name] - found[f"reference_{name}"][:, None]).mean(axis=(1, 2)) for name in ("gold", "proxy")]
    assert all(gain[0] == pytest.approx(0) for gain in gains)
    assert all(0 < gain[1] < gain[2] for gain in gains)
    assert (np.diff(found["kl"].mean(axis=(1, 2))) > 0).all()
    assert record.facts["hyperparameters"] == {"k": 4}
    assert record.facts["train_seconds"] > 0


def test_a_record_is_stored_apart_from_other_cells_and_reads_back(file, toy_root, tmp_path):
    home = tmp_path / "out"
    record = one(file, toy_root, home)
    path = results.path_of(home / "policies", record.task, record.method, 0)
    assert same_arrays(dict(results.read(path).arrays), dict(record.arrays))
    assert results.found(home) == []


def test_a_closed_form_is_there_at_once_and_gets_the_beta_of_the_cell(file, toy_root, tmp_path):
    records = run(file, toy_root, tmp_path / "out", ["optimum", "best"], betas=(0.1, 10.0))
    for record in records.values():
        assert (record.status, record.error) == ("ok", "")
        assert record.arrays["steps"].tolist() == [0]
        assert record.arrays["samples"].tolist() == [0]
        assert (record.arrays["kl"][..., 0] == record.arrays["kl"][..., 1]).all()
    kl = {method: record.arrays["kl"].mean() for (method, _), record in records.items()}
    assert kl[label("good", "optimum", 0.1)] > 10 * kl[label("good", "optimum", 10.0)]
    assert kl[label("good", "best", 0.1)] == kl[label("good", "best", 10.0)]


def test_no_policy_has_a_larger_objective_than_the_optimum(file, toy_root, tmp_path):
    long = Training(steps=300, learning_rate=0.05)
    records = run(file, toy_root, tmp_path / "out", ["optimum", "rloo"], betas=(0.5,), training=long)
    worth = {}
    for (method, _), record in records.items():
        found = record.arrays
        worth[method] = (found["proxy"] - 0.5 * found["kl"] - found["reference_proxy"][:, None])[-1]
    optimum, learned = worth[label("good", "optimum", 0.5)], worth[label("good", "rloo", 0.5)]
    assert (learned <= optimum + 1e-9).all()
    assert learned.mean() > 0.8 * optimum.mean()


def test_other_cells_move_no_number(file, toy_root, tmp_path):
    alone = one(file, toy_root, tmp_path / "a")
    more = run(
        file,
        toy_root,
        tmp_path / "b",
        ["plain", "rloo[k=2]", "rloo"],
        methods=("good[sign=-1]", "good"),
        betas=(0.3, BETA),
        repetitions=2,
    )
    assert len(more) == 24
    assert same_arrays(dict(alone.arrays), dict(more[alone.method, 0].arrays))
    assert not np.array_equal(alone.arrays["gold"], more[alone.method, 1].arrays["gold"])


def test_optimizers_meet_on_common_random_numbers_and_policies_differ(file, toy_root, tmp_path):
    records = run(file, toy_root, tmp_path / "out", ["rloo", "plain"], betas=(0.1, 0.2), n_policies=3)
    first, *others = (record.arrays["kl"][-1] for record in records.values())
    assert not any(np.array_equal(first, other) for other in others)
    assert all(len({column.tobytes() for column in record.arrays["kl"][-1].T}) == 3 for record in records.values())


def test_a_policy_is_the_same_however_many_are_trained_beside_it(file, toy_root, tmp_path):
    few, many = (one(file, toy_root, tmp_path / str(n), n_policies=n).arrays["gold"] for n in (1, 3))
    assert np.array_equal(few, many[..., :1])


def test_the_process_of_the_run_computes_the_same_numbers(file, toy_root, tmp_path):
    there, here = one(file, toy_root, tmp_path / "a"), one(file, toy_root, tmp_path / "b", workers=InProcess())
    assert same_arrays(dict(there.arrays), dict(here.arrays))


def test_a_method_is_asked_for_no_probabilities(file, toy_root, tmp_path):
    stating, good = (one(file, toy_root, tmp_path / m, methods=(m,)) for m in ("stating", "good"))
    assert stating.status == "ok"
    assert same_arrays(dict(stating.arrays), dict(good.arrays))


def test_a_unit_of_rewards_moves_no_policy(file, toy_root, tmp_path):
    """The method's rewards have any scale: beta is in units of the training part."""
    one_, other = (one(file, toy_root, tmp_path / str(s), methods=(f"good[sign={s}]",)) for s in (1, 1024))
    for name in ("gold", "kl", "proxy"):
        assert np.allclose(one_.arrays[name], other.arrays[name], rtol=1e-4, atol=1e-4)
    assert not np.allclose(one_.arrays["rewards"], other.arrays["rewards"])


# What is a stranger's

FAILURES = {
    "broken": ("train", "ValueError: no step"),
    "broken[how=exit]": ("worker", "the worker process died .EXIT.3.."),
    "broken[how=void]": ("train", "coefficients of optimizer 'broken.*expected finite numbers"),
    "rude": ("policy", "log probabilities of a policy: expected probabilities that sum to 1"),
    "rude[how=shape]": ("policy", r"log probabilities of 'rude\[how=shape\]': expected shape"),
    "rude[how=write]": ("policy", "ValueError: assignment destination is read-only"),
    "rloo[k=1]": ("make", "hyperparameter 'k': expected a whole number of at least 2"),
}


def test_an_optimizer_that_fails_costs_its_own_cells(file, toy_root, tmp_path):
    records = run(file, toy_root, tmp_path / "out", [*FAILURES, "rloo"])
    for text, (phase, message) in FAILURES.items():
        record = records[label("good", text, BETA), 0]
        assert (record.status, record.phase) == ("failed", phase), record.error
        assert re.search(message, record.error), record.error
        assert not record.arrays
    assert records[label("good", "rloo", BETA), 0].status == "ok"


class Seen(InProcess):
    """Says of each cell that it had threads of its own."""

    def run(self, jobs):
        for job, outcome in super().run(jobs):
            yield job, replace(outcome, threads=3)


def test_notes_say_what_makes_a_cost_another_than_it_seems(file, toy_root, tmp_path):
    records = run(file, toy_root, tmp_path / "out", ["rloo", "thrifty", "best"], training=Training(steps=2))
    notes = {record.facts["optimizer"]: record.notes for record in records.values()}
    assert notes == {"thrifty": ("its training counts no reward call",), "rloo": (), "best": ()}
    seen = one(file, toy_root, tmp_path / "seen", workers=Seen())
    assert seen.notes == ("ran 3 threads beside the one that it is given",)


def test_a_method_that_fails_costs_its_own_cells_and_says_where(file, toy_root, tmp_path):
    records = run(file, toy_root, tmp_path / "out", ["rloo", "plain"], methods=("failing", "good"))
    failed = [record for record in records.values() if record.status == "failed"]
    assert {record.method for record in failed} == {label("failing", name, BETA) for name in ("rloo", "plain")}
    assert {(record.phase, record.error) for record in failed} == {("reward", "ValueError: no reward")}
    assert sum(record.status == "ok" for record in records.values()) == 2


def test_an_optimizer_finds_no_gold_in_its_process_and_may_open_no_pool(file, toy_root, tmp_path):
    assert one(file, toy_root, tmp_path / "a", "spying").status == "ok"
    gold = next(toy_root.rglob("*gold*.npy"), None) or next((toy_root / "pools" / "gold-pool").glob("*.np*"))
    record = one(file, toy_root, tmp_path / "b", f"reader[path='{gold}']")
    assert record.status == "failed"
    assert "PermissionError" in record.error


def test_the_spy_would_find_gold_in_the_process_of_the_run(file, toy_root, tmp_path):
    record = one(file, toy_root, tmp_path / "a", "spying", workers=InProcess())
    assert record.status == "failed"
    assert "found" in record.error


FORGED = {
    "the worker process has 7 policies": ({"policies": 7}, {"samples": 1, "rewards": 1}),
    "the worker process has 0 policies": ({}, {"samples": 1, "rewards": 1}),
    "the worker process counts ['samples']": ({"policies": 1}, {"samples": 1}),
}


@pytest.mark.parametrize(("message", "counts"), FORGED.items())
def test_a_worker_that_answers_otherwise_than_it_was_asked_costs_its_cell(message, counts):
    learned, asked = counts
    answers = {policy_worker.learn: Outcome(counts=learned), policy_worker.meet: Outcome()}
    answers[policy_worker.policy] = Outcome(log_probabilities=np.zeros(2), counts=asked)
    job = policy_worker.PolicyJob(SimpleNamespace(label="one"), SHORT, (1,), 2, dict, dict, 2)
    outcome = policy_worker.in_steps(lambda step, *given: answers[step], job)
    assert (outcome.phase, outcome.error, outcome.policies) == ("worker", message, ())


def test_test_prompts_are_sent_when_the_training_has_returned():
    told = []

    def call(step, *given):
        told.append(step.__name__)
        own = {"policies": 3} if step is policy_worker.learn else {"samples": 1, "rewards": 1}
        return Outcome(counts=own)

    job = policy_worker.PolicyJob(
        SimpleNamespace(label="one"), SHORT, (1,), 2, dict, lambda: told.append("sent") or {}, 2
    )
    assert len(policy_worker.in_steps(call, job).policies) == 3
    assert told == ["learn", "sent", "meet", "policy", "policy", "policy"]


# What is shown


def setting(root, repetition=0, task="toy-gold"):
    (loaded_task,) = loaded(root, task)
    return PolicySetting(Setting(loaded_task, 0, repetition))


def test_all_responses_are_shown_once_prompt_by_prompt_in_an_order_that_says_nothing(toy_root):
    found = setting(toy_root)
    for shown in (found.trained, found.tested):
        part, n = shown.part, len(shown.order)
        assert np.array_equal(np.sort(shown.order), np.arange(n))
        prompts = [part.prompt[shown.order[a:b]] for a, b in zip(shown.offsets[:-1], shown.offsets[1:], strict=True)]
        assert all(len(set(one_)) == 1 for one_ in prompts)
        assert sorted(one_[0] for one_ in prompts) == list(range(part.n_prompts))
        assert [one_[0] for one_ in prompts] != list(range(part.n_prompts))
        inner = np.concatenate(
            [np.argsort(np.argsort(shown.order[a:b])) for a, b in zip(shown.offsets, shown.offsets[1:], strict=False)]
        )
        assert len(set(inner[::6])) > 1, "responses of a prompt are shuffled too"
        assert np.array_equal(shown.sorted_back(part.gold[shown.order]), part.gold)


def test_repetitions_show_other_orders_of_the_same_test_part(toy_root):
    one_, other = setting(toy_root, 0).tested, setting(toy_root, 1).tested
    assert np.array_equal(one_.part.rows, other.part.rows)
    assert not np.array_equal(one_.order, other.order)


def test_rewards_come_back_to_the_responses_they_are_of(toy_root):
    found = setting(toy_root)
    pool = found.setting.task.pool
    rows = np.concatenate([found.trained.part.rows, found.tested.part.rows])
    matrix = found.setting.task.embeddings.matrix
    assert np.array_equal(found.rewarded[:], np.asarray(matrix[rows[found.rewarded_order]]))
    proxy = found.proxy(pool.gold[rows[found.rewarded_order]])
    assert np.array_equal(proxy.raw_train, found.trained.part.gold)
    assert np.array_equal(proxy.raw_test, found.tested.part.gold)
    shown = proxy.tested()
    assert np.array_equal(shown.rewards, proxy.test[found.tested.order])
    assert np.array_equal(shown.embeddings, np.asarray(matrix[found.tested.part.rows[found.tested.order]]))
    assert proxy.unit == found.gold_unit


def test_policies_need_gold_rewards(file, toy_root, tmp_path):
    with pytest.raises(TaskError, match=r"policies on task toy-human@1: expected gold rewards of single responses"):
        run(file, toy_root, tmp_path / "out", task="toy-human")


def test_a_unit_gives_unit_variance_within_prompts_and_leaves_zero_where_it_is():
    rng = np.random.default_rng(0)
    offsets = np.array([0, 3, 5, 9])
    rewards = 7 + 3 * rng.standard_normal(9)
    found = Unit.of(offsets, rewards)(rewards)
    parts = [found[a:b] for a, b in pairwise(offsets)]
    assert found / rewards == pytest.approx(1 / Unit.of(offsets, rewards).size), "no baseline by the back door"
    assert np.mean([part.var() for part in parts]) == pytest.approx(1)
    shifted = Unit.of(offsets, rewards + np.repeat([0, 100, -50], [3, 2, 4]))
    assert shifted.size == pytest.approx(Unit.of(offsets, rewards).size), "how prompts differ does not count"


@pytest.mark.parametrize("rewards", [np.zeros(6), np.repeat([5.0, -1.0], 3), np.repeat([0.1, 0.7], 3)])
def test_rewards_that_are_equal_within_each_prompt_have_the_unit_one(rewards):
    assert Unit.of(np.array([0, 3, 6]), rewards).size == 1.0, "what rounding leaves is no difference"


def test_huge_rewards_have_a_finite_unit():
    found = Unit.of(np.array([0, 2]), np.array([1e300, -1e300]))
    assert found.size == pytest.approx(1e300)


def test_log_probabilities_are_numbers_or_never():
    assert as_log_probabilities([0.0, -np.inf], 2, who="mine").tolist() == [0.0, -np.inf]
    for bad in ([np.nan, 0], [np.inf, 0], [0.0], ["a", "b"], [1j, 0]):
        with pytest.raises(ContractError, match="log probabilities of mine: expected"):
            as_log_probabilities(bad, 2, who="mine")
