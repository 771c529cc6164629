"""Ensembles of any method: what members are given, how their rewards become commensurable, and which powers they have.

Whoever builds an ensemble over a method of their own relies on it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from command_line import Toys
from plugin_files import source, write
from scipy.special import expit

from rmsuite import NotApplicable, RmsuiteError, plugins, testing
from rmsuite.errors import ContractError, PluginError, UnknownNameError
from rmsuite.method import states_members, states_probability, states_uncertainty
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.ensemble import ensemble
from rmsuite_baselines.mean_difference import MeanDifference
from rmsuite_baselines.members import RULES, Rule

TINY = "bt-mlp[epochs=3,hidden=8]"
NOTING = '''
import numpy as np
import rmsuite


class Noting:
    """The mean difference, in a unit and with an origin of its own; it keeps what it was given."""

    def __init__(self, unit=1.0, origin=0.0, column=False, refuses=False):
        self.unit, self.origin, self.column, self.refuses = unit, origin, column, refuses

    def fit(self, pairs, *, rng):
        if self.refuses:
            raise rmsuite.NotApplicable("not for me")
        self.given, self.draw = pairs, rng.normal()
        self.weights = self.unit * pairs.differences().mean(axis=0, dtype=np.float64)
        return self

    def reward(self, embeddings):
        rewards = rmsuite.as_embeddings(embeddings, len(self.weights)) @ self.weights + self.origin * self.draw
        return rewards[:, None] if self.column else rewards


class Stating(Noting):
    def probability(self, embeddings, first, second):
        return np.full(len(first), 0.5)


def over_itself(base="over-itself"):
    from rmsuite_baselines.ensemble import ensemble
    return ensemble(base=base)


@rmsuite.hookimpl
def rmsuite_methods():
    makes = {"noting": Noting, "stating": Stating, "over-itself": over_itself}
    return [rmsuite.Method(name=name, make=make) for name, make in makes.items()]
'''


@pytest.fixture(autouse=True)
def noting(tmp_path, monkeypatch):
    """A plugin file that this process has loaded, as a worker has those of its command."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield plugins.load_file(write(tmp_path / "noting.py", NOTING))
    for name in [name for name in sys.modules if name.startswith(plugins.FILE_PREFIX)]:
        del sys.modules[name]


TOY = testing.toy(n_prompts=40)


def fitted(pairs=TOY.pairs, seed=0, **parameters):
    return ensemble(**parameters).fit(pairs, rng=np.random.default_rng(seed))


def centred(model, pairs=TOY.pairs, embeddings=TOY.embeddings) -> np.ndarray:
    return model.reward(embeddings).astype(np.float64) - model.reward(pairs.embeddings).mean(dtype=np.float64)


# Members and their rewards


def test_one_member_is_the_base_but_for_the_origin():
    (own,) = np.random.default_rng(0).spawn(1)
    base = BradleyTerryMLP(hidden=8, epochs=3).fit(TOY.pairs, rng=own)
    for rule in RULES:
        model = fitted(base=TINY, members=1, rule=rule)
        np.testing.assert_allclose(model.reward(TOY.embeddings), centred(base), rtol=0, atol=1e-6)
        assert not model.uncertainty(TOY.embeddings).any()


def test_one_member_of_a_base_without_probabilities_is_the_base_in_units_of_its_spread():
    base = MeanDifference().fit(TOY.pairs, rng=np.random.default_rng(0))
    expected = centred(base) / base.reward(TOY.pairs.embeddings).std()
    model = fitted(base="mean-difference", members=1)
    np.testing.assert_allclose(model.reward(TOY.embeddings), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_reward_is_the_rule_of_the_members_and_the_uncertainty_their_deviation(rule):
    model = fitted(base=TINY, members=4, rule=rule, weight=0.7)
    members = model.member_rewards(TOY.embeddings)
    assert members.shape == (4, len(TOY.embeddings))
    np.testing.assert_array_equal(model.reward(TOY.embeddings), Rule(rule, 0.7)(members))
    np.testing.assert_allclose(model.uncertainty(TOY.embeddings), members.std(axis=0))
    assert all(np.abs(one - other).max() > 0.01 for one, other in combinations(members, 2)), "members differ"


def test_an_uncertainty_penalty_without_weight_is_the_mean_ensemble():
    plain = fitted(base=TINY, members=3).reward(TOY.embeddings)
    for rule in ("uwo", "lcb"):
        model = fitted(base=TINY, members=3, rule=rule, weight=0)
        np.testing.assert_array_equal(model.reward(TOY.embeddings), plain)
        model.weight = 0.5
        assert (model.reward(TOY.embeddings) < plain).all()


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_the_members_is_irrelevant(rule):
    model = fitted(base=TINY, members=4, rule=rule)
    plain = model.reward(TOY.embeddings)
    model.fitted = model.fitted[::-1]
    np.testing.assert_allclose(model.reward(TOY.embeddings), plain, rtol=0, atol=1e-12)


def test_members_that_draw_nothing_agree_unless_their_data_differ():
    same, *others = (fitted(base="bt-linear", members=3, vary=vary) for vary in ("seed", "data", "features"))
    np.testing.assert_allclose(same.uncertainty(TOY.embeddings), 0, atol=1e-12)
    for other in others:
        assert (other.uncertainty(TOY.embeddings) > 0).all()


def test_members_by_seed_are_the_base_fitted_with_a_generator_each():
    """Initialisation and order both differ, as in the paper; trained together they share the order."""
    base = "bt-mlp[batch=32,epochs=3,hidden=8]"
    members = fitted(base=base, members=3).member_rewards(TOY.embeddings)
    rngs = np.random.default_rng(0).spawn(3)
    for rewards, rng in zip(members, rngs, strict=True):
        alone = plugins.at_hand(base).make().fit(TOY.pairs, rng=rng)
        expected = alone.reward(TOY.embeddings) - alone.reward(TOY.pairs.embeddings).mean()
        np.testing.assert_allclose(rewards, expected, rtol=0, atol=1e-6)
    together = fitted(base=base, members=3, vary="initialisation").member_rewards(TOY.embeddings)
    assert not np.allclose(together, members, rtol=0, atol=1e-3)


# Origin and unit


@pytest.mark.parametrize("vary", ["seed", "initialisation", "data", "features"])
def test_each_member_has_mean_zero_over_the_training_responses(vary):
    """Those of the whole, also where it learnt from a part."""
    members = fitted(base=TINY, members=3, vary=vary).member_rewards(TOY.pairs.embeddings)
    np.testing.assert_allclose(members.mean(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", ["noting", "stating"])
def test_the_origins_of_members_are_irrelevant(base, rule):
    """The worst case would otherwise be the member with the lowest origin, everywhere."""
    plain, moved = (
        fitted(base=f"{base}[origin={origin}]", members=3, rule=rule, vary="data") for origin in (0.0, 50.0)
    )
    np.testing.assert_allclose(moved.reward(TOY.embeddings), plain.reward(TOY.embeddings), rtol=0, atol=1e-9)
    assert np.ptp([member.origin for member in moved.fitted]) > 1


@pytest.mark.parametrize("rule", RULES)
def test_a_unit_is_kept_where_probabilities_fix_it_and_is_irrelevant_elsewhere(rule):
    """So that the weight of a penalty means the same for every method."""
    rewards = {
        (base, unit): fitted(base=f"{base}[unit={unit}]", members=3, rule=rule, vary="data").member_rewards(
            TOY.embeddings
        )
        for base in ("noting", "stating")
        for unit in (1.0, 64.0)
    }
    np.testing.assert_allclose(rewards["noting", 64.0], rewards["noting", 1.0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(rewards["stating", 64.0], 64 * rewards["stating", 1.0], rtol=0, atol=1e-9)


def test_members_without_a_unit_get_deviation_one_over_the_training_responses():
    members = fitted(base="noting", members=3, vary="features").member_rewards(TOY.pairs.embeddings)
    np.testing.assert_allclose(members.std(axis=1), 1)


def test_members_that_find_all_alike_stay_so():
    """Divided by what rounding leaves of their spread, noise would become the reward."""
    members = fitted(base="noting[unit=0.0,origin=3.0]", members=3).member_rewards(TOY.embeddings)
    np.testing.assert_allclose(members, 0, atol=1e-12)


# What members are given


def given(model):
    return [member.model.given for member in model.fitted]


def responses(pairs) -> set[bytes]:
    return {row.tobytes() for row in pairs.embeddings}


def test_with_seeds_all_members_have_the_same_data_and_draw_on_their_own():
    model = fitted(base="noting", members=3)
    assert all(pairs is TOY.pairs for pairs in given(model))
    assert len({member.model.draw for member in model.fitted}) == 3


def test_with_data_each_member_has_four_fifths_of_the_prompts_and_the_validation_of_the_task():
    model = fitted(base="noting", members=3, vary="data")
    for pairs in given(model):
        assert len(pairs) == 0.8 * len(TOY.pairs)
        assert len(np.unique(pairs.prompt)) == 32
        assert pairs.validation is TOY.pairs.validation
    one, other, _ = (responses(pairs) for pairs in given(model))
    assert one - other
    assert other - one


@pytest.mark.parametrize("empty", [False, True], ids=["none", "empty"])
def test_without_validation_the_other_fifth_is_the_members_validation(empty):
    """Whoever stops early can do so, on prompts that the member has not learnt from."""
    pairs = TOY.pairs
    columns = {name: getattr(pairs, name)[:0] for name in ("chosen", "rejected", "prompt", "category")}
    nothing = replace(pairs, validation=None, **columns)
    model = fitted(replace(pairs, validation=nothing if empty else None), base="noting", members=2, vary="data")
    for part in given(model):
        assert len(part) == 0.8 * len(pairs)
        assert len(part.validation) == 0.2 * len(pairs)
        assert not responses(part) & responses(part.validation)
        assert responses(part) | responses(part.validation) == responses(pairs)


def test_of_one_prompt_each_member_has_all():
    pairs = testing.toy(n_prompts=1).pairs
    (part,) = given(fitted(pairs, base="noting", members=1, vary="data"))
    assert responses(part) == responses(pairs)
    (part,) = given(fitted(replace(pairs, validation=None), base="noting", members=1, vary="data"))
    assert part.validation is None


def test_with_features_each_member_sees_a_half_of_its_own_in_training_and_later():
    model = fitted(base="noting", members=3, vary="features")
    seen = [set(member.features.tolist()) for member in model.fitted]
    assert [len(features) for features in seen] == [8, 8, 8]
    assert len({tuple(features) for features in seen}) > 1
    plain = model.member_rewards(TOY.embeddings)
    for features, pairs, rewards in zip(seen, given(model), plain, strict=True):
        np.testing.assert_array_equal(pairs.embeddings, TOY.pairs.embeddings[:, sorted(features)])
        assert pairs.validation.n_features == 8
        changed = TOY.embeddings.copy()
        changed[:, sorted(set(range(16)) - features)] += 3
        moved = model.member_rewards(changed)
        np.testing.assert_array_equal(moved[seen.index(features)], rewards)
        assert not np.array_equal(moved, plain)


def test_of_one_feature_each_member_sees_that():
    pairs = replace(TOY.pairs, embeddings=TOY.pairs.embeddings[:, :1], validation=None)
    model = fitted(pairs, base="noting", members=2, vary="features")
    assert [member.features.tolist() for member in model.fitted] == [[0], [0]]


# Powers


@pytest.mark.parametrize("base", [TINY, "bt-linear", f"ensemble[base='{TINY}',members=2]", "stating"])
def test_over_a_base_with_probabilities_it_states_their_mean(base):
    model = fitted(base=base, members=2)
    assert states_probability(model)
    first, second = np.random.default_rng(0).integers(0, len(TOY.embeddings), (2, 50))
    members = [member.model.probability(TOY.embeddings, first, second) for member in model.fitted]
    np.testing.assert_allclose(model.probability(TOY.embeddings, first, second), np.mean(members, axis=0))


def test_over_bradley_terry_the_probability_is_the_mean_sigmoid_of_the_members_differences():
    """Whatever the rule for rewards; by the rewards that the ensemble itself states."""
    first, second = np.random.default_rng(0).integers(0, len(TOY.embeddings), (2, 50))
    for vary, rule in (("seed", "mean"), ("data", "wco"), ("features", "uwo")):
        model = fitted(base=TINY, members=3, vary=vary, rule=rule)
        rewards = model.member_rewards(TOY.embeddings)
        expected = expit(rewards[:, first] - rewards[:, second]).mean(axis=0)
        np.testing.assert_allclose(model.probability(TOY.embeddings, first, second), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("base", ["mean-difference", "clf-mlp", "noting", "ensemble[base=noting]"])
def test_over_a_base_without_probabilities_it_states_none(base):
    model = ensemble(base=base)
    assert not states_probability(model)
    assert states_uncertainty(model)
    assert states_members(model)


# Bases


def test_an_ensemble_of_ensembles_is_an_ensemble():
    """Of means, it is the mean of all their members."""
    nested = fitted(base=f"ensemble[base='{TINY}',members=2]", members=3)
    inner = [member.model.member_rewards(TOY.embeddings) for member in nested.fitted]
    np.testing.assert_allclose(nested.reward(TOY.embeddings), np.mean(inner, axis=(0, 1)), rtol=0, atol=1e-6)


def test_an_ensemble_over_itself_is_refused():
    with pytest.raises(PluginError, match="got over-itself over over-itself"):
        ensemble(base="over-itself")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"base": "bt-mpl"}, UnknownNameError, "nearest is 'bt-mlp'"),
        ({"base": "bt-mlp[hiden=3]"}, UnknownNameError, "nearest is 'hidden'"),
        ({"base": "bt-mlp[hidden=0]"}, RmsuiteError, "parameter hidden"),
        ({"base": "bt-mlp[hidden"}, UnknownNameError, "close the brackets"),
        ({"base": 5}, RmsuiteError, "parameter base: expected a text"),
        ({"members": 0}, RmsuiteError, "parameter members"),
        ({"rule": "max"}, RmsuiteError, "parameter rule"),
        ({"weight": -0.5}, RmsuiteError, "parameter weight"),
        ({"vary": "nothing"}, RmsuiteError, "parameter vary"),
    ],
)
def test_parameters_out_of_range_are_refused_when_it_is_made(parameters, error, message):
    with pytest.raises(error, match=message):
        ensemble(**parameters)


def test_what_is_wrong_with_a_base_is_said_of_the_base():
    with pytest.raises(ContractError, match=r"reward of 'noting\[column=True\]': expected shape"):
        fitted(base="noting[column=True]")
    with pytest.raises(NotApplicable, match="not for me"):
        fitted(base="noting[refuses=True]")


@pytest.mark.parametrize("vary", ["seed", "initialisation", "data", "features"])
@pytest.mark.parametrize("rule", RULES)
def test_half_precision_near_its_end_gives_finite_rewards(vary, rule):
    embeddings = np.random.default_rng(0).uniform(-65504, 65504, (60, 6)).astype(np.float16)
    pairs = replace(testing.toy(n_prompts=15).pairs, embeddings=embeddings.astype(np.float32), validation=None)
    model = fitted(pairs, base=TINY, members=2, vary=vary, rule=rule)
    assert np.isfinite(model.reward(embeddings)).all()


def test_it_runs_over_a_method_of_a_plugin_file_in_a_worker_process(tmp_path, toy_root, capfd, monkeypatch):
    """From the command line to the table, nothing is told of the base but its name."""
    monkeypatch.chdir(tmp_path)
    toys = Toys(tmp_path, write(tmp_path / "toys.py", source("mine", root=toy_root)), capfd)
    toys.install(monkeypatch, EntryPoint("rmsuite-baselines", "rmsuite_baselines", "rmsuite"))
    texts = ("ensemble[base=mine,members=3,vary=data]", "ensemble[base=mine[sign=-1],members=3]", "mine")
    methods = [part for text in texts for part in ("-m", text)]
    answer = toys("run", *methods, "-t", "toy-gold", "-r", "1", "-j", "1", "--format", "json")
    assert answer.code == 0, answer.err
    (table,) = json.loads(answer.out)["tables"]
    values = {row["method"]: row["estimates"]["pair-accuracy"]["value"] for row in table["rows"]}
    assert values["ensemble[base=mine,members=3,vary=data]"] == pytest.approx(values["mine"], abs=0.05)
    assert values["ensemble[base='mine[sign=-1]',members=3]"] == pytest.approx(1 - values["mine"])
    (record,) = Path("rmsuite-results").glob("toy-gold@1/ensemble*data*/0.json")
    with np.load(next(record.parent.glob("0-*.npz"))) as arrays:
        assert (arrays["uncertainty"] > 0).any()
        assert "probability" not in arrays


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("ensemble[base=bt-mlp[hidden=256]]", "ensemble"),
        ("ensemble[base=clf-mlp[hidden=256]]", "ensemble[base=clf-mlp]"),
        ("ensemble[base=bt-mlp[epochs=9, dropout=0]]", "ensemble[base='bt-mlp[epochs=9]']"),
        ("active[base=ensemble[base=bt-mlp[hidden=256],members=3]]", "active[base='ensemble[members=3]']"),
    ],
)
def test_defaults_of_a_base_are_left_out_of_the_label(written, label):
    """One setting, one row of a table; and the label names the same setting again."""
    assert plugins.at_hand(written).label == label == plugins.at_hand(label).label
