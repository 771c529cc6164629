"""Losses of pairs: slopes by finite differences, and values that one computes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from differences import slopes
from sklearn.metrics import log_loss

from rmsuite_baselines.losses import PairLoss, point_loss

CHOSEN, REJECTED = np.array([0, 0, 1, 4, 3]), np.array([1, 2, 2, 3, 0])
LOSSES = {
    "bradley-terry": PairLoss(),
    "margin": PairLoss(margin=0.7),
    "smoothing": PairLoss(smoothing=0.2),
    "margin and smoothing": PairLoss(margin=0.7, smoothing=0.2),
    "hinge": PairLoss("hinge", margin=0.9),
    "centring": PairLoss(centring=0.3),
    "points": point_loss,
}


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
@pytest.mark.parametrize("size", [1.0, 100.0], ids=["usual rewards", "saturated rewards"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_slope_is_that_of_finite_differences(name, size, shape):
    """Every network is trained by it; a response in several pairs gathers their slopes."""
    rewards = size * np.random.default_rng(0).standard_normal(shape)
    _, slope = LOSSES[name](rewards, CHOSEN, REJECTED)
    numeric = slopes(lambda: LOSSES[name](rewards, CHOSEN, REJECTED)[0], rewards)
    np.testing.assert_allclose(slope, numeric, rtol=0, atol=2e-6)
    assert slope.dtype == rewards.dtype
    assert not slope[5].any()


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("centring", "points")])
def test_losses_of_differences_have_no_origin(name):
    """So their slopes sum to zero."""
    rewards = np.random.default_rng(0).standard_normal(6)
    value, slope = LOSSES[name](rewards, CHOSEN, REJECTED)
    assert LOSSES[name](rewards + 5, CHOSEN, REJECTED)[0] == pytest.approx(value)
    assert slope.sum() == pytest.approx(0, abs=1e-12)


def test_the_loss_of_equal_rewards_is_the_logarithm_of_two():
    value, slope = PairLoss()(np.zeros(4), np.array([0, 2]), np.array([1, 3]))
    assert value == pytest.approx(np.log(2))
    np.testing.assert_allclose(slope, [-0.25, 0.25, -0.25, 0.25])


def test_smoothing_is_the_mean_over_labels_that_are_wrong_so_often():
    """The oracle averages the loss over the two labels; one half makes the rewards' order worthless."""
    rewards = np.random.default_rng(0).standard_normal(6)
    right, wrong = PairLoss()(rewards, CHOSEN, REJECTED)[0], PairLoss()(rewards, REJECTED, CHOSEN)[0]
    assert PairLoss(smoothing=0.2)(rewards, CHOSEN, REJECTED)[0] == pytest.approx(0.8 * right + 0.2 * wrong)
    best = PairLoss(smoothing=0.5)(np.zeros(6), CHOSEN, REJECTED)
    assert not best[1].any()


def test_the_hinge_rests_where_a_pair_is_won_by_the_margin():
    value, slope = PairLoss("hinge", margin=1.0)(np.array([3.0, 0.0, 0.4]), np.array([0, 2]), np.array([1, 1]))
    assert value == pytest.approx((0 + 0.6) / 2)
    np.testing.assert_allclose(slope, [0, 0.5, -0.5])


def test_centring_is_zero_where_rewards_sum_to_zero_and_grows_with_their_shift():
    rewards, pair = np.array([2.0, -2.0]), (np.array([0]), np.array([1]))
    plain = PairLoss()(rewards, *pair)[0]
    assert PairLoss(centring=0.1)(rewards, *pair)[0] == pytest.approx(plain)
    assert PairLoss(centring=0.1)(rewards + 3, *pair)[0] == pytest.approx(plain + 0.1 * 6**2)


def test_the_loss_of_points_is_scikit_learns_log_loss():
    rewards = np.random.default_rng(0).standard_normal(6)
    logits = rewards[np.concatenate([CHOSEN, REJECTED])]
    labels = np.repeat([1, 0], len(CHOSEN))
    expected = log_loss(labels, 1 / (1 + np.exp(-logits)))
    assert point_loss(rewards, CHOSEN, REJECTED)[0] == pytest.approx(expected)
