"""``rmsuite list``, ``info`` and ``plugins``: what there is."""

from __future__ import annotations

import inspect
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tabulate import tabulate

from rmsuite import plugins, signature
from rmsuite.annotators import ANNOTATORS, Annotator
from rmsuite.book import TaskBook
from rmsuite.commands import shared
from rmsuite.controls import CONTROLS
from rmsuite.embedders import Embedder
from rmsuite.errors import unknown_name
from rmsuite.method import Method
from rmsuite.metrics import METRICS
from rmsuite.optimizers import PolicyOptimizer
from rmsuite.plugins import Catalogue

Offered = Method | Embedder | Annotator | PolicyOptimizer


def show_list(options: Namespace) -> int:
    """List one kind of thing."""
    catalogue = shared.catalogue(options)
    rows = LISTS[options.kind](catalogue)
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    return 0


def _list_methods(catalogue: Catalogue) -> Sequence[Sequence[str]]:
    return [[name, m.summary, p.origin] for name, owners in catalogue.owners.items() for p, m in owners]


def _list_tasks(catalogue: Catalogue) -> Sequence[Sequence[str]]:
    return [[task.name, f"version {task.version}", task.question] for task in shared.book(catalogue).tasks.values()]


def _list_suites(catalogue: Catalogue) -> Sequence[Sequence[str]]:
    return [[suite.name, suite.summary, ", ".join(suite.tasks)] for suite in shared.book(catalogue).suites.values()]


def _list_annotators(catalogue: Catalogue) -> Sequence[Sequence[str]]:
    built_in = [[name, _first_line(make), "built in"] for name, make in ANNOTATORS.items()]
    return built_in + [[n, a.summary, p.origin] for n, owners in catalogue.annotator_owners.items() for p, a in owners]


LISTS: Mapping[str, Any] = {
    "methods": _list_methods,
    "embedders": lambda catalogue: [
        [name, e.summary, p.origin] for name, owners in catalogue.embedder_owners.items() for p, e in owners
    ],
    "tasks": _list_tasks,
    "suites": _list_suites,
    "metrics": lambda catalogue: [[m.name, m.direction, m.summary] for m in METRICS],
    "annotators": _list_annotators,
    "optimizers": lambda catalogue: [
        [name, o.summary, p.origin] for name, owners in catalogue.optimizer_owners.items() for p, o in owners
    ],
    "controls": lambda catalogue: [[control.name, control.summary] for control in CONTROLS],
}


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]


def info(options: Namespace) -> int:
    """Describe one thing by name."""
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    known: dict[str, Any] = {name: partial(_info_embedder, catalogue, name) for name in catalogue.embedder_owners}
    known |= {name: partial(_info_optimizer, catalogue, name) for name in catalogue.optimizer_owners}
    known |= {name: partial(_info_method, catalogue, name) for name in catalogue.owners}
    known |= {name: partial(_info_task, book, options.name) for name in book.tasks}
    known |= {name: partial(_facts, suite) for name, suite in book.suites.items()}
    known |= {metric.name: partial(_facts, metric, "per_prompt", "reduce") for metric in METRICS}
    known |= {name: partial(_info_plugged, catalogue, name) for name in catalogue.annotator_owners}
    known |= {name: partial(_info_annotator, name) for name in ANNOTATORS}
    known |= {control.name: partial(_facts, control, "reward", "floor") for control in CONTROLS}
    name = re.split(r"[@\[]", options.name)[0]  # as tables print it, with version or parameters
    if name not in known:
        raise unknown_name("name", name, known, "see `rmsuite list methods` and its like")
    rows = [[key, _listed(value)] for key, value in known[name]().items()]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    return 0


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _info_method(catalogue: Catalogue, name: str) -> dict[str, Any]:
    return _offer("method", *catalogue.owned(name))


def _info_embedder(catalogue: Catalogue, name: str) -> dict[str, Any]:
    return _offer("embedder", *catalogue.owned_embedder(name))


def _info_plugged(catalogue: Catalogue, name: str) -> dict[str, Any]:
    return _offer("annotator", *catalogue.owned_annotator(name))


def _info_optimizer(catalogue: Catalogue, name: str) -> dict[str, Any]:
    plugin, optimizer = catalogue.owned_optimizer(name)
    facts = _offer("optimizer", plugin, optimizer)
    beta = {"beta": "handed the training's"} if optimizer.takes_beta else {}
    counted = {**beta, "hyperparameters": len(optimizer.hyperparameters())}
    return {**facts, **counted, "does without": "; ".join(_spared(catalogue, optimizer)) or "nothing that others have"}


def _spared(catalogue: Catalogue, optimizer: PolicyOptimizer) -> Iterator[str]:
    """Say of every other optimizer which of its hyperparameters this one has not."""
    for name, ((_, other), *_) in catalogue.optimizer_owners.items():
        if spared := sorted(other.hyperparameters().keys() - optimizer.hyperparameters().keys()):
            yield f"{', '.join(spared)} of {name}"


def _offer(kind: str, plugin: plugins.Plugin, offered: Offered) -> dict[str, Any]:
    defaults = {key: "(required)" if value is ... else repr(value) for key, value in offered.defaults().items()}
    parameters = {f"parameter {key}": value for key, value in defaults.items()} or {"parameters": "none"}
    facts = {kind: offered.name, "summary": offered.summary, "reference": offered.reference, "plugin": plugin.origin}
    return {**facts, "card": inspect.getdoc(offered.make) or "(no docstring)", **parameters}


def _info_annotator(name: str) -> dict[str, Any]:
    make = ANNOTATORS[name]
    parameters = inspect.signature(make).parameters.values()
    known = {f"parameter {p.name}": repr(p.default) for p in parameters if p.default is not p.empty}
    return {"annotator": name, "card": inspect.getdoc(make), **(known or {"parameters": "none"})}


def _info_task(book: TaskBook, name: str) -> dict[str, Any]:
    task = book.task(name)
    loaded = task.load()
    shown = {k: v for k, v in loaded.pool_card.items() if k not in ("sha256", "generators", "format", "name")}
    shown["known_flaws"] = "\n".join(shown.get("known_flaws", ()))
    sizes = {f"{part} prompts": len(prompts) for part, prompts in loaded.parts.items()}
    measured = {**dict(_measured(task.facts())), "signature": signature.write(loaded.signature())}
    return {**_facts(task, "root", "changes", "annotators"), **shown, **sizes, **measured}


def _measured(facts: Mapping[str, Any], path: str = "measured") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _measured(value, f"{path}: {key}")
        else:
            yield f"{path}: {key}", value


def _facts(record: object, *hidden: str) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in hidden}


def show_plugins(options: Namespace) -> int:
    """Show every plugin, and why one is unusable."""
    for plugin in shared.catalogue(options, strict=False).plugins:
        records: list[Offered] = [*plugin.methods, *plugin.embedders, *plugin.annotators, *plugin.optimizers]
        offers = ", ".join([*(one.name for one in records), *(path.name for path in plugin.tasks)])
        print(f"{plugin.name}  ({plugin.origin})  " + (f"UNUSABLE: {plugin.problem}" if plugin.problem else offers))
        if plugin.problem and options.verbose:
            print(plugin.traceback)
    return 0
