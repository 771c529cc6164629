"""One repetition of one task for policies: what reward models and optimizers may see is decided here.

A reward model is fitted as in any cell, and rewards all responses of the training and of the test prompts. Policies
are trained on the first and asked about the second. Gold stays here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rmsuite import handover, seeds
from rmsuite.arrays import Gathered, gathered
from rmsuite.errors import TaskError
from rmsuite.metrics import metric
from rmsuite.policies import Choices, Unit, Values, evaluate, largest_kl
from rmsuite.policies.evaluation import probabilities
from rmsuite.policy_reference import UNIFORM, log_reference
from rmsuite.policy_worker import Prompts
from rmsuite.setting import Setting
from rmsuite.sources import Source
from rmsuite.tested import Answers, TestSet, restricted, test_set


@dataclass(frozen=True, eq=False)
class Shown:
    """The responses of a part, and the order in which they are shown: prompts are shuffled, and responses in each.

    ``order`` are positions in the part, ``offsets`` delimit the prompts as they are shown.
    """

    part: TestSet
    order: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, part: TestSet, rng: np.random.Generator) -> Shown:
        """Draw an order."""
        prompts = rng.permutation(part.n_prompts)
        order = np.lexsort((rng.random(len(part.rows)), np.argsort(prompts)[part.prompt]))
        return cls(part, order, np.concatenate([[0], np.cumsum(np.diff(part.offsets)[prompts])]))

    @property
    def rows(self) -> np.ndarray:
        """The rows of the pool, in the order in which they are shown."""
        return self.part.rows[self.order]

    @property
    def gold(self) -> np.ndarray:
        """The gold rewards, in the part's order."""
        assert self.part.gold is not None
        return self.part.gold

    def sorted_back(self, shown: np.ndarray) -> np.ndarray:
        """Return values of responses, in the order in which these were shown, in the part's order."""
        out = np.empty_like(shown)
        out[self.order] = shown
        return out


@dataclass(frozen=True, eq=False)
class PolicySetting:
    """One repetition of one task.

    Raises
    ------
    TaskError
        From its properties, if a part has no gold rewards, no prompt with several responses, or a prompt that the
        reference does not answer.
    """

    setting: Setting
    reference_name: str = UNIFORM

    def seed(self, **axes: str | int) -> int:
        """Return the seed of a stream for policies; neither method nor optimizer nor beta is an axis of it."""
        one = self.setting
        axes = {"task": one.task.card.plain_label, "repetition": one.repetition, **axes}
        return seeds.seed(one.root_seed, "policy", **axes)

    @cached_property
    def trained(self) -> Shown:
        """The training prompts with all their responses, of which the pairs are some."""
        task = self.setting.task
        part = test_set(task.training.pool, task.parts["train"])
        if task.trainable is not None:
            part = restricted(part, task.trainable[part.rows])
        return Shown.of(self._usable(part, "training"), seeds.stream(self.seed(part="train")))

    @cached_property
    def tested(self) -> Shown:
        """The test prompts; what is planted among their responses is left out."""
        return Shown.of(self._usable(self.setting.task.test, "test"), seeds.stream(self.seed(part="test")))

    def _usable(self, part: TestSet, name: str) -> TestSet:
        who = f"policies on task {self.setting.task.card.label}"
        if part.gold is None:
            do = "choose a task with gold rewards, or name a gold reward model: gold = ... on the card"
            raise TaskError(who=who, expected="gold rewards of single responses", got="pairs only", do=do)
        if (np.diff(part.offsets) < 2).all():
            expected, do = f"a prompt with several responses in the {name} part", "choose a pool that leaves a choice"
            raise TaskError(who=who, expected=expected, got="one response a prompt", do=do)
        return part

    @cached_property
    def rewarded_order(self) -> np.ndarray:
        """The order in which a reward model gets responses, positions among those of training, then those of test."""
        n = len(self.trained.order) + len(self.tested.order)
        return seeds.stream(self.seed(part="rewarded")).permutation(n)

    @property
    def rewarded(self) -> np.ndarray | Gathered:
        """The embeddings that a reward model gets, training and test responses in one shuffled order."""
        return gathered(self.rewarded_rows)

    @property
    def rewarded_rows(self) -> np.ndarray | Gathered:
        """The same as rows of an embedding set, where they are of one."""
        task, order = self.setting.task, self.rewarded_order
        rows = [self.trained.part.rows, self.tested.part.rows]
        if task.training.embeddings is task.tested.embeddings:
            return Gathered(task.embeddings.matrix, np.concatenate(rows)[order])
        parts = [Gathered(one.embeddings.matrix, own) for one, own in zip(self._sources, rows, strict=True)]
        return np.concatenate([part[:] for part in parts])[order]

    @property
    def _sources(self) -> tuple[Source, Source]:
        return self.setting.task.training, self.setting.task.tested

    def proxy(self, rewards: np.ndarray, shift: float = 0.0) -> Proxy:
        """Return the rewards that a reward model gave for ``rewarded``; ``shift`` is added to them, in their unit."""
        out = np.empty(len(rewards))
        out[self.rewarded_order] = rewards
        train, test = np.split(out, [len(self.trained.order)])
        unit = Unit.of(self.trained.part.offsets, train)
        return Proxy(self, unit, unit(train) + shift, unit(test) + shift, train, test)

    def stored_proxy(self, unit: Unit, rewards: np.ndarray, shift: float) -> Proxy:
        """Return the proxy of a stored cell, which keeps its unit and test ``rewards``; its training part is empty."""
        none = np.empty(0)
        return Proxy(self, unit, none, unit(rewards) + shift, none, rewards)

    @cached_property
    def _folder(self) -> Path:
        """Where large embeddings lie for workers to map; it goes when the setting does."""
        return handover.folder(self)

    @cached_property
    def embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings of training and of test responses as an optimizer gets them."""
        parts = zip(("train", "test"), (self.trained, self.tested), self._sources, strict=True)
        train, test = (self._handed(*part) for part in parts)
        return train, test

    def _handed(self, name: str, shown: Shown, source: Source) -> np.ndarray:
        return handover.handed(source.embeddings.matrix, shown.rows, lambda: self._folder / name)

    @property
    def handed(self) -> tuple[tuple[np.ndarray, Gathered], ...]:
        """Each of ``embeddings`` with the rows that it is, for whom rows can be told by their numbers."""
        parts = zip(self.embeddings, (self.trained, self.tested), self._sources, strict=True)
        return tuple((array, Gathered(source.embeddings.matrix, shown.rows)) for array, shown, source in parts)

    @cached_property
    def gold_unit(self) -> Unit:
        """What gold is counted in: see ``Unit``, of the training part."""
        return Unit.of(self.trained.part.offsets, self.trained.gold)

    @cached_property
    def log_references(self) -> tuple[np.ndarray, np.ndarray]:
        """The reference policy of training and of test responses, in the order of the parts (``policy_reference``)."""
        parts, task = zip((self.trained.part, self.tested.part), self._sources, strict=True), self.setting.task
        train, test = (log_reference(self.reference_name, *part, task.card.label) for part in parts)
        return train, test

    @cached_property
    def reference(self) -> Choices:
        """The test prompts with the reference policy, without embeddings: what gold values are computed with."""
        part = self.tested.part
        return Choices(part.offsets, np.zeros((len(part.rows), 0), np.float32), self.log_references[1])

    def kept(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Return policies as a cell keeps them, float32: all their values follow from this, to the bit.

        ``log_probabilities`` are those of the test responses, ``(n_responses, n_policies)``, in the part's order.

        Raises
        ------
        ContractError
            If the probabilities of a prompt do not sum to 1.
        """
        probabilities(self.reference, log_probabilities)
        with np.errstate(over="ignore"):  # what float32 cannot hold has no probability in float64 either
            return log_probabilities.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Proxy:
    """What a reward model gave for the training and the test responses, in the order of the parts.

    ``train`` and ``test`` are in units of the training part, and shifted; ``raw_train`` and ``raw_test`` as they were
    given.
    """

    setting: PolicySetting
    unit: Unit
    train: np.ndarray
    test: np.ndarray
    raw_train: np.ndarray
    raw_test: np.ndarray

    def trained(self) -> Prompts:
        """Return what an optimizer trains on."""
        return self._shown(self.setting.trained, 0, self.train)

    def tested(self) -> Prompts:
        """Return what policies are asked about."""
        return self._shown(self.setting.tested, 1, self.test)

    def _shown(self, shown: Shown, part: int, rewards: np.ndarray) -> Prompts:
        embeddings, log_reference_ = self.setting.embeddings[part], self.setting.log_references[part]
        return Prompts(shown.offsets, embeddings, log_reference_[shown.order], rewards[shown.order])

    def surroundings(self) -> dict[str, np.ndarray]:
        """Return what policies are seen beside, by the names of a cell's arrays: see ``CellRecord.arrays``."""
        reference, test = self.setting.reference, self.setting.tested.part
        values = self.values(self.setting.kept(reference.log_reference[:, None]))
        return {
            **{f"reference_{name}": getattr(values, name)[:, 0] for name in ("gold", "proxy", "length", "entropy")},
            "gold_range": self.gold_range(),
            "largest_kl": largest_kl(reference),
            "pair_accuracy": metric("pair-accuracy").per_prompt(test, Answers(self.raw_test)),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the cell should know."""
        return ("all rewards are equal",) if (self.test == self.test[0]).all() else ()

    def gold_range(self) -> np.ndarray:
        """Return the least and the largest gold of each test prompt, ``(n_prompts, 2)``, in units of the training."""
        prompts, gold = self.setting.reference.prompts, self.setting.gold_unit(self.setting.tested.gold)
        return np.stack([-prompts.largest(-gold), prompts.largest(gold)], axis=1)

    def values(self, kept: np.ndarray) -> Values:
        """Return what policies are worth as ``PolicySetting.kept`` gives them, once they are normalised in float64.

        Gold and proxy are in units of the training part.
        """
        tested, choices = self.setting.tested, self.setting.reference
        gold, exact = self.setting.gold_unit(tested.gold), choices.prompts.log_softmax(kept.astype(np.float64))
        return evaluate(choices, exact, gold=gold, proxy=self.test, length=tested.part.length)
