"""Tasks on real preference data: pools, embedding sets and cards. The recipes that made them are in ``tasks/make``.

What is too large for the package lies beside it, in ``tasks/more`` of a checkout; ``more.toml`` lists it for those
who fetch it.
"""

from pathlib import Path

import rmsuite


@rmsuite.hookimpl
def rmsuite_tasks() -> list[Path]:
    """Offer this package's folder of cards and pools, and the larger one beside it where there is one."""
    home = Path(__file__).parent
    more = home.parent / "more"
    return [home, more] if (more / "pools").is_dir() else [home]


@rmsuite.hookimpl
def rmsuite_references() -> list[Path]:
    """Offer the BibTeX entries of pools and base models."""
    return [Path(__file__).with_name("references.bib")]
