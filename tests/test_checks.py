"""The executable contract notices what it is there to notice, and nothing else.

Authors of methods rely on it twice: a check that fails names the one promise that is broken, and a method that keeps
its promises is not troubled.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from threadpoolctl import threadpool_info
from villains import VILLAINS, Good, Versed, Villain, WidensNativePools

import rmsuite_baselines
from rmsuite.checks import CHECKS, Check, Finding, Subject, check_method, examine, file_listing
from rmsuite.errors import NotApplicable
from rmsuite.method import Configured, Method, states_members, states_probability, states_uncertainty

NAMES = [check.name for check in CHECKS]
STATES = {"probability": states_probability, "uncertainty": states_uncertainty, "members": states_members}
POWERS = {name for name in NAMES if name.partition("-")[0] in STATES}
LIGHT = "import rmsuite\n\n@rmsuite.hookimpl\ndef rmsuite_methods():\n    return []\n"
UNEXPECTED = "make `fit` and `reward` run on toy data"  # the remedy where no check knows what went wrong


def subject(make, listing=""):
    return Subject(Configured(Method(name="under-test", make=make)), listing)


def listing_of(source, folder):
    """Return the listing of a plugin file with a neighbour named torch; the folder's name needs quoting."""
    home = folder / "it's a folder"
    home.mkdir()
    (home / "torch.py").write_text("")
    (home / "plugin.py").write_text(source)
    return file_listing(home / "plugin.py")


def parameter(villain: Villain):
    unseen = villain.make is WidensNativePools and not threadpool_info()
    marks = [pytest.mark.skipif(unseen, reason="no native thread pool that can be counted")]
    return pytest.param(villain, id=f"{villain.check}-{villain.make.__name__}", marks=marks)


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.check.name: finding.status for finding in findings}


@pytest.mark.parametrize("villain", [parameter(villain) for villain in VILLAINS])
def test_a_villain_fails_its_check_and_no_other(villain, tmp_path):
    """The law of the whole page; the failed check gives its own evidence and remedy, not those of a stray error."""
    listing = listing_of(villain.source, tmp_path) if villain.source else ""
    failed = [finding for finding in check_method(subject(villain.make, listing)) if finding.status == "failed"]
    assert {finding.check.name for finding in failed} == {villain.check}, [(f.check.name, f.evidence) for f in failed]
    assert failed[0].evidence.strip()
    assert failed[0].remedy.strip()
    assert failed[0].remedy != UNEXPECTED


@pytest.mark.parametrize("villain", [parameter(villain) for villain in VILLAINS])
def test_a_villain_fails_its_check_when_that_runs_alone(villain, tmp_path):
    """Whoever runs one check by its name relies on it: no check needs those before it."""
    check = CHECKS[NAMES.index(villain.check)]
    listing = listing_of(villain.source, tmp_path) if villain.source else ""
    assert examine(check, subject(villain.make, listing)).status == "failed"


def test_every_check_has_a_villain_and_every_villain_a_check():
    """Who adds a check adds a method that fails it."""
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == {villain.check for villain in VILLAINS}


def expected(*powers: str) -> dict[str, str]:
    """All passed, but for the promises of powers that a method does not have."""
    return {name: "skipped" if name in POWERS and name.partition("-")[0] not in powers else "passed" for name in NAMES}


def test_a_good_method_passes_every_check(tmp_path):
    """One that states rewards only is not asked for more."""
    listing = listing_of(LIGHT, tmp_path)
    findings = check_method(subject(Versed, listing))
    assert statuses(findings) == expected(*STATES), [finding.evidence for finding in findings]
    findings = check_method(subject(Good, listing))
    assert statuses(findings) == expected(), [finding.evidence for finding in findings]
    (reason,) = {finding.evidence for finding in findings if finding.check.name == "probability-range"}
    assert reason == "it states no probabilities: it has no method `probability`"


def test_an_attribute_with_the_name_of_a_power_is_no_power():
    """Who names a parameter `uncertainty` has not promised anything."""

    class Named(Good):
        probability, uncertainty, member_rewards = 0.9, None, ()

    assert statuses(check_method(subject(Named))) == {**expected(), "light-listing": "skipped"}


VARIANTS = [("dmoerm", {"attributes": "directions"})]
BASELINES = {method.name: method for method in rmsuite_baselines.rmsuite_methods()}
# A fit takes the eigenvectors of a matrix with two rows a frequency, two dozen times: a second for 256 frequencies.
# With that many it is fitted where the stored results are reproduced.
SMALLER = {"bt-gp": {"n_frequencies": 64}}
CONFIGURED = [Configured(method, SMALLER.get(method.name, {})) for method in BASELINES.values()]
CONFIGURED += [Configured(BASELINES[name], parameters) for name, parameters in VARIANTS]


@pytest.mark.parametrize("configured", CONFIGURED, ids=lambda configured: configured.label)
def test_a_baseline_passes_every_check(configured):
    """No false alarm on the methods that every table compares with."""
    findings = check_method(Subject(configured, "import rmsuite_baselines"))
    powers = [power for power, states in STATES.items() if states(configured.make())]
    assert statuses(findings) == expected(*powers), [finding.evidence for finding in findings]


def test_the_checks_leave_global_random_state_as_it_is():
    """Who runs the checks among tests of their own relies on it, though a check seeds the global generators."""
    np.random.random(), random.random()  # noqa: NPY002 -- away from where the check itself would leave it
    kept = np.random.get_state(), random.getstate()  # noqa: NPY002 -- the state is what is tested
    check_method(subject(Good))
    now = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.testing.assert_equal(now, kept)


def test_an_error_in_fit_fails_every_check_that_fits():
    """Whatever a stranger's code raises is a finding of each check, and ends none of them."""

    class Unwilling(Good):
        def fit(self, pairs, *, rng):
            raise LookupError("no such kernel")

    findings = check_method(subject(Unwilling))
    assert statuses(findings) == {name: "skipped" if name == "light-listing" else "failed" for name in NAMES}
    for finding in findings:
        if finding.status == "failed":
            assert finding.evidence == "LookupError: no such kernel"
            assert finding.remedy == UNEXPECTED


@pytest.mark.parametrize("error", [ValueError("boom"), KeyError("lost"), AssertionError(), MemoryError(), OSError(5)])
def test_any_exception_becomes_a_failed_finding_that_names_it(error):
    def run(given):
        raise error

    finding = examine(Check("one", "it runs", run), subject(Good))
    assert (finding.status, finding.remedy) == ("failed", UNEXPECTED)
    assert finding.evidence == f"{type(error).__name__}: {error}"


def test_a_refusal_is_skipped_with_its_reason():
    class Refuses(Good):
        def fit(self, pairs, *, rng):
            raise NotApplicable("needs attributes")

    findings = {finding.check.name: finding for finding in check_method(subject(Refuses))}
    assert {finding.status for finding in findings.values()} == {"skipped"}
    assert findings["row-order"].evidence == "needs attributes"


def test_what_a_method_prints_does_not_mix_with_the_findings(capsys):
    """Whoever reads the findings from standard output relies on it."""

    class Talks(Good):
        def fit(self, pairs, *, rng):
            print("hello")  # noqa: T201 -- what is tested
            return super().fit(pairs, rng=rng)

    assert examine(CHECKS[NAMES.index("fit-returns-self")], subject(Talks)).status == "passed"
    assert capsys.readouterr() == ("", "hello\n")


def test_an_interrupt_ends_the_checks():
    """Control-C is the user's wish, not a finding."""

    def run(given):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(Check("one", "it runs", run), subject(Good))
