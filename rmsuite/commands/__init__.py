"""What each command does; ``cli`` parses, these call the layers below and print."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from importlib import import_module

# Where each command is; only the one that is called is imported, so that none pays for the others.
COMMANDS: Mapping[str, str] = {
    "run": "run:run",
    "table": "table:table",
    "curve": "curve:show_curves",
    "transfer": "transfer:show_transfer",
    "policy": "policy:show_policies",
    "base-models": "base_models:show_choice",
    "check": "check:check",
    "list": "show:show_list",
    "info": "show:info",
    "plugins": "show:show_plugins",
    "new": "new:new",
    "compare": "compare:show_comparison",
    "inspect": "inspect:show_details",
    "verify": "bundles:show_verification",
    "reproduce": "reproduce:show_reproduction",
    "cite": "cite:show_citation",
    "score": "bundles:show_scores",
    "export": "bundles:show_export",
    "merge": "bundles:show_merge",
    "diff-protocol": "bundles:show_protocol_difference",
    "embed": "embed:embed",
    "log-probabilities": "log_probabilities:log_probabilities",
    "import": "bring:bring",
    "fetch": "fetch:fetch",
    "coverage": "coverage:show_coverage",
    "clean": "housekeeping:clean",
    "sys-info": "housekeeping:show_system",
}


def command(name: str) -> Callable[[Namespace], int]:
    """Return the function of a command: it takes the parsed options, prints, and returns the exit code."""
    module, _, function = COMMANDS[name].partition(":")
    found: Callable[[Namespace], int] = getattr(import_module(f"{__name__}.{module}"), function)
    return found
