"""The executable contract: one small check a promise. ``rmsuite check NAME`` runs them on anybody's method."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite.checks import contract, powers
from rmsuite.checks.base import Broken, Check, Finding, Subject, file_listing
from rmsuite.errors import NotApplicable, describe

__all__ = ["CHECKS", "Broken", "Check", "Finding", "Subject", "check_method", "examine", "file_listing"]


def check_method(subject: Subject) -> list[Finding]:
    """Run every check; an unexpected exception of the method is a finding too."""
    return [examine(check, subject) for check in CHECKS]


def examine(check: Check, subject: Subject) -> Finding:
    """Run one check under a limit of one thread; what the method prints goes to standard error."""
    try:
        with threadpool_limits(limits=1), np.errstate(all="ignore"), contextlib.redirect_stdout(sys.stderr):
            check.run(subject)
    except Broken as broken:
        return Finding(check, "failed", broken.evidence, broken.remedy)
    except NotApplicable as reason:
        return Finding(check, "skipped", str(reason))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a stranger's code may raise anything: a finding
        return Finding(check, "failed", describe(error), "make `fit` and `reward` run on toy data")
    return Finding(check, "passed")


CHECKS: tuple[Check, ...] = (
    Check("fresh-objects", "`make` gives a new object each time, and objects share no state", contract.fresh_objects),
    Check("fit-returns-self", "`fit` returns the model", contract.fit_returns_self),
    Check("reward-shape", "`reward` returns (n,) for n rows, for one row too", contract.reward_shape),
    Check("finite-rewards", "rewards are finite, with constant features too", contract.finite_rewards),
    Check("row-order", "reordering rows reorders rewards and changes none", contract.row_order),
    Check("batch-invariance", "a reward does not depend on the other rows of the batch", contract.batch_invariance),
    Check("inputs-unmodified", "inputs are left as they are", contract.inputs_unmodified),
    Check("global-random-state", "global random state is left as it is", contract.global_random_state),
    Check("same-seed-same-bits", "one seed gives one result, to the bit", contract.same_seed_same_bits),
    Check("refit-forgets", "fitting again forgets the first fit", contract.refit_forgets),
    Check("learns-separable", "it learns separable pairs", contract.learns_separable),
    Check("swapped-labels", "exchanging chosen and rejected reverses the rewards", contract.swapped_labels),
    Check("shuffled-labels", "coin-flip labels give chance", contract.shuffled_labels),
    Check("wrong-width", "embeddings of another width are refused with a helpful error", contract.wrong_width),
    Check("picklable", "a fitted model survives pickling", contract.picklable),
    Check("light-listing", "listing the plugin imports no heavy package", contract.light_listing),
    Check("thread-limit", "a fit keeps to the thread limit", contract.thread_limit),
    Check("no-peeking", "a fit learns nothing of the test part", contract.no_peeking),
    Check("probability-range", "probabilities are (n,), finite and in [0, 1]", powers.probability_range),
    Check("probability-symmetry", "P(a over b) + P(b over a) is 1", powers.probability_symmetry),
    Check("probability-row-order", "reordering rows or pairs changes no probability", powers.probability_row_order),
    Check("uncertainty-range", "uncertainties are (n,), finite and not negative", powers.uncertainty_range),
    Check("uncertainty-row-order", "reordering rows changes no uncertainty", powers.uncertainty_row_order),
    Check("members-shape", "member rewards are (n_members, n), finite, for one row too", powers.members_shape),
    Check("members-row-order", "a member's reward depends on its own row only", powers.members_row_order),
)
