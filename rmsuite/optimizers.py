"""The record by which a plugin offers an optimizer of policies, and such a record with its hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rmsuite.errors import ContractError, PluginError, RmsuiteError, on_behalf_of
from rmsuite.method import NAME, all_parameters, parameters_of, spell

if TYPE_CHECKING:
    from rmsuite.policies import ClosedForm, Optimizer

BETA = "beta"  # the one parameter of `make` that is the training's


@dataclass(frozen=True)
class PolicyOptimizer:
    """An optimizer of policies as a plugin offers it.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and hyphens; unique among the optimizers of all plugins.
    make : callable
        Returns an ``rmsuite.policies.Optimizer`` or a ``ClosedForm``; usually the frozen dataclass itself. Its keyword
        arguments are the hyperparameters, but for one: ``beta``, what a nat of KL to the reference costs, is handed to
        a ``make`` that takes it, and is nobody's to choose: all optimizers meet on it.
    summary : str
        One line for lists.
    reference : str
        Where it comes from, for instance ``arXiv:2310.10505``.

    Examples
    --------
    >>> from rmsuite.policies import RLOO
    >>> PolicyOptimizer("rloo", RLOO).hyperparameters()
    {'k': 4}
    """

    name: str
    make: Callable[..., Optimizer | ClosedForm]
    summary: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        who = f"PolicyOptimizer(name={self.name!r})"
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            expected = "lower-case letters, digits and hyphens"
            raise PluginError(who=who, expected=expected, got=repr(self.name), do="rename the optimizer")
        if not callable(self.make):
            do = "give the dataclass itself, or a function that returns an optimizer"
            raise PluginError(who=who, expected="a callable `make`", got=repr(self.make), do=do)

    def defaults(self) -> dict[str, Any]:
        """Return the parameters with their defaults; a parameter without one is given as ``...``."""
        return {name: value for name, value in parameters_of(self.make).items() if name != BETA}

    @property
    def takes_beta(self) -> bool:
        """Whether ``make`` is handed what a nat of KL costs."""
        return BETA in parameters_of(self.make)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the parameters that have to be tuned, with their defaults: see ``tuned``."""
        return tuned(self.defaults())


@dataclass(frozen=True)
class ConfiguredOptimizer:
    """An optimizer with the parameters that differ from its defaults."""

    optimizer: PolicyOptimizer
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name with the parameters that differ from the defaults, in one canonical spelling."""
        return spell(self.optimizer.name, self.parameters)

    def settings(self) -> dict[str, Any]:
        """Return every parameter with its value."""
        return {**self.optimizer.defaults(), **self.parameters}

    def make(self, beta: float) -> Optimizer | ClosedForm:
        """Return the optimizer; ``beta`` is what a nat of KL costs, in units of reward.

        Raises
        ------
        ContractError
            If what its plugin makes is neither an optimizer nor a closed form, or both.
        RmsuiteError
            If a hyperparameter is none that it may have; what a stranger's ``make`` raises is raised as it is.
        """
        from rmsuite.policies import ClosedForm, Optimizer

        with on_behalf_of(f"optimizer {self.label!r}"):
            made = self.optimizer.make(**self.parameters, **({BETA: beta} if self.optimizer.takes_beta else {}))
        if isinstance(made, type) or isinstance(made, Optimizer) == isinstance(made, ClosedForm):
            expected = "an object with `coefficients` or `log_probabilities`, not both"
            do = "return an Optimizer or a ClosedForm of rmsuite.policies"
            raise ContractError(who=f"make of optimizer {self.label!r}", expected=expected, got=repr(made), do=do)
        return made


def configure(optimizer: PolicyOptimizer, parameters: Mapping[str, Any]) -> ConfiguredOptimizer:
    """Bind parameters to an optimizer; those equal to their default are left out, so that one setting has one label.

    Raises
    ------
    UnknownNameError
        If the optimizer has no such parameter.
    RmsuiteError
        If one that it requires is not given.
    """
    chosen = all_parameters("optimizer", optimizer.name, optimizer.defaults(), parameters, RmsuiteError)
    return ConfiguredOptimizer(optimizer, chosen)


def tuned(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that have to be tuned: numbers, and what has no default; flags choose between variants.

    Examples
    --------
    >>> tuned({"clip": 0.2, "released": False, "k": ...})
    {'clip': 0.2, 'k': Ellipsis}
    """
    return {name: value for name, value in parameters.items() if type(value) in (int, float) or value is ...}
