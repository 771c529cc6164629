"""Tasks on real preference data: pools, embedding sets and cards. The recipes that made them are in ``tasks/make``."""

from pathlib import Path

import rmsuite


@rmsuite.hookimpl
def rmsuite_tasks() -> list[Path]:
    """Offer this package's folder of cards and pools."""
    return [Path(__file__).parent]


@rmsuite.hookimpl
def rmsuite_references() -> list[Path]:
    """Offer the BibTeX entries of pools and base models."""
    return [Path(__file__).with_name("references.bib")]
