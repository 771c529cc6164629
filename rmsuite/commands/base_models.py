"""``rmsuite base-models``: which base model to choose, and what would have told before training."""

from __future__ import annotations

import sys
from argparse import Namespace

from tqdm import tqdm

from rmsuite.choice.bases import BaseModels
from rmsuite.choice.results import read_results
from rmsuite.choice.scores import BUNDLED, read_scores
from rmsuite.render.choice import render_choice
from rmsuite.reports.choice import Settings, n_fits, study


def show_choice(options: Namespace) -> int:
    """Read results and scores, analyse them, and print the tables."""
    settings = Settings(
        ties=options.ties,
        n_draws=options.draws,
        seed=options.seed,
        sizes=options.sizes,
        defaults=None if options.default is None else tuple(options.default),
    )
    bases, scores = _bases(options), read_scores(options.scores or [BUNDLED])
    with tqdm(total=n_fits(bases), unit="fit", leave=False, disable=not sys.stderr.isatty()) as bar:
        found = study(bases, scores, settings, bar.update)
    print(render_choice(found, options.format), flush=True)
    return 0


def _bases(options: Namespace) -> BaseModels:
    """Return base models by methods; whatever fills such a table can be studied."""
    return read_results(options.results)
