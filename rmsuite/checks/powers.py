"""The promises of methods that state more than rewards; they do not apply to the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite import seeds, testing
from rmsuite.arrays import as_member_rewards, as_probability, as_uncertainty
from rmsuite.checks.base import Broken, Subject, close, fitted
from rmsuite.errors import ContractError, NotApplicable
from rmsuite.method import (
    MemberRewards,
    PreferenceProbability,
    RewardUncertainty,
    states_members,
    states_probability,
    states_uncertainty,
)

N_PAIRS = 300


@dataclass(frozen=True, eq=False)
class _Asked:
    """Toy embeddings, and pairs of their rows."""

    embeddings: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def of(self, model: PreferenceProbability) -> np.ndarray:
        """Return probabilities flattened, so that a wrong shape fails the one check for that."""
        stated = model.probability(self.embeddings.copy(), self.first.copy(), self.second.copy())
        return np.asarray(stated, dtype=np.float64).ravel()


def _asked(n_pairs: int = N_PAIRS) -> _Asked:
    embeddings = testing.toy().embeddings
    rng = seeds.generator(0, "check", what="asked pairs")
    first, second = np.array([rng.choice(len(embeddings), 2, replace=False) for _ in range(n_pairs)]).T
    return _Asked(embeddings, first, second)


def _with_probability(subject: Subject) -> PreferenceProbability:
    model = fitted(subject, testing.toy().pairs)
    if not states_probability(model):
        raise NotApplicable("it states no probabilities: it has no method `probability`")
    return model


def _with_uncertainty(subject: Subject) -> RewardUncertainty:
    model = fitted(subject, testing.toy().pairs)
    if not states_uncertainty(model):
        raise NotApplicable("it states no uncertainty: it has no method `uncertainty`")
    return model


def _with_members(subject: Subject) -> MemberRewards:
    model = fitted(subject, testing.toy().pairs)
    if not states_members(model):
        raise NotApplicable("it states no rewards of members: it has no method `member_rewards`")
    return model


def probability_range(subject: Subject) -> None:
    model = _with_probability(subject)
    for n in (N_PAIRS, 1):
        asked = _asked(n)
        stated = model.probability(asked.embeddings.copy(), asked.first.copy(), asked.second.copy())
        try:
            as_probability(stated, n, who="the method")
        except ContractError as error:
            raise Broken(f"expected {error.expected}, got {error.got}", error.do) from None


def probability_symmetry(subject: Subject) -> None:
    model, asked = _with_probability(subject), _asked()
    exchanged = _Asked(asked.embeddings, asked.second, asked.first)
    total = asked.of(model) + exchanged.of(model)
    worst = total[np.argmax(np.abs(np.nan_to_num(total, nan=1.0) - 1))]
    if abs(worst - 1) > 1e-6:
        raise Broken(
            f"P(a over b) + P(b over a) = {worst:.6g} for some pair, expected 1",
            "let the probability be an odd function of the two, about one half: sigmoid(reward a - reward b) is",
        )


def probability_row_order(subject: Subject) -> None:
    """Move the rows, and then the pairs: neither place says anything of a response."""
    model, asked = _with_probability(subject), _asked()
    order = np.roll(np.arange(len(asked.embeddings)), 1)
    place = np.argsort(order)
    moved = _Asked(asked.embeddings[order], place[asked.first], place[asked.second])
    turned = _Asked(asked.embeddings, asked.first[::-1], asked.second[::-1])
    plain = asked.of(model)
    if not (close(plain, moved.of(model), 1e-4) and close(plain, turned.of(model)[::-1], 1e-4)):
        do = "let a probability depend on the embeddings of its two responses only"
        raise Broken("reordering rows or pairs changed their probabilities", do)


def uncertainty_range(subject: Subject) -> None:
    model, embeddings = _with_uncertainty(subject), testing.toy().embeddings
    for n in (len(embeddings), 1):
        try:
            as_uncertainty(model.uncertainty(embeddings[:n].copy()), n, who="the method")
        except ContractError as error:
            raise Broken(f"expected {error.expected}, got {error.got}", error.do) from None


def uncertainty_row_order(subject: Subject) -> None:
    model, embeddings = _with_uncertainty(subject), testing.toy().embeddings
    order = np.roll(np.arange(len(embeddings)), 1)
    plain, moved = (
        np.asarray(model.uncertainty(rows), dtype=np.float64).ravel() for rows in (embeddings.copy(), embeddings[order])
    )
    if not close(plain[order], moved, 1e-4):
        do = "let an uncertainty depend on its own row only"
        raise Broken("reordering the rows changed their uncertainties", do)


def members_shape(subject: Subject) -> None:
    model, embeddings = _with_members(subject), testing.toy().embeddings
    counts = []
    for n in (len(embeddings), 1):
        try:
            counts.append(len(as_member_rewards(model.member_rewards(embeddings[:n].copy()), n, who="the method")))
        except ContractError as error:
            raise Broken(f"expected {error.expected}, got {error.got}", error.do) from None
    if counts[0] != counts[1]:
        evidence = f"{counts[0]} members for {len(embeddings)} rows of embeddings, {counts[1]} for one row"
        raise Broken(evidence, "give every member's reward of every row")


def members_row_order(subject: Subject) -> None:
    """Ask for half of the rows in another order: neither the place of a row nor the other rows say anything of it."""
    model, embeddings = _with_members(subject), testing.toy().embeddings
    half = np.roll(np.arange(len(embeddings)), 1)[::2]
    plain, moved = (
        np.asarray(model.member_rewards(rows), dtype=np.float64) for rows in (embeddings.copy(), embeddings[half])
    )
    if plain.ndim != 2 or plain.shape[1] != len(embeddings):
        return  # a wrong shape fails the one check for that
    if not close(plain[:, half], moved, 1e-4):
        do = "let a member's reward depend on its own row only: learn means and scales in `fit`"
        raise Broken("half of the rows, in another order, have other rewards of members than among all", do)
