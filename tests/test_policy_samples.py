"""Samples to a gold gain in the table of policies. Who claims that an optimizer needs fewer relies on it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from test_policy_command import USUAL, cells, toys  # noqa: F401 -- a fixture

TWO = ["--optimizer", "rloo", "--optimizer", "rloo[k=2]", "--optimizer", "optimum"]
LEARNING = ["--steps", "60", "--prompts", "4", "--learning-rate", "0.1", "--beta", "0", "--target", "0.3"]


def table(toys, *options):  # noqa: F811
    answer = toys("policy", *USUAL, *TWO, *LEARNING, *options, "--format", "csv")
    assert answer.code == 0, answer.err
    return {row["optimizer"]: row for row in csv.DictReader(io.StringIO(answer.out))}


def test_samples_are_where_the_stored_path_first_has_the_gain(toys):  # noqa: F811
    found = table(toys)
    for name in ("rloo", "rloo[k=2]"):
        own = [cell.arrays for cell in cells() if cell.facts["optimizer"] == name]
        path = np.mean([(one["gold"] - one["reference_gold"][:, None]).mean(axis=(1, 2)) for one in own], axis=0)
        after = int(np.argmax(path >= 0.3))
        samples = own[0]["samples"]
        expected = np.interp(0.3, path[after - 1 : after + 1], samples[after - 1 : after + 1])
        assert float(found[name]["samples_to"]) == pytest.approx(expected)
        assert float(found[name]["samples_low"]) <= expected <= float(found[name]["samples_high"])
        assert found[name]["ratio"] == "", "nothing was named to compare with"
    assert found["optimum"]["samples_to"] == "", "a closed form writes no responses"


def test_the_ratio_is_against_the_named_optimizer(toys):  # noqa: F811
    found = table(toys, "--against", "rloo[k=2]")
    both = [float(found[name]["samples_to"]) for name in ("rloo", "rloo[k=2]")]
    assert float(found["rloo"]["ratio"]) == pytest.approx(both[0] / both[1])
    assert float(found["rloo"]["ratio_low"]) <= both[0] / both[1] <= float(found["rloo"]["ratio_high"])
    assert found["rloo[k=2]"]["ratio"] == ""
    said = " ".join(toys("policy", *USUAL, *TWO, *LEARNING, "--against", "rloo[k=2]").out.split())
    assert "times rloo[k=2]'s: with the same reward model and beta" in said


def test_an_interval_says_how_much_of_training_it_knows(toys):  # noqa: F811
    def said(policies):
        answer = toys("policy", *USUAL, *TWO, "--against", "rloo", "--policies", policies, "-o", policies)
        return " ".join(answer.out.split())

    several, alone = said("2"), said("1")
    assert "the 2 training(s) of each repetition" in several
    assert "they speak of prompts like these and trainings anew of policies" in several
    assert "They are too narrow: 2 trainings tell little of how trainings differ." in several
    assert "without the draws in which neither gets there" in several
    assert "they speak of prompts like these; the one training of each repetition held fixed." in alone
    assert "too narrow" not in alone


def test_what_never_gets_there_says_so(toys):  # noqa: F811
    answer = toys("policy", *USUAL, *TWO, "--target", "50")
    assert "never [never, never]" in answer.out


def test_only_an_optimizer_of_the_command_can_be_compared_with(toys):  # noqa: F811
    answer = toys("policy", *USUAL, *TWO, "--against", "best")
    assert answer.code == 2
    assert "--against 'best': expected one of" in answer.err


def test_a_shift_of_all_rewards_is_no_business_of_a_baseline_of_the_prompt(toys):  # noqa: F811
    """RLOO's advantages are differences within a prompt, so that its path is the same up to rounding."""
    plain, moved = table(toys, "-o", "plain"), table(toys, "--shift", "7", "-o", "moved")
    for name in plain:
        assert float(moved[name]["gold_gain"]) == pytest.approx(float(plain[name]["gold_gain"]), abs=1e-6)
        assert float(moved[name]["proxy_gain"]) == pytest.approx(float(plain[name]["proxy_gain"]), abs=1e-6)
    assert "shift=7.0" in moved["rloo"]["signature"]
