"""``rmsuite coverage``: do the intervals hold the truth as often as they say? A simulation whose truth is known."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import astuple

from tabulate import tabulate
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from rmsuite import seeds
from rmsuite.statistics import LEVEL, intervals
from rmsuite.statistics.simulation import GRID, HARD, Case, Coverage, coverage

ACCEPTED = (0.93, 0.97)


def show_coverage(options: Namespace) -> int:
    """Simulate, and print the coverage of every interval method; 1 if the default misses on the grid."""
    cases = HARD if options.hard else GRID
    with threadpool_limits(limits=1):
        found = [_covered(case, options) for case in tqdm(cases, leave=False, disable=not sys.stderr.isatty())]
    print(tabulate([_line(one) for one in found], _headers(), tablefmt="github", disable_numparse=True))
    outside = [one for one in found if not ACCEPTED[0] <= one[intervals.DEFAULT].held <= ACCEPTED[1]]
    print()
    print(_verdict(len(cases) - len(outside), len(cases), options.simulations))
    return 1 if outside and not options.hard else 0


def _covered(case: Case, options: Namespace) -> dict[str, Coverage]:
    seed = seeds.seed(options.seed, "simulation", case=json.dumps(astuple(case)))
    return {one.method: one for one in coverage(case, seed, options.simulations, options.draws)}


def _headers() -> list[str]:
    names = [f"{name}{' (default)' if name == intervals.DEFAULT else ''}" for name in intervals.METHODS]
    return ["prompts", "pairs a prompt", "spread", "accuracy", "skew", *names]


def _line(found: dict[str, Coverage]) -> list[str]:
    case = found[intervals.DEFAULT].case
    facts = [case.n_prompts, case.n_pairs, case.spread, f"{case.truth:.3f}", case.skew]
    return [*map(str, facts), *(f"{one.held:.3f} ({one.above:.3f}, {one.below:.3f})" for one in found.values())]


def _verdict(inside: int, n: int, simulations: int) -> str:
    error = (LEVEL * (1 - LEVEL) / simulations) ** 0.5
    return (
        f"Share of {simulations:,} simulations whose 95 % interval holds the truth (in parentheses: lies above it, "
        f"below it); standard error {error:.3f}. The default covers {ACCEPTED[0]:.0%} to {ACCEPTED[1]:.0%} "
        f"in {inside} of {n} cases."
    )
