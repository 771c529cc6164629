"""Everything that a plugin may implement. Each hook returns records and does nothing else: no data, no fitting.

A plugin is a module or object with functions of these names, marked ``@rmsuite.hookimpl``. It is found in one of
three ways: as an installed distribution with an entry point in the group ``rmsuite``; as one file, given with
``--plugin mine.py``; or as an object handed to ``rmsuite.plugins.load``, in a notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from rmsuite.annotators import Annotator
    from rmsuite.embedders import Embedder
    from rmsuite.method import Method
    from rmsuite.optimizers import PolicyOptimizer

hookspec = pluggy.HookspecMarker("rmsuite")
hookimpl = pluggy.HookimplMarker("rmsuite")


@hookspec
def rmsuite_methods() -> Sequence[Method]:  # type: ignore[empty-body]
    """Say which reward-model methods this plugin offers. Import heavy packages in ``fit``, not at the top."""


@hookspec
def rmsuite_embedders() -> Sequence[Embedder]:  # type: ignore[empty-body]
    """Say which embedders this plugin offers: they embed or read texts. Import heavy packages in ``make`` or later."""


@hookspec
def rmsuite_annotators() -> Sequence[Annotator]:  # type: ignore[empty-body]
    """Say which annotators this plugin offers to tasks beside the built-in ones: who labels training pairs, and how."""


@hookspec
def rmsuite_optimizers() -> Sequence[PolicyOptimizer]:  # type: ignore[empty-body]
    """Say which optimizers of policies this plugin offers: how rewards make a policy better, and closed forms."""


@hookspec
def rmsuite_tasks() -> Sequence[Path]:  # type: ignore[empty-body]
    """Say which folders hold cards: ``tasks/*.toml``, ``suites/*.toml`` and the pools under ``pools/``."""


@hookspec
def rmsuite_results() -> Sequence[Path]:  # type: ignore[empty-body]
    """Say which folders hold stored results that tables show beside new ones, the folders of runs."""


@hookspec
def rmsuite_references() -> Sequence[Path]:  # type: ignore[empty-body]
    """Say which BibTeX files hold the entries of this plugin's pools, base models and papers (``arXiv:...``)."""
