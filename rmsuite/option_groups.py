"""The options of commands that have many of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from rmsuite.option_values import bounds, failures, finite, positive, price, quantity, whole

# What policies are trained with where neither options nor a suite say it.
TRAINING = {"policies": 5, "steps": 500, "prompts": 32, "hidden": 0, "learning_rate": 0.01}
BETA = 0.05  # what the authors of ReMax trained with
REPETITIONS = 3


def add_policies(command: argparse.ArgumentParser) -> None:
    """Add what policies are trained with and against."""
    for names, help in (
        (("-m", "--method"), "a method, with parameters as in 'mine[penalty=1.0]' (repeatable)"),
        (("--optimizer",), "an optimizer, with hyperparameters as in 'mine[k=4]' (repeatable)"),
        (("-t", "--task"), "a task with gold rewards (repeatable)"),
    ):
        command.add_argument(*names, action="append", metavar="NAME", help=help)
    suite = "a suite whose card says what is left open here, and has claims to hold results against"
    command.add_argument("--suite", metavar="NAME", help=suite)
    beta = f"what a nat of KL to the reference costs, in sd of reward (repeatable; or the suite's, or {BETA})"
    command.add_argument("--beta", type=price, action="append", metavar="X", help=beta)
    _add_training(command)
    reference = "the policy that is improved: uniform, generators (each alike), or names of some, with commas"
    command.add_argument("--reference", default="uniform", metavar="NAME", help=f"{reference} (default: uniform)")
    target = "gold gain that samples are counted to (default: 1.0)"
    command.add_argument("--target", type=quantity, default=1.0, metavar="X", help=target)
    against = "an optimizer of this command, whose number of samples to the target others are compared with"
    command.add_argument("--against", metavar="NAME", help=against)
    repetitions = f"repetitions of each cell (or the suite's, or {REPETITIONS})"
    command.add_argument("-r", "--repetitions", type=positive, metavar="N", help=repetitions)
    add_seed(command)


def _add_training(command: argparse.ArgumentParser) -> None:
    for name, kind, metavar, help in (
        ("policies", positive, "N", "policies a cell, by seed"),
        ("steps", whole, "N", "steps of training"),
        ("prompts", whole, "N", "prompts a step, 0 for all"),
        ("hidden", whole, "N", "units of the policy's hidden layer, 0 for a linear one"),
        ("learning_rate", quantity, "X", "of the policies"),
    ):
        option, help = f"--{name.replace('_', '-')}", f"{help} (or the suite's, or {TRAINING[name]})"
        command.add_argument(option, type=kind, metavar=metavar, help=help)
    shift = "added to the rewards that optimizers get, in standard deviations, for no pair teaches a zero (default: 0)"
    command.add_argument("--shift", type=finite, default=0, metavar="X", help=shift)


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add the root of all random streams of cells."""
    command.add_argument("--seed", type=int, default=0, help="root of all random streams (default: 0)")


def add_reuse(command: argparse.ArgumentParser, forced: str) -> None:
    """Add which cells are computed: ``forced`` says in words what ``--force`` names."""
    command.add_argument("--force", action="append", metavar="NAME", help=f"compute {forced} anew, finished or not")
    command.add_argument("--explain-cache", action="store_true", help="say why each cell is computed")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--no-cache", action="store_true", help="compute all cells anew, finished or not")
    which.add_argument("--only", choices=("failed", "missing"), help="only cells that failed, or have no result")


def add_dry_run(command: argparse.ArgumentParser) -> None:
    """Add what only plans the cells."""
    command.add_argument("--dry-run", action="store_true", help="say what would be computed, and compute nothing")


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add where cells run, what each may take, and after which failures the run stops."""
    command.set_defaults(in_process=False, pdb=False)
    add_jobs(command)
    command.add_argument(
        "--executor",
        choices=("processes", "serial", "dask"),
        default="processes",
        help="where cells run: in local processes, in one at a time, or on a Dask cluster (default: processes)",
    )
    command.add_argument("--address", metavar="URL", help="of the Dask cluster's scheduler, as tcp://HOST:8786")
    add_limits(command)
    stop = command.add_mutually_exclusive_group()
    stop.add_argument("-x", "--exitfirst", action="store_true", help="stop the run after the first cell that fails")
    stop.add_argument(
        "--fail-on-error",
        type=failures,
        metavar="N",
        help="stop the run once more than N cells have failed, or, if N is a fraction, more than that share of the "
        "cells to compute",
    )


def add_jobs(command: argparse.ArgumentParser) -> None:
    """Add how many cells run at a time."""
    command.add_argument("-j", "--jobs", type=positive, metavar="N", help="cells at a time (default: one a core)")


def add_base_models(command: argparse.ArgumentParser) -> None:
    """Add where results and scores of base models come from, beside methods, and how they are analysed."""
    for option, metavar, help in (
        (
            "--scores",
            "FILE",
            "CSV or JSON of scores on benchmarks elsewhere, or 'bundled' (repeatable; default: bundled)",
        ),
        ("--default", "MODEL", "a base model that one would take without a study (repeatable)"),
        (
            "--log-probabilities",
            "FILE",
            "CSV or JSON of documents' log-probabilities under base models, as the command of that name writes it "
            "(repeatable)",
        ),
    ):
        command.add_argument(option, action="append", metavar=metavar, help=help)
    command.add_argument(
        "--results",
        metavar="NAME",
        help="a bundled table (ahrabian2025, if none is given), or a CSV or JSON file of results by base model; with "
        "methods: a file that says which base model was trained from which",
    )
    sizes = "where classes of size end, in billions of parameters (3,6 if not given; of methods 0.01,0.1)"
    command.add_argument("--sizes", type=bounds, metavar="A,B,...", help=sizes)
    per = "what log-probabilities are the mean per (default: token)"
    command.add_argument("--per", choices=("token", "byte"), help=per)
    inherit = "give models without log-probabilities those of the largest of their family that saw as many tokens"
    command.add_argument("--inherit", action="store_true", help=inherit)
    ties = ("expected", "table-order")
    command.add_argument("--ties", choices=ties, default="expected", help="rule of coverage (default: expected)")
    command.add_argument(
        "--draws", type=positive, default=2000, metavar="N", help="resamples of models (default: 2000)"
    )


def add_limits(command: argparse.ArgumentParser) -> None:
    """Add what a cell may take."""
    command.add_argument("--timeout", type=quantity, metavar="S", help="end a cell that takes more seconds than that")
    command.add_argument("--memory", type=quantity, metavar="MIB", help="mebibytes that a method may have of its own")


def add_figures(command: argparse.ArgumentParser) -> None:
    """Add where figures go."""
    help = "write figures there too, as SVG, PDF and PNG, with their numbers as CSV and captions as text"
    command.add_argument("--figures", type=Path, metavar="DIR", help=help)


def add_formats(command: argparse.ArgumentParser) -> None:
    """Add how tables are printed that people read."""
    formats = ("text", "markdown", "csv")
    command.add_argument("--format", choices=formats, default="text", help="of the tables (default: text)")


def add_log_probabilities(command: argparse.ArgumentParser) -> None:
    """Add documents, the models that are asked about them, and where the answers go."""
    documents = "a folder with a sub-folder of texts a category, or JSON lines or Parquet with category and text"
    command.add_argument("documents", type=Path, metavar="DOCUMENTS", help=documents)
    embedder = "an embedder that is a language model too, with parameters as in 'mine[model=x]' (repeatable)"
    command.add_argument("-e", "--embedder", action="append", required=True, metavar="NAME", help=embedder)
    tokens = "how many tokens of each document, its first ones (default: 2048)"
    command.add_argument("--tokens", type=positive, default=2048, metavar="N", help=tokens)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a CSV file, a new one")
