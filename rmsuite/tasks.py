"""Task and suite cards: what is asked, on which pool, embeddings, annotator and budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.annotators import BUILT_IN, AnnotatorBook, ConfiguredAnnotator
from rmsuite.data import Pool
from rmsuite.errors import TaskError, on_behalf_of
from rmsuite.pairing import Drawing
from rmsuite.pools import EmbeddingSet, read_card
from rmsuite.sources import Source, load_source, signed
from rmsuite.splits import FRACTIONS
from rmsuite.tested import TestSet, planted, restricted, test_set

HEADLINE, ATTACKED = "pair-accuracy", "attack-win-rate"
GENERATORS = {"split": "halves-by-name-1", "second": "second-half-by-name-1"}  # as signatures have them


@dataclass(frozen=True)
class Task:
    """A task's card. ``root`` is the folder that holds the cards and the pools.

    Attributes
    ----------
    pairs_per_prompt : int
        At most so many training pairs a prompt, 0 for all.
    columns : tuple of str
        The metrics that a table shows.
    pairing : str
        Which responses are compared, one of ``pairing.PAIRINGS``.
    budget : int
        Training pairs in all that are put before the annotator, 0 for no limit; validation pairs in proportion.
    gives : tuple of str
        What methods get in training beside pairs: "attributes", "ratings".
    train_pool : str
        The pool whose prompts train and validate, "" for ``pool``, whose prompts test.
    generators : str
        "all"; "split": the first half of the generators (by a hash of the name) trains, the second is tested;
        "second": the second half does both, which is what "split" is compared with.
    probe : str
        The pool of attacks that are planted among the test responses, "" for none; adds the column attack-win-rate.
    gold : str
        The gold reward model whose rewards stand for gold, "" for the pool's own labels.
    supersedes, superseded_by : str
        Labels of the task that this one replaces, and of that which replaces it; "" for none.
    changes : str
        In brackets, the fields in which a variant differs from its card; no field of a card.
    annotators : AnnotatorBook
        Where ``annotator`` is looked up; no field of a card.
    """

    name: str
    version: int
    question: str
    pool: str
    base_model: str
    annotator: str
    pairs_per_prompt: int
    columns: tuple[str, ...]
    root: Path
    pairing: str = "random"
    budget: int = 0
    gives: tuple[str, ...] = ()
    train_pool: str = ""
    generators: str = "all"
    probe: str = ""
    gold: str = ""
    supersedes: str = ""
    superseded_by: str = ""
    changes: str = ""
    annotators: AnnotatorBook = BUILT_IN

    @property
    def plain_label(self) -> str:
        """Name and version: what random streams are named by, those of variants too."""
        return f"{self.name}@{self.version}"

    @property
    def label(self) -> str:
        """Name, version and changed fields, as signatures and tables have it."""
        return self.plain_label + self.changes

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics that a table shows: those of the card, and that of attacks where some are planted."""
        attacked = self.probe and ATTACKED not in self.columns
        return (*self.columns, ATTACKED) if attacked else self.columns

    @property
    def pool_folder(self) -> Path:
        """Where the pool's files lie."""
        return self.root / "pools" / self.pool

    def facts(self) -> dict[str, Any]:
        """Return what was measured of the pool (``facts.toml``), by table; nothing where nothing was."""
        path = self.pool_folder / "facts.toml"
        return read_card(path) if path.is_file() else {}

    def signature(self) -> dict[str, str]:
        """Return the parts of the signature that the task decides; those of rarer fields only where they are used.

        They follow from the cards: nothing is loaded. Raises as ``load`` does for what is not there.
        """
        with on_behalf_of(f"task {self.label}"):
            tested = signed(self.root, self.pool, self.base_model, self.gold)
            training = signed(self.root, self.train_pool or self.pool, self.base_model, self.gold)
            probe = signed(self.root, self.probe, self.base_model) if self.probe else None
            judge = self.annotators.annotator(self.annotator)
        kind = "within-prompt" if self.pairing == "random" else self.pairing
        budget = f",budget={self.budget}" if self.budget else ""
        rarer = {
            "gives": "+".join(self.gives),
            "train-pool": training.pool if self.train_pool else "",
            "train-embeddings": training.embeddings if self.train_pool else "",
            "generators": GENERATORS.get(self.generators, ""),
            "gold": tested.gold,
            "train-gold": training.gold if self.train_pool else "",
            "probe": probe.pool if probe else "",
            "probe-embeddings": probe.embeddings if probe else "",
            "annotator-code": judge.code,
        }
        return {
            "task": self.label,
            "pool": tested.pool,
            "embeddings": tested.embeddings,
            "split": tested.split,
            "annotator": judge.label,
            "pairs": f"{kind}({self.pairs_per_prompt or 'all'}{budget})",
            **{key: value for key, value in rarer.items() if value},
        }

    def load(self) -> LoadedTask:
        """Read and verify the pools and the embedding sets.

        Raises
        ------
        TaskError
            If a file is not what its card says, or the two pools of a task do not go together.
        UnknownNameError
            If there is no such pool, base model or annotator.
        """
        with on_behalf_of(f"task {self.label}"):
            tested = load_source(self.root, self.pool, self.base_model, self.gold)
            other = self.train_pool
            training = load_source(self.root, other, self.base_model, self.gold) if other else tested
            probe = load_source(self.root, self.probe, self.base_model) if self.probe else None
            judge = self.annotators.annotator(self.annotator)
        for source in (training, probe):
            if source:
                _same_base_model(self.label, tested.embeddings, source.embeddings)
        return LoadedTask(self, tested, training, judge, probe)


def _same_base_model(task: str, one: EmbeddingSet, other: EmbeddingSet) -> None:
    facts = [{"n_features": e.matrix.shape[1], "weights": e.card.get("weights_sha256")} for e in (one, other)]
    if facts[0] != facts[1]:
        do = "embed both pools with the same weights"
        raise TaskError(who=f"task {task}", expected=f"one base model: {facts[0]}", got=str(facts[1]), do=do)


@dataclass(frozen=True, eq=False)
class LoadedTask:
    """A task with its data in memory; gold included, so only the harness holds it.

    ``tested`` gives the test prompts, ``training`` those of training and validation: the same but for shift studies.
    ``probe`` gives the attacks on the test prompts, if any.
    """

    card: Task
    tested: Source
    training: Source
    annotator: ConfiguredAnnotator
    probe: Source | None = None

    @property
    def pool(self) -> Pool:
        """The pool whose prompts are tested."""
        return self.tested.pool

    @property
    def pool_card(self) -> Mapping[str, Any]:
        """The card of that pool."""
        return self.tested.pool_card

    @property
    def embeddings(self) -> EmbeddingSet:
        """Its embedding set."""
        return self.tested.embeddings

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """The prompts of each part, as positions in the pool that gives them.

        The part follows from the prompt's id, whatever the pool; and what is tested trains nowhere, whoever splits.
        """
        sources = {"train": self.training, "validation": self.training, "test": self.tested}
        parts = {name: np.flatnonzero(source.part == name) for name, source in sources.items()}
        if self.training is not self.tested:
            tested = self.tested.pool.prompt_id[parts["test"]]
            free = ~np.isin(self.training.pool.prompt_id, tested)
            parts |= {name: parts[name][free[parts[name]]] for name in ("train", "validation")}
        for name, prompts in parts.items():
            if not len(prompts):
                who, expected = f"task {self.card.label}", f"prompts in its {name} part"
                raise TaskError(who=who, expected=expected, got="none", do="choose a pool with more prompts")
        return parts

    def drawing(self, part: str) -> Drawing:
        """Return how the pairs of "train" or "validation" are drawn; a budget buys validation pairs in proportion."""
        card, budget = self.card, self.card.budget
        if part == "validation":
            budget = math.ceil(budget * FRACTIONS["validation"] / FRACTIONS["train"])
        return Drawing(card.pairs_per_prompt, card.pairing, budget, self.trainable, exact=part == "train")

    @cached_property
    def trainable(self) -> np.ndarray | None:
        """Which responses of the training pool may be in pairs, ``(n_responses,) bool``; None for all."""
        if self.card.generators == "all":
            return None
        second = self.training.in_second_half(self.card.label)
        return second if self.card.generators == "second" else ~second

    @cached_property
    def test(self) -> TestSet:
        """The test part, the same in every repetition."""
        whole = self._responses
        return planted(whole, self.probe.pool) if self.probe else whole

    @property
    def _responses(self) -> TestSet:
        if self.pool.gold is None and self.pool.human_pairs is None:
            who, expected = f"task {self.card.label}: pool {self.pool.name!r}", "labels to test rewards with"
            raise TaskError(
                who=who, expected=expected, got="none", do="name a gold reward model: gold = ... on the card"
            )
        whole = test_set(self.pool, self.parts["test"])
        if self.card.generators == "all":
            return whole
        some = restricted(whole, self.tested.in_second_half(self.card.label)[whole.rows])
        if not some.n_prompts:
            do = "leave out generators=split, or choose another pool"
            who, expected = f"task {self.card.label}", "test prompts with two responses of the second half"
            raise TaskError(who=who, expected=expected, got="none", do=do)
        return some

    def licence(self) -> str:
        """Return the licences of the pools."""
        sources = (self.tested, self.training, *([self.probe] if self.probe else []))
        cards = {source.pool.name: source.pool_card for source in sources}
        licences = {str(card.get("licence", "none stated")) for card in cards.values()}
        return "; ".join(sorted(licences))

    def signature(self) -> dict[str, str]:
        """Return what ``Task.signature`` does; the cards are read once."""
        return self._signature

    @cached_property
    def _signature(self) -> dict[str, str]:
        return self.card.signature()
