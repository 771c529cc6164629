"""The reference policy: who may be imitated, who never. Whoever reads KL and gains over it relies on it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import N_RESPONSES, write_pool
from test_policy_command import USUAL, cells, toys  # noqa: F401 -- a fixture

import rmsuite_tasks
from rmsuite.book import read_book
from rmsuite.policies import Choices
from rmsuite.policy_reference import log_reference

OPTIMIZERS = ["--optimizer", "rloo", "--optimizer", "optimum", "--optimizer", "best"]


@pytest.fixture
def loaded(toy_root):
    write_pool(toy_root, "gold-pool", human=False, generators=("one", "two", "three"))
    return read_book([toy_root]).task("toy-gold").load()


def chances(loaded, name):
    part = loaded.test
    found = log_reference(name, part, loaded.tested, "toy-gold")
    choices = Choices(part.offsets, np.zeros((len(part.rows), 1)), found)
    return choices, loaded.pool.generator[part.rows]


def names(loaded):
    return [str(name) for name in loaded.pool_card["generators"]]


def test_generators_alike_share_the_chance_of_each_prompt(loaded):
    choices, generator = chances(loaded, "generators")
    for start, end in zip(choices.offsets[:-1], choices.offsets[1:], strict=True):
        own, share = generator[start:end], choices.reference[start:end]
        totals = [share[own == one].sum() for one in np.unique(own)]
        assert totals == pytest.approx([1 / len(totals)] * len(totals))


def test_a_generator_that_is_not_named_is_never_drawn(loaded):
    first, second = names(loaded)[:2]
    choices, generator = chances(loaded, f"{first},{second}")
    assert (choices.reference[generator > 1] == 0).all()
    assert (choices.reference[generator <= 1] > 0).all()


def test_policies_never_give_what_the_reference_never_gives(toys, loaded):  # noqa: F811
    first, second = names(loaded)[:2]
    answer = toys("policy", *USUAL, *OPTIMIZERS, "--reference", f"{first},{second}", "--format", "csv")
    assert answer.code == 0, answer.err
    generator = loaded.pool.generator[loaded.test.rows]
    for cell in cells():
        assert (cell.arrays["log_probabilities"][generator > 1] == -np.inf).all()
        assert (cell.arrays["kl"] <= cell.arrays["largest_kl"][:, None] + 1e-9).all()
    (signature,) = {row["signature"] for row in csv.DictReader(io.StringIO(answer.out))}
    assert f"|reference:{first},{second}|" in signature
    said = " ".join(toys("policy", *USUAL, *OPTIMIZERS, "--reference", f"{first},{second}").out.split())
    assert f"draws one of {first}, {second} that answered a prompt" in said
    assert "0 findings" in toys("verify", "out", "--no-record").out


def test_a_deterministic_reference_cannot_be_improved_and_says_so_by_its_numbers(toys, toy_root):  # noqa: F811
    everyone = tuple(f"model-{i}" for i in range(N_RESPONSES))
    write_pool(toy_root, "gold-pool", human=False, generators=everyone)
    answer = toys("policy", *USUAL, *OPTIMIZERS, "--reference", "model-2", "--format", "csv")
    assert answer.code == 0, answer.err
    for row in csv.DictReader(io.StringIO(answer.out)):
        assert float(row["gold_gain"]) == pytest.approx(0, abs=1e-12)
        assert float(row["kl"]) == pytest.approx(0, abs=1e-12)
        assert float(row["win_rate"]) == pytest.approx(0.5)


def test_the_generators_that_the_readme_names_are_there():
    readme = Path(__file__).parents[1] / "README.md"
    (named,) = re.findall(r"`--reference ([^`]*,[^`]*)`", readme.read_text(encoding="utf-8"))
    task = read_book(rmsuite_tasks.rmsuite_tasks()).task("alpaca-eval").load()
    found = log_reference(named, task.test, task.tested, "alpaca-eval")
    given = np.unique(task.pool.generator[task.test.rows][np.isfinite(found)])
    assert sorted(str(task.tested.pool_card["generators"][one]) for one in given) == sorted(named.split(","))


def test_another_reference_is_another_study(toys):  # noqa: F811
    assert toys("policy", *USUAL, "--optimizer", "best").code == 0
    answer = toys("policy", *USUAL, "--optimizer", "best", "--reference", "generators")
    assert answer.code == 2
    assert "reference" in answer.err


def test_who_is_not_in_the_pool_is_refused(toys):  # noqa: F811
    answer = toys("policy", *USUAL, "--optimizer", "best", "--reference", "nobody")
    assert answer.code == 2
    assert "reference 'nobody': expected one of" in answer.err
