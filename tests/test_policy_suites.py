"""Claims on a suite's card, and what results say of them. Who reads "reproduced" relies on it."""

from __future__ import annotations

import textwrap
import tomllib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rmsuite import policy_suites
from rmsuite.book import Suite, read_book
from rmsuite.errors import RmsuiteError
from rmsuite.policy_suites import Claim, Curve, Term, policy_suite
from rmsuite.render.claims import render_claims
from rmsuite.reports.claims import drops, ends, verdicts, word
from rmsuite.statistics import Estimate, crossed_mean

CURVE = Curve(("best[n=2]", "best[n=4]", "best[n=8]"), 0.0)


@dataclass
class Cell:
    """As much of a cell as claims read."""

    task: str
    repetition: int
    facts: dict
    arrays: dict
    status: str = "ok"


def cells(gold, method="mine", task="clean", optimizers=CURVE.optimizers, beta=None, accuracy=None):
    """Closed forms with ``gold`` (n_points, n_repetitions, n_prompts)."""
    for name, points in zip(optimizers, gold, strict=True):
        for repetition, row in enumerate(points):
            right = 70.0 if accuracy is None else accuracy[repetition]
            arrays = {
                "gold": row[None, :, None],
                "reference_gold": np.zeros(len(row)),
                "pair_accuracy": np.tile([right / 100, 1.0], (len(row), 1)),
            }
            yield Cell(task, repetition, {"reward_model": method, "optimizer": name, "beta": beta}, arrays)


def curve(level, slope, seed=0, n_repetitions=5, n_prompts=60, noise=0.05):
    rng = np.random.default_rng(seed)
    points = level + slope * np.arange(3)[:, None, None]
    return points + noise * rng.standard_normal((3, n_repetitions, n_prompts))


def claim(of="gain", bound="above", limit=0.0, terms=((1.0, "mine", "clean"),)):
    found = tuple(Term(weight, method, CURVE, task) for weight, method, task in terms)
    return Claim("P", "it does", "arXiv:0000.00000", of, found, bound, limit)


def judged(one, *groups):
    (found,) = verdicts([cell for group in groups for cell in group], [one])
    return found


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 0.95, "m", "p", 1, 1, 1, 0)


@pytest.mark.parametrize(
    ("bound", "low", "high", "expected"),
    [
        ("above", 0.11, 0.2, "reproduced"),
        ("above", 0.0, 0.1, "not reproduced"),
        ("above", 0.0, 0.2, "inconclusive"),
        ("below", -0.2, 0.09, "reproduced"),
        ("below", 0.1, 0.2, "not reproduced"),
        ("below", 0.0, 0.2, "inconclusive"),
        ("within", -0.09, 0.09, "reproduced"),
        ("within", 0.1, 0.2, "not reproduced"),
        ("within", -0.2, -0.1, "not reproduced"),
        ("within", -0.2, 0.05, "inconclusive"),
    ],
)
def test_a_verdict_is_where_the_whole_interval_lies(bound, low, high, expected):
    assert word(claim(bound=bound, limit=0.1), estimate(low, high)) == expected


def test_a_gain_is_that_of_the_curves_end_and_terms_are_paired():
    mine, theirs = curve(1.0, 0.5), curve(1.0, 0.5) - 0.3
    one = judged(claim(terms=((1.0, "mine", "clean"), (-1.0, "theirs", "clean"))), cells(mine), cells(theirs, "theirs"))
    assert one.estimate.value == pytest.approx(0.3)
    assert one.estimate.high - one.estimate.low < 1e-9, "noise that both share is no noise"
    assert one.word == "reproduced"
    alone = judged(claim(), cells(mine))
    assert alone.estimate.value == pytest.approx(mine[-1].mean())


def test_a_curve_that_falls_drops_and_one_that_rises_does_not():
    falls, rises = judged(claim("drop"), cells(curve(1.0, -0.2))), judged(claim("drop"), cells(curve(1.0, 0.2)))
    assert (falls.word, rises.word) == ("reproduced", "not reproduced")
    assert falls.estimate.value == pytest.approx(0.4, abs=0.03)
    assert rises.estimate.value == pytest.approx(-0.2, abs=0.03)


def test_of_two_curves_that_rise_none_falls_more():
    one = claim("drop", terms=((1.0, "mine", "clean"), (-1.0, "theirs", "clean")))
    found = judged(one, cells(curve(1.0, 0.1, noise=0.0)), cells(curve(1.0, 0.3, noise=0.0), "theirs"))
    assert (found.word, found.estimate.value) == ("not reproduced", 0.0)
    assert found.note == "none of its curves falls, so that each counts 0"
    falls = judged(one, cells(curve(1.0, -0.1, noise=0.0)), cells(curve(1.0, 0.3, noise=0.0), "theirs"))
    assert (falls.word, falls.note) == ("reproduced", "")
    assert falls.estimate.value == pytest.approx(0.2)


def test_a_flat_curve_does_not_seem_to_fall():
    """The best of many noisy points is above the last one, unless it is chosen on other prompts."""
    rng = np.random.default_rng(0)
    found = [drops(rng.standard_normal((20, 1, 40))).mean() for _ in range(400)]
    naive = [(p := rng.standard_normal((20, 1, 40)))[:-1].mean(axis=(1, 2)).max() - p[-1].mean() for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(400)
    assert np.mean(naive) > 10 * np.std(naive) / np.sqrt(400)


def test_the_path_of_a_trained_optimizer_is_a_curve():
    points = curve(1.0, -0.3)
    group = [
        Cell("clean", r, {"reward_model": "mine", "optimizer": "ppo", "beta": 0.1}, {
            "gold": points[:, r, :, None], "reference_gold": np.zeros(60),
        })
        for r in range(5)
    ]  # fmt: skip
    one = claim("drop")
    trained = replace(one, terms=(Term(1.0, "mine", Curve(("ppo",), 0.1), "clean"),))
    assert judged(trained, group).estimate.value == pytest.approx(drops(points).mean())
    other = replace(one, terms=(Term(1.0, "mine", Curve(("ppo",), 0.2), "clean"),))
    assert judged(other, group).note == "no results of mine with ppo on clean"


def test_a_rank_correlation_tells_accuracy_that_goes_with_the_fall():
    accuracy = [60.0, 62.0, 64.0, 66.0, 68.0, 70.0, 72.0, 74.0]
    points = curve(1.0, 0.0, n_repetitions=8, noise=0.0)
    points[-1] -= np.arange(8)[:, None] / 10
    one = judged(claim("correlation", "within", 0.3), cells(points, accuracy=accuracy))
    assert one.estimate.value > 0.9
    assert one.word == "not reproduced"
    few = judged(claim("correlation"), cells(points[:, :3], accuracy=accuracy))
    assert few.note == "3 repetitions: a rank correlation needs 4"
    flat = judged(claim("correlation"), cells(points, accuracy=[70.0] * 8))
    assert flat.note == "nothing varies over repetitions"


def test_what_is_missing_says_so():
    one = judged(claim(terms=((1.0, "mine", "clean"), (-1.0, "theirs", "clean"))), cells(curve(1, 0)))
    assert (one.word, one.estimate) == ("not run", None)
    assert one.note == "no results of theirs with best[n=2] on clean"
    uneven = list(cells(curve(1, 0)))[1:]
    assert "has not the same repetitions at all its points" in judged(claim(), uneven).note
    two = claim(terms=((1.0, "mine", "clean"), (-1.0, "mine", "noisy")))
    other = cells(curve(1, 0, n_prompts=7), task="noisy")
    assert judged(two, cells(curve(1, 0)), other).note == "the terms have not the same prompts and repetitions"
    single = Claim("P", "it does", "here", "drop", (Term(1.0, "mine", Curve(("best",), 0.0), "clean"),), "above", 0.0)
    point = cells(curve(1, 0)[:1], optimizers=("best",))
    assert judged(single, point).note == "a curve of one point has no earlier one to fall from"
    failed = [replace(cell, status="failed") for cell in cells(curve(1, 0))]
    assert judged(claim(), failed).estimate is None


def test_terms_of_other_repetitions_are_not_paired():
    two = claim(terms=((1.0, "mine", "clean"), (-1.0, "theirs", "clean")))
    theirs = [replace(cell, repetition=cell.repetition + 1) for cell in cells(curve(1, 0), "theirs")]
    assert judged(two, cells(curve(1, 0)), theirs).note == "the terms have not the same prompts and repetitions"


def test_a_curve_of_one_point_cannot_fall():
    one = claim("drop")
    short = replace(one, terms=(Term(1.0, "mine", Curve(("best[n=2]",), 0.0), "clean"),))
    assert judged(short, cells(curve(1.0, 0.5))).note == "a curve of one point has no earlier one to fall from"


def test_a_correlation_that_so_few_repetitions_cannot_bound_says_so():
    """Around 0 the interval of n repetitions is tanh(1.96 sqrt(1.06 / (n - 3))): 0.89 for 5, 0.41 for 25."""
    for n, within in ((5, False), (25, True)):
        points = curve(1.0, 0.0, n_repetitions=n)
        found = judged(claim("correlation", "within", 0.5), cells(points, accuracy=list(range(60, 60 + n))))
        assert ("cannot reproduce it: around 0 the interval would be" in found.note) is not within
    assert (
        "[-0.89, +0.89]"
        in judged(claim("correlation", "within", 0.5), cells(curve(1.0, 0.0), accuracy=[60, 61, 62, 63, 64])).note
    )


def footer(n_repetitions):
    return " ".join(
        render_claims(verdicts(cells(curve(1.0, 0.5, n_repetitions=n_repetitions)), [claim()]), "text").split()
    )


def test_an_interval_of_few_repetitions_does_not_claim_to_speak_of_them():
    one, two, three = map(footer, (1, 2, 3))
    assert "60 prompts, 1 repetition, for prompts like these; the one repetition held fixed." in one
    assert "Warning: an interval from 1 repetition says nothing of repetitions anew" in one
    assert "60 prompts, 2 repetitions, for prompts like these and repetitions anew." in two
    assert "Warning: an interval from 2 repetitions is too narrow" in two
    assert "Warning" not in three


def test_claims_are_printed_in_each_format():
    found = verdicts(cells(curve(1.0, 0.5)), [claim(), claim(terms=((1.0, "theirs", "clean"),))])
    for style in ("text", "markdown", "csv"):
        said = " ".join(render_claims(found, style).split())
        assert "reproduced" in said
        assert "no results of theirs with" in said
    assert ends(curve(1.0, 0.5)).shape == (5, 60)


# The interval


@pytest.mark.parametrize(("repetition", "rest"), [(0.0, 1.0), (0.5, 1.0), (1.0, 0.2)])
def test_intervals_of_crossed_means_hold_the_truth_about_as_often_as_they_say(repetition, rest):
    """Repetitions and prompts have a part each; 400 worlds, so that the share has an error of 0.011."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        values = repetition * rng.standard_normal((5, 1)) + rng.standard_normal((1, 40))
        found = crossed_mean(values + rest * rng.standard_normal((5, 40)), "both")
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= 0.995


def test_one_repetition_has_the_t_interval_of_its_clusters():
    from scipy import stats

    row = np.random.default_rng(1).standard_normal(30)
    found = crossed_mean(row[None], "clusters")
    low, high = stats.t.interval(0.95, 29, row.mean(), stats.sem(row))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_values_that_are_all_equal_have_no_width():
    found = crossed_mean(np.full((3, 4), 0.5), "both")
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


# The card

STUDY = {
    "runs": [{"methods": ["mine"], "optimizers": ["best[n=2]"], "betas": [0]}],
    "tasks": {"clean": "toy-gold"},
    "curves": {"best": {"optimizers": ["best[n=2]", "best[n=4]"]}},
    "claims": [
        {"id": "P", "says": "so", "source": "here", "of": "gain", "terms": [[1, "mine", "best", "clean"]], "above": 0}
    ],
}


def read(toy_root, **changes):
    suite = Suite("mine", "", ("toy-gold",), 1, study={**STUDY, **changes})
    return policy_suite(suite, read_book([toy_root]), str.upper, str.lower)


def test_a_card_is_read_with_names_as_cells_have_them(toy_root):
    found = read(toy_root, steps=7, learning_rate=1)
    assert found.training == {"steps": 7, "learning_rate": 1}
    (run,), (one,) = found.runs, found.claims
    assert (run.methods, run.optimizers, run.betas) == (("MINE",), ("best[n=2]",), (0.0,))
    assert one.terms == (Term(1.0, "MINE", Curve(("best[n=2]", "best[n=4]"), 0.0), "toy-gold@1"),)
    assert (one.bound, one.limit) == ("above", 0.0)


def test_the_card_in_the_documentation_is_one(toy_root):
    card = tomllib.loads(textwrap.dedent(policy_suites.__doc__.split("::\n")[1]))
    found = read(toy_root, **{**card["study"], "tasks": {"clean": "toy-gold"}})
    assert found.claims[0].terms == (Term(1.0, "BT-MLP", Curve(("ppo",), 0.0), "toy-gold@1"),)


CLAIM = STUDY["claims"][0]
MISTAKES = {
    "study: expected runs": {"strange": 1},
    "study.steps: expected int, got 'many'": {"steps": "many"},
    r"study.runs\[0\]: expected methods, optimizers, betas": {"runs": [{"methods": ["mine"]}]},
    r"study.claims\[0\]: expected of = one of gain, drop, correlation": {"claims": [{**CLAIM, "of": "fame"}]},
    "and above and below": {"claims": [{**CLAIM, "below": 1.0}]},
    r"expected \[weight, method, name of a curve, name of a task\]": {"claims": [{**CLAIM, "terms": [["mine"]]}]},
    "curve 'worst': expected one of best": {"claims": [{**CLAIM, "terms": [[1, "mine", "worst", "clean"]]}]},
    "task of a claim 'foul': expected one of clean": {"claims": [{**CLAIM, "terms": [[1, "mine", "best", "foul"]]}]},
}


@pytest.mark.parametrize(("message", "changes"), MISTAKES.items())
def test_a_card_with_a_mistake_is_refused(toy_root, message, changes):
    with pytest.raises(RmsuiteError, match=message):
        read(toy_root, **changes)


def test_a_suite_without_policies_says_so(toy_root):
    suite = Suite("plain", "", ("toy-gold",), 1)
    with pytest.raises(RmsuiteError, match=r"suite 'plain': expected a table \[study\] on its card, got none"):
        policy_suite(suite, read_book([toy_root]), str, str)
