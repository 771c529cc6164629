"""The contract of rmsuite, run on this plugin."""

from pathlib import Path

import pytest
import rmsuite_example

from rmsuite import plugins
from rmsuite.checks import CHECKS, Subject, examine, file_listing


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_keeps_the_contract(check):
    catalogue = plugins.load(objects={"example-under-test": rmsuite_example}, installed=False)
    _, configured = catalogue.configured("example")
    finding = examine(check, Subject(configured, file_listing(Path(rmsuite_example.__file__))))
    assert finding.status != "failed", f"{check.promise}: {finding.evidence}. Do: {finding.remedy}"
