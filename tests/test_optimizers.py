"""Optimizers come through a hook as methods do. Who writes one, or names one on the command line, relies on it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from command_line import Toys
from plugin_files import write
from policy_examples import make_situation

import rmsuite
from rmsuite import plugins
from rmsuite.errors import ContractError, PluginError, RmsuiteError, UnknownNameError
from rmsuite.policies import GRPO, PPO, ClosedForm, Optimizer, Optimum, ReMax, Step

PLUGIN = """
from dataclasses import dataclass

import rmsuite
from rmsuite.policies import RLOO


@dataclass(frozen=True)
class Mine:
    "Does what RLOO does."
    k: int = 3
    flat: bool = False
    words: str = "none"

    def coefficients(self, step):
        return RLOO(self.k).coefficients(step)


@rmsuite.hookimpl
def rmsuite_optimizers():
    return [rmsuite.PolicyOptimizer(name={name!r}, make=Mine, summary="a test's", reference="arXiv:2501.00001")]
"""
# How many numbers have to be tuned.
BASELINES = {
    "remax": 0,
    "reinforce": 0,
    "reinforce-moving-baseline": 1,
    "rloo": 1,
    "grpo": 2,
    "grpo-mean-only": 1,
    "ppo": 3,
    "optimal-baseline": 0,
    "best-of-n": 1,
    "rejection": 1,
    "optimum": 0,
}


def plugin(path, name="mine"):
    return write(path, PLUGIN.format(name=name))


def offering(make, name="one"):
    hook = rmsuite.hookimpl(lambda: [rmsuite.PolicyOptimizer(name=name, make=make)])
    hook.__name__ = "rmsuite_optimizers"
    return plugins.load(objects={"theirs": SimpleNamespace(rmsuite_optimizers=hook)}, installed=False)


@pytest.fixture(scope="module")
def installed():
    return plugins.load()


def of(catalogue, text):
    return catalogue.optimizer(text)[1]


def test_the_baselines_come_through_the_door_that_is_everybodys(installed):
    (owner,) = {plugin.name for owners in installed.optimizer_owners.values() for plugin, _ in owners}
    assert "rmsuite_optimizers" in next(p for p in installed.plugins if p.name == owner).hooks
    counts = {name: len(owners[0][1].hyperparameters()) for name, owners in installed.optimizer_owners.items()}
    assert counts == BASELINES


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_can_be_made_with_its_defaults_and_says_where_it_is_from(installed, name):
    record = installed.owned_optimizer(name)[1]
    made = of(installed, name).make(0.3)
    assert isinstance(made, Optimizer) != isinstance(made, ClosedForm)
    assert record.summary
    assert record.reference


def test_names_with_parameters_are_read_and_spelt_as_those_of_methods(installed):
    labels = {
        "remax[released=true]": "remax[released=True]",
        "remax[released=false]": "remax",
        "remax[released=True]": "remax[released=True]",
        "remax[released=False]": "remax",
        "ppo[clip=0.2,passes=4]": "ppo",
        "ppo[passes=2, clip=0.1]": "ppo[clip=0.1,passes=2]",
        "ppo[clip=1]": "ppo[clip=1.0]",
    }
    assert {text: of(installed, text).label for text in labels} == labels


def test_a_flag_is_true_or_false_and_no_text_that_would_count_as_true(installed):
    assert of(installed, "remax[released=true]").make(0.0) == ReMax(released=True)
    with pytest.raises(RmsuiteError, match="hyperparameter 'released': expected true or false, got 'no'"):
        of(installed, "remax[released=no]").make(0.0)


def test_parameters_reach_what_is_made(installed):
    assert of(installed, "ppo[clip=0.1,passes=2]").make(0.0) == PPO(clip=0.1, passes=2)
    assert of(installed, "grpo-mean-only[k=8]").make(0.0) == GRPO(8, mean_only=True)
    assert of(installed, "ppo[clip=0.1]").settings() == {"clip": 0.1, "passes": 4, "value_rate": 0.01}


def test_beta_is_the_trainings_and_is_handed_to_whom_it_concerns(installed):
    assert of(installed, "optimum").make(0.25) == Optimum(0.25)
    assert of(installed, "optimum").settings() == {}
    with pytest.raises(UnknownNameError, match="parameter of optimizer 'optimum', 'beta'"):
        of(installed, "optimum[beta=0.3]")


MISTAKES = {
    "remaxx": r"optimizer 'remaxx': .*nearest is 'remax'.*`rmsuite list optimizers`",
    "ppo[clp=0.1]": r"parameter of optimizer 'ppo', 'clp': expected one of clip, .*nearest is 'clip'.*info ppo",
    "ppo[clip": r"specification 'ppo\[clip': .*name\[key=value",
    "bt-mlp": r"optimizer 'bt-mlp': expected one of",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes_are_worded_as_those_with_methods(installed, text, message):
    with pytest.raises(UnknownNameError, match=message):
        installed.optimizer(text)


def test_a_hyperparameter_out_of_range_is_refused_when_it_is_made(installed):
    with pytest.raises(RmsuiteError, match="hyperparameter 'passes': expected a whole number of at least 1, got 0"):
        of(installed, "ppo[passes=0]").make(0.0)


def test_what_is_required_has_to_be_given():
    catalogue = offering(lambda k: GRPO(k))
    assert catalogue.owned_optimizer("one")[1].hyperparameters() == {"k": ...}
    assert of(catalogue, "one[k=3]").make(0.0) == GRPO(3)
    with pytest.raises(RmsuiteError, match=r"optimizer 'one': expected the parameter k, got none. Do: write 'one\[k="):
        catalogue.optimizer("one")


class Both:
    """What is trained, at a price of KL, and is a closed form, without."""

    def coefficients(self, step):
        return step.probabilities

    def log_probabilities(self, choices, rewards):
        return choices.log_reference[:, None]


@pytest.mark.parametrize("make", [dict, lambda: ReMax, lambda: None, Both])
def test_what_is_no_optimizer_is_refused_by_name(make):
    with pytest.raises(ContractError, match=r"make of optimizer 'one': expected an object with `coefficients` or"):
        of(offering(make), "one").make(0.0)


def test_two_plugins_of_one_name_are_an_error_that_names_both(tmp_path):
    catalogue = plugins.load([plugin(tmp_path / "a.py"), plugin(tmp_path / "b.py")], installed=False)
    with pytest.raises(PluginError, match=r"optimizer 'mine': expected one plugin .*'a' .*a\.py.* and plugin 'b'"):
        catalogue.optimizer("mine")


@pytest.mark.parametrize("bad", [{"name": "Mine", "make": ReMax}, {"name": 3, "make": ReMax}])
def test_a_name_that_no_command_line_takes_is_refused(bad):
    with pytest.raises(PluginError, match="lower-case letters"):
        rmsuite.PolicyOptimizer(**bad)
    with pytest.raises(PluginError, match="a callable `make`"):
        rmsuite.PolicyOptimizer(name="mine", make="ReMax")


def test_an_optimizer_of_a_file_estimates_as_the_class_it_is_made_of(tmp_path, installed):
    catalogue = plugins.load([plugin(tmp_path / "mine.py")], installed=False)
    situation = make_situation()
    found = [
        one.coefficients(Step(situation, [np.random.default_rng(s) for s in range(2)]))
        for one in (of(catalogue, "mine[k=4]").make(0.3), of(installed, "rloo").make(0.3))
    ]
    assert (found[0] == found[1]).all()


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Toys(tmp_path, plugin(tmp_path / "mine.py"), capfd)


def test_lists_and_info_show_it_with_what_is_to_be_tuned(toys):
    assert "a test's" in toys("list", "optimizers").out
    shown = toys("info", "mine").out
    assert "parameter words  'none'" in shown
    assert "hyperparameters  1\n" in shown
    assert "clip, passes, value_rate of ppo" in shown
    assert "mine" in toys("plugins").out


def test_info_says_what_remax_does_without(toys):
    shown = toys("info", "remax[released=true]").out
    assert "hyperparameters     0\n" in shown
    assert "clip, passes, value_rate of ppo" in shown
    assert "handed the training's" in toys("info", "optimum").out
    assert "of remax" not in toys("info", "ppo").out
