"""A double-layer mixture of experts: a router over task categories, and capability experts within each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmsuite import NotApplicable, PreferencePairs, RmsuiteError
from rmsuite_baselines.bradley_terry import BradleyTerry
from rmsuite_baselines.experts import Phases
from rmsuite_baselines.networks import Schedule, in_blocks, initial
from rmsuite_baselines.parameters import choice, flag, number, whole, widths
from rmsuite_baselines.router import Groups, Labelled, Router
from rmsuite_baselines.scaling import Scaling, Standardised
from rmsuite_baselines.subsets import of_attribute

NO_ATTRIBUTES = (
    "dmoerm trains its experts on pairs judged by attribute, and no consistent ones are given; "
    "dmoerm[attributes=directions] derives some from the preference pairs"
)


@dataclass
class DMoERM(BradleyTerry):
    """DMoERM (arXiv:2403.01197) on embeddings.

    Outer layer, sparse: a softmax classifier of the training responses by category routes a response to the experts of
    one category. Inner layer, dense, for each category in three phases: a base network is trained on the preference
    pairs of ``share`` of the prompts; for each attribute a low-rank adapter of the frozen base, with a head that
    starts as the base's, on the consistent attribute pairs; with these frozen, linear, PReLU and linear layers over
    the experts' concatenated last hidden states, on the other prompts. All losses are -log sigmoid(r_w - r_l); all
    phases stop early on the validation pairs of the category. Attribute pairs of the last phase's prompts are left
    out of the second: experts have not seen what they are joined on.

    Here embeddings are frozen, so that adapters act on the trunk of the reward head, not on the language model, and
    have no dropout. There the request is routed; here each response is, as its embedding is all that is given. The
    released code builds router and reward model with random weights, trains no value head of the second phase (they
    are not registered), applies softmax twice in the router's loss and trains on the 30 % of the data that it calls the
    validation share: the three phases are its own, these four are not followed.

    Bradley-Terry rewards have no origin, and two responses to one prompt may be routed apart: the mean reward of each
    category's training responses is set to zero. Categories with fewer than ``least`` pairs share one group of
    experts, trained on the pairs of all categories. A method is not told the categories of test responses, so that
    there is no oracle routing here; ``rewards_by`` is for studies that know them.

    Parameters
    ----------
    attributes : {"given", "directions"}
        Labels of the capability experts: those of ``pairs.attributes``, or derived (``capabilities.Directions``).
    capabilities : int
        Number of experts a category, where the attributes do not say it.
    routing : {"learned", "none"}
        "none" has one group of experts for all categories.
    capability_phase : bool
        False trains the experts on the pairs of the first phase: they differ in their random start only.
    aggregator : {"mlp", "mean"}
        "mean" averages the rewards of the experts' own heads in place of the third phase.
    least : int
        Pairs that a category needs for experts of its own: all three phases have to live on them.
    share : float
        Share of a category's prompts that the first two phases get.
    rank, alpha : int, float
        Of the adapters: their product is scaled by ``alpha / rank``. The release has 32 and 32 on a far wider trunk.
    hidden : int or tuple of int
        Widths of the ReLU layers of the bases, and of the router.
    learning_rate, weight_decay, batch, epochs, patience
        See ``networks.Schedule``; for every phase.

    Attributes
    ----------
    router_accuracy : float or None
        Mean over validation prompts of the share of their responses that are routed to the experts of their category;
        None without router or validation.
    """

    attributes: str = "given"
    capabilities: int = 4
    routing: str = "learned"
    capability_phase: bool = True
    aggregator: str = "mlp"
    least: int = 300
    share: float = 0.6
    rank: int = 8
    alpha: float = 8.0
    hidden: int | tuple[int, ...] = 256
    learning_rate: float = 3e-4
    weight_decay: float = 3.0
    batch: int = 256
    epochs: int = 30
    patience: int = 3

    who: ClassVar[str] = "dmoerm"

    def __post_init__(self) -> None:
        choice("attributes", self.attributes, ("given", "directions"))
        choice("routing", self.routing, ("learned", "none"))
        choice("aggregator", self.aggregator, ("mlp", "mean"))
        flag("capability_phase", self.capability_phase)
        whole("capabilities", self.capabilities)
        whole("least", self.least)
        whole("rank", self.rank)
        number("share", self.share, 0.05, 0.95)
        number("alpha", self.alpha, 0, 1e6)
        if not widths("hidden", self.hidden):
            got, do = repr(self.hidden), "give at least one: adapters and hidden states need a trunk"
            raise RmsuiteError(who="parameter hidden", expected="one width or several", got=got, do=do)
        self._schedule()

    def _schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.weight_decay, self.batch, self.epochs, self.patience)

    def _embedded(self, pairs: PreferencePairs) -> Standardised:
        return self.scaling.lazily(pairs.embeddings, self.who)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train the router and the experts of each group; print how well the router does."""
        needs_labels = self.capability_phase and self.attributes == "given"
        if needs_labels and not any(len(of_attribute(pairs, one.name)) for one in pairs.attributes):
            raise NotApplicable(NO_ATTRIBUTES)
        self.scaling = Scaling.of(pairs.embeddings)
        self.groups = Groups.of(pairs, self.least) if self.routing == "learned" else Groups.one()
        self.router_accuracy: float | None = None
        self.router = self._trained_router(pairs, rng) if self.routing == "learned" else None
        phases = self._phases(len(pairs.attributes))
        self.experts = [phases.train(self.groups.pairs(pairs, group), rng) for group in range(len(self.groups))]
        return self

    def _trained_router(self, pairs: PreferencePairs, rng: np.random.Generator) -> Router:
        layers = initial([pairs.n_features, *widths("hidden", self.hidden)], rng, len(self.groups))
        train, held = (Labelled.of(part, self._embedded, self.groups) for part in (pairs, pairs.validation))
        router = Router.trained(layers, train, held, self._schedule(), rng)
        if held:
            self.router_accuracy, majority = router.accuracy(held)
            # The harness keeps what a method prints in the cell's record.
            print(f"router accuracy on validation prompts: {self.router_accuracy:.2f} (majority {majority:.2f})")  # noqa: T201
        return router

    def _phases(self, n_attributes: int) -> Phases:
        n_given = n_attributes if self.attributes == "given" else 0
        return Phases(
            embedded=self._embedded,
            hidden=widths("hidden", self.hidden),
            schedule=self._schedule(),
            rank=self.rank,
            alpha=self.alpha,
            share=self.share,
            directions=self.capabilities if self.attributes == "directions" else 0,
            blind=0 if self.capability_phase else n_given or self.capabilities,
            joined=self.aggregator == "mlp",
        )

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the reward of each row by the experts that it is routed to; ``(n, n_features) -> (n,)``."""
        return in_blocks(self._rewards, self.scaling.lazily(embeddings, self.who))

    def rewards_by(self, category: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
        """Return the reward of each row by the experts of its category, ``(n,)``: the bound of a perfect router.

        A category that was not trained on is left to the router.
        """
        rows = self.scaling(embeddings, self.who)
        return self._rewards(rows, self.groups(np.broadcast_to(category, len(rows))))

    def _rewards(self, rows: np.ndarray, group: np.ndarray | int = -1) -> np.ndarray:
        routed = self.router(rows) if self.router else np.zeros(len(rows), np.intp)
        group = np.where(np.equal(group, -1), routed, group)
        rewards = np.empty(len(rows), np.float32)
        for each in np.unique(group):
            mine = group == each
            rewards[mine] = self.experts[each].rewards(rows[mine])[:, 0]
        return rewards
