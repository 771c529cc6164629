"""The options of commands that have many of their own."""

from __future__ import annotations

import argparse

from rmsuite.option_values import finite, positive, price, quantity, whole


def add_policies(command: argparse.ArgumentParser) -> None:
    """Add what policies are trained with and against."""
    command.set_defaults(in_process=False, pdb=False)
    for names, help in (
        (("-m", "--method"), "a method, with parameters as in 'mine[penalty=1.0]' (repeatable)"),
        (("--optimizer",), "an optimizer, with hyperparameters as in 'mine[k=4]' (repeatable)"),
        (("-t", "--task"), "a task with gold rewards (repeatable)"),
    ):
        command.add_argument(*names, action="append", required=True, metavar="NAME", help=help)
    command.add_argument(
        "--beta",
        type=price,
        action="append",
        metavar="X",
        help="what a nat of KL to the reference costs, in standard deviations of reward (repeatable; default: 0.05)",
    )
    for option, kind, default, help in (
        ("--policies", positive, 5, "policies a cell, by seed (default: 5)"),
        ("--steps", whole, 500, "steps of training (default: 500)"),
        ("--prompts", whole, 32, "prompts a step, 0 for all (default: 32)"),
        ("--hidden", whole, 0, "units of the policy's hidden layer, 0 for a linear one (default: 0)"),
    ):
        command.add_argument(option, type=kind, default=default, metavar="N", help=help)
    shift = "added to the rewards that optimizers get, in standard deviations, for no pair teaches a zero (default: 0)"
    command.add_argument("--shift", type=finite, default=0, metavar="X", help=shift)
    command.add_argument(
        "--target", type=quantity, default=1.0, metavar="X", help="gold gain that samples are counted to (default: 1.0)"
    )
    against = "an optimizer of this command, whose number of samples to the target others are compared with"
    command.add_argument("--against", metavar="NAME", help=against)
    rate = "of the policies (default: 0.01)"
    command.add_argument("--learning-rate", type=quantity, default=0.01, metavar="X", help=rate)
    command.add_argument(
        "-r", "--repetitions", type=positive, default=3, metavar="N", help="repetitions of each cell (default: 3)"
    )
    command.add_argument("--seed", type=int, default=0, help="root of all random streams (default: 0)")
    command.add_argument("--no-cache", action="store_true", help="compute all cells anew, finished or not")


def add_limits(command: argparse.ArgumentParser) -> None:
    """Add what a cell may take."""
    command.add_argument("--timeout", type=quantity, metavar="S", help="end a cell that takes more seconds than that")
    command.add_argument("--memory", type=quantity, metavar="MIB", help="mebibytes that a method may have of its own")


def add_formats(command: argparse.ArgumentParser) -> None:
    """Add how tables are printed that people read."""
    formats = ("text", "markdown", "csv")
    command.add_argument("--format", choices=formats, default="text", help="of the tables (default: text)")
