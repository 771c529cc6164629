"""What is crossed with methods and tasks in policy cells: optimizers, prices of KL, and one way to train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rmsuite import reuse, signature
from rmsuite.errors import PluginError, ResultsError, RmsuiteError, describe
from rmsuite.optimizers import ConfiguredOptimizer
from rmsuite.policies import ClosedForm, Optimizer, Training
from rmsuite.policies.settings import number
from rmsuite.policy_reference import UNIFORM

FOLDER = "policies"  # within a results folder, where policy cells are kept apart from others
LARGEST_SHIFT = 1e6  # float64 then keeps nine digits of rewards, whose standard deviation is 1
COLUMNS = ("gold", "proxy", "win_rate", "kl", "entropy", "length")


@dataclass(frozen=True)
class Improver:
    """A configured optimizer, where it comes from, and what its code is made of (``reuse.of_code``).

    ``uses_beta`` says that its policies may depend on the price of KL: one that does not has one cell for all prices.
    """

    configured: ConfiguredOptimizer
    origin: str
    code: Mapping[str, str] = field(default_factory=dict)
    uses_beta: bool = True

    @property
    def packages(self) -> list[str]:
        """The distributions that its code imports."""
        return reuse.packages(self.code)

    def made_of(self) -> dict[str, str]:
        """Return what its cells are made of beside task and method."""
        settings = {name: repr(value) for name, value in self.configured.settings().items()}
        own = {f"optimizer {name}": value for name, value in self.code.items()}
        return {"optimizer": reuse.digest({"label": self.configured.label, **settings}), **own}


def improver(configured: ConfiguredOptimizer, origin: str, code: Mapping[str, str], betas: Sequence[float]) -> Improver:
    """Return an improver after making its optimizer at each beta: a mistake in it is not to cost a fit.

    A closed form whose ``make`` takes no beta does not use it; what is trained does, by the objective.

    Raises
    ------
    RmsuiteError
        If the optimizer cannot be made.
    """
    made = [_made(configured, beta) for beta in betas]
    closed = all(isinstance(one, ClosedForm) for one in made)
    return Improver(configured, origin, code, configured.optimizer.takes_beta or not closed)


def _made(configured: ConfiguredOptimizer, beta: float) -> Optimizer | ClosedForm:
    try:
        return configured.make(beta)
    except RmsuiteError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a stranger's code may raise anything
        name = configured.optimizer.name
        who, expected = f"optimizer {configured.label!r}", "hyperparameters that it can be made with"
        do = f"see `rmsuite info {name}`, or mend what makes it"
        raise PluginError(who=who, expected=expected, got=describe(error), do=do) from None


@dataclass(frozen=True)
class Study:
    """What is crossed with methods and tasks, and how all policies are trained.

    Attributes
    ----------
    improvers : sequence of Improver
    betas : sequence of float
        What a nat of KL to the reference costs, in units of proxy reward (``policies.Unit``, of the training part).
    training : Training
        Its ``beta`` is replaced by each of ``betas``.
    n_policies : int
        Policies a cell, which differ by their seeds.
    shift : float
        Added to the rewards that optimizers get, in their unit. Pairs do not teach a reward model where its zero lies;
        an optimizer with a good baseline does not mind.
    reference : str
        The policy that is to be improved (``policy_reference.log_reference``).

    Raises
    ------
    RmsuiteError
        If a beta is none that a training may have, or the shift is so large that rewards lose their digits.
    """

    improvers: Sequence[Improver]
    betas: Sequence[float]
    training: Training = field(default_factory=Training)
    n_policies: int = 5
    shift: float = 0.0
    reference: str = UNIFORM

    def __post_init__(self) -> None:
        number("shift", self.shift, -LARGEST_SHIFT, LARGEST_SHIFT)
        for beta in self.betas:
            self.training_at(beta)

    def training_at(self, beta: float | None) -> Training:
        """Return how policies are trained at a price of KL; without one, nothing is."""
        return replace(self.training, beta=float(beta or 0))

    def points(self) -> Iterator[tuple[Improver, float | None]]:
        """Yield each optimizer at each beta, or once, without one, if it uses none."""
        for one in self.improvers:
            yield from ((one, beta) for beta in (self.betas if one.uses_beta else (None,)))

    def signature(self) -> dict[str, str]:
        """Return the parts that the signature of policy cells has beside those of the task."""
        given = {name: value for name, value in asdict(self.training).items() if name not in ("beta", "watch")}
        given |= {"shift": self.shift}
        rarer = {} if self.reference == UNIFORM else {"reference": self.reference}
        return {**rarer, "policies": str(self.n_policies), "training": ",".join(f"{k}={v}" for k, v in given.items())}

    def made_of(self) -> dict[str, str]:
        """Return what all its cells are made of beside task, method, optimizer and beta."""
        return {"watch": ",".join(map(str, self.training.watch))}


def milestones(steps: int) -> tuple[int, ...]:
    """Return after which steps policies are judged: each half a doubling later, for what happens first happens fast.

    Examples
    --------
    >>> milestones(30)
    (1, 2, 3, 4, 6, 8, 11, 16, 23)
    """
    halves = (round(2 ** (half / 2)) for half in range(2 * max(steps, 1).bit_length() + 1))
    return tuple(sorted({step for step in halves if step < steps}))


def of_signature(line: str, watch: tuple[int, ...] = ()) -> Study:
    """Return the study that a signature of policy cells tells, without optimizers and betas.

    Raises
    ------
    ResultsError
        If the signature tells none.
    """
    parts = signature.read(line)
    try:
        said = dict(one.split("=", 1) for one in parts["training"].split(","))
        shift = float(said.pop("shift"))
        training = Training(**{name: _number(value) for name, value in said.items()}, watch=watch)
        study = Study((), (), training, int(parts["policies"]), shift, parts.get("reference", UNIFORM))
    except (KeyError, ValueError, TypeError, RmsuiteError) as error:
        expected, do = "how policies were trained, and how many", "run the cell again"
        raise ResultsError(who=f"signature {line}", expected=expected, got=repr(error), do=do) from None
    return study


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else float(text)


def label(method: str, optimizer: str, beta: float | None) -> str:
    """Return what the record of a policy cell has for its method; without a beta where the optimizer uses none.

    Examples
    --------
    >>> label("bt-mlp", "rloo[k=2]", 0.05)
    'bt-mlp, rloo[k=2], beta=0.05'
    >>> label("bt-mlp", "best-of-n", None)
    'bt-mlp, best-of-n'
    """
    return f"{method}, {optimizer}" + ("" if beta is None else f", beta={float(beta)!r}")
