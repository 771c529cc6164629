"""Task and suite cards: what is asked, on which pool, embeddings, annotator and budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.annotators import BUILT_IN, AnnotatorBook, ConfiguredAnnotator
from rmsuite.data import Pool
from rmsuite.errors import TaskError, on_behalf_of, unknown_name
from rmsuite.method import parse
from rmsuite.pairing import Drawing
from rmsuite.pools import EmbeddingSet, read_card
from rmsuite.sources import Source, load_source
from rmsuite.splits import FRACTIONS
from rmsuite.tested import TestSet, planted, restricted, test_set
from rmsuite.variants import check_field, variant

HEADLINE, ATTACKED = "pair-accuracy", "attack-win-rate"
GENERATORS = {"split": "halves-by-name-1", "second": "second-half-by-name-1"}  # as signatures have them
TYPES: Mapping[str, type[Any]] = {"str": str, "int": int, "tuple[str, ...]": list}  # of a card's fields


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
    def pool_folder(self) -> Path:
        """Where the pool's files lie."""
        return self.root / "pools" / self.pool

    def facts(self) -> dict[str, Any]:
        """Return what was measured of the pool (``facts.toml``), by table; nothing where nothing was."""
        path = self.pool_folder / "facts.toml"
        return read_card(path) if path.is_file() else {}

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
    def columns(self) -> tuple[str, ...]:
        """The metrics that a table shows: those of the card, and that of attacks where some are planted."""
        shown = self.card.columns
        return (*shown, ATTACKED) if self.probe and ATTACKED not in shown else shown

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
        """Return the parts of the signature that the task decides; those of rarer fields only where they are used."""
        card = self.card
        kind = "within-prompt" if card.pairing == "random" else card.pairing
        budget = f",budget={card.budget}" if card.budget else ""
        shift = self.training is not self.tested
        rarer = {
            "gives": "+".join(card.gives),
            "train-pool": f"{self.training.pool.name}#{self.training.pool_digest[:12]}" if shift else "",
            "train-embeddings": self.training.embeddings.signed if shift else "",
            "generators": GENERATORS.get(card.generators, ""),
            "gold": self.tested.gold.signed if self.tested.gold else "",
            "train-gold": self.training.gold.signed if shift and self.training.gold else "",
            "probe": f"{self.probe.pool.name}#{self.probe.pool_digest[:12]}" if self.probe else "",
            "probe-embeddings": self.probe.embeddings.signed if self.probe else "",
            "annotator-code": self.annotator.code,
        }
        return {
            "task": card.label,
            "pool": f"{self.pool.name}#{self.tested.pool_digest[:12]}",
            "embeddings": self.tested.embeddings.signed,
            "split": self.tested.split,
            "annotator": self.annotator.label,
            "pairs": f"{kind}({card.pairs_per_prompt or 'all'}{budget})",
            **{key: value for key, value in rarer.items() if value},
        }


@dataclass(frozen=True)
class Suite:
    """A named list of tasks, variants among them, with the number of repetitions.

    ``over`` has for each task, or for none, the parameter and the values of a study (``sweeps.study``), "" for none.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    repetitions: int
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskBook:
    """All task and suite cards at hand."""

    tasks: Mapping[str, Task]
    suites: Mapping[str, Suite]

    def task(self, text: str) -> Task:
        """Return the task of that name (or label, as tables print it), with fields changed as its brackets say.

        Raises
        ------
        UnknownNameError
            If there is no such task, or it has no such field that can be changed.
        TaskError
            If a field cannot have such a value.
        """
        name, changes = parse(text)
        labels = {task.label: task for task in self.tasks.values()}
        if name not in self.tasks and name not in labels:
            raise unknown_name("task", name, self.tasks, "see `rmsuite list tasks`")
        return variant(self.tasks.get(name) or labels[name], changes)

    def suite(self, name: str) -> Suite:
        """Return the suite of that name, or raise ``UnknownNameError``."""
        if name not in self.suites:
            raise unknown_name("suite", name, self.suites, "see `rmsuite list suites`")
        return self.suites[name]


def read_book(roots: Iterable[Path], annotators: AnnotatorBook = BUILT_IN) -> TaskBook:
    """Read the cards ``tasks/*.toml`` and ``suites/*.toml`` of each root; ``annotators`` are those that they may name.

    Raises
    ------
    TaskError
        If a card is malformed, or two cards have one name.
    """
    tasks: dict[str, Task] = {}
    suites: dict[str, Suite] = {}
    for root in roots:
        for path in sorted((root / "tasks").glob("*.toml")):
            _add(tasks, _record(Task, read_card(path), path, root=root, annotators=annotators), path)
        for path in sorted((root / "suites").glob("*.toml")):
            _add(suites, _record(Suite, read_card(path), path), path)
    _successors_exist(tasks)
    return TaskBook(tasks, suites)


def _successors_exist(tasks: Mapping[str, Task]) -> None:
    labels = {task.label for task in tasks.values()}
    for task in tasks.values():
        if task.superseded_by not in {"", *labels} - {task.label}:
            who, expected = f"task {task.label}", "superseded_by = the label of another task that exists"
            raise TaskError(who=who, expected=expected, got=repr(task.superseded_by), do="mend the card")


def _record(kind: type, card: dict[str, Any], path: Path, **given: Any) -> Any:
    known = [field for field in fields(kind) if field.name not in ("changes", *given)]
    needed = {field.name for field in known if field.default is MISSING}
    if not needed <= set(card) <= {field.name for field in known}:
        expected = f"the fields {', '.join(field.name for field in known if field.name in needed)}"
        got = f"without {sorted(needed - set(card))}, unknown {sorted(set(card) - {field.name for field in known})}"
        raise TaskError(who=f"card {path}", expected=expected, got=got, do="mend the card")
    for field in known:
        if field.name in card:
            check_field(f"card {path}", field.name, card[field.name], TYPES[str(field.type)])
    return kind(**{key: _tuple(value) for key, value in card.items()}, **given)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _add(book: dict[str, Any], item: Any, path: Path) -> None:
    if item.name in book:
        raise TaskError(who=f"card {path}", expected="a new name", got=f"{item.name!r} again", do="rename one of them")
    book[item.name] = item
