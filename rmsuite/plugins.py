"""Find plugins, and keep who offered what. One broken plugin neither hides nor kills the others.

There is no registry in this module: ``load`` returns a ``Catalogue``, and two of them do not know of each other.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from rmsuite import hookspecs
from rmsuite.annotators import ANNOTATORS, Annotator
from rmsuite.catalogue import FILE_PREFIX, PREFIX, Catalogue, Plugin, code_of
from rmsuite.embedders import Embedder
from rmsuite.errors import PluginError
from rmsuite.method import Configured, Method, parse
from rmsuite.offered import offered
from rmsuite.optimizers import PolicyOptimizer

__all__ = ["Catalogue", "Plugin", "at_hand", "load", "load_file"]

GROUP = "rmsuite"
RECORDS: Mapping[str, tuple[type, str]] = {
    "rmsuite_methods": (Method, "Method records"),
    "rmsuite_embedders": (Embedder, "Embedder records"),
    "rmsuite_annotators": (Annotator, "Annotator records"),
    "rmsuite_optimizers": (PolicyOptimizer, "PolicyOptimizer records"),
}


@dataclass(frozen=True)
class _Source:
    """A plugin before it is loaded."""

    name: str
    origin: str
    load: Callable[[], Any] = field(repr=False)


def load(
    files: Iterable[Path] = (),
    objects: Mapping[str, Any] | None = None,
    installed: bool = True,
    strict: bool = True,
    folders: Iterable[Path] = (),
) -> Catalogue:
    """Load plugins: the installed ones, files, and objects by name; and folders of tasks, which need no plugin.

    A plugin that cannot be used is kept with its problem; a file given by path is asked for, so its problem is raised
    if ``strict``.

    Raises
    ------
    PluginError
        If a file given by path, or an object, cannot be used, or a folder holds no tasks.
    """
    paths = tuple(dict.fromkeys(Path(file).resolve() for file in files))
    asked = [_Source(path.stem, str(path), partial(load_file, path)) for path in paths]
    asked += [_Source(name, "object", partial(_itself, value)) for name, value in (objects or {}).items()]
    roots = [_task_folder(folder) for folder in dict.fromkeys(Path(folder).resolve() for folder in folders)]
    plugins = _without_doubles([_plugin(source) for source in [*asked, *(_installed() if installed else ())]])
    for plugin in plugins:
        if strict and plugin.problem and plugin.origin in {source.origin for source in asked}:
            got, _, do = plugin.problem.rstrip(".").partition(". Do: ")
            who, do = f"plugin {plugin.name!r} ({plugin.origin})", do or "mend the plugin, or install what it needs"
            raise PluginError(who=who, expected="a usable plugin", got=got, do=do)
    return Catalogue(tuple(sorted([*plugins, *roots], key=lambda p: (p.name, p.origin))), paths)


def _task_folder(folder: Path) -> Plugin:
    if not (folder / "tasks").is_dir():
        got = "a folder without `tasks`" if folder.is_dir() else "no such folder"
        do = "give a folder that the command embed or import wrote"
        raise PluginError(who=f"tasks folder {folder}", expected="a folder of tasks and pools", got=got, do=do)
    return Plugin(folder.name, str(folder), ("rmsuite_tasks",), tasks=(folder,))


def at_hand(text: str) -> Configured:
    """Return the method that ``name[key=value]`` names, for a method that is built over another one.

    It is looked for in the installed plugins and in the plugin files that this process has loaded, then in those that
    are offered to a worker; a plugin that is an object has a name in its own process only, and is not found.

    Raises
    ------
    UnknownNameError
        If nobody offers it, or it has no such parameter.
    PluginError
        If two plugins offer it.
    """
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith(FILE_PREFIX)]
    files = [Path(module.__file__) for module in modules if module.__file__]
    found = load(files, strict=False)
    if parse(text)[0] not in found.owners:  # a file that nothing asks for is not run
        found = load([*files, *offered()], strict=False)
    return found.configured(text)[1]


def load_file(path: Path) -> ModuleType:
    """Import a plugin file under a name of its own; its folder comes last on ``sys.path``, for its neighbours.

    Raises
    ------
    PluginError
        If there is no such file.
    """
    path = path.resolve()
    if not path.is_file():
        raise PluginError(who=f"plugin {path}", expected="a Python file", got="no such file", do="check the path")
    for loaded in [module for known, module in sys.modules.items() if known.startswith(FILE_PREFIX)]:
        if loaded.__file__ == str(path):
            return loaded
    stem = re.sub(r"\W", "_", path.stem)
    name = f"{FILE_PREFIX}{stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(who=f"plugin {path}", expected="a file ending in .py", got=path.name, do="rename it")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _itself(value: Any) -> Any:
    return value


def _installed() -> list[_Source]:
    # Sorted, because the order of installed distributions is that of the file system.
    found = sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value))
    return [_Source(entry.name, _distribution(entry), entry.load) for entry in found]


def _distribution(entry: EntryPoint) -> str:
    if entry.dist is None or not {"Name", "Version"} <= set(entry.dist.metadata):
        return entry.value
    return f"{entry.dist.name} {entry.dist.version}"


def _plugin(source: _Source) -> Plugin:
    try:
        return _answers(source, source.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- what a stranger's code raises becomes its problem
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == source.origin]
        where = f" (line {lines[-1]})" if lines else ""
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}{where}"
        return Plugin(source.name, source.origin, problem=reason, traceback=traceback.format_exc())


def _answers(source: _Source, implementation: Any) -> Plugin:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    _refuse_misspelt(source, implementation, [n for n in vars(hookspecs) if n.startswith(PREFIX)])
    manager.register(implementation, source.name)
    hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(implementation) or ()))
    answers = {name: _answer(source, name, getattr(manager.hook, name)()) for name in hooks}
    _refuse_taken(source, [one.name for one in answers.get("rmsuite_annotators", ())])
    offered: dict[str, Any] = {hook.removeprefix(PREFIX): tuple(found) for hook, found in answers.items()}
    return Plugin(source.name, source.origin, hooks, **offered, code=code_of(implementation))


def _refuse_misspelt(source: _Source, implementation: Any, known: Sequence[str]) -> None:
    members = {name: getattr(implementation, name) for name in dir(implementation)}
    marked = [name for name, member in members.items() if isinstance(getattr(member, "rmsuite_impl", None), dict)]
    named = [name for name, member in members.items() if name.startswith(PREFIX) and callable(member)]
    unmarked = [name for name in named if name not in marked]
    for name in marked:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (nearest is {near[0]!r})" if near else ""
            do = "rename the function: a misspelt hook would be silently ignored"
            raise PluginError(
                who=f"hook of {source.name!r}", expected=f"one of {', '.join(known)}", got=name + hint, do=do
            )
    if unmarked or not marked:
        got = f"{', '.join(unmarked)} without the mark" if unmarked else "no such function"
        do = f"put @rmsuite.hookimpl above each hook, and give other functions names without {PREFIX!r}"
        raise PluginError(who=f"plugin {source.name!r}", expected="functions marked @rmsuite.hookimpl", got=got, do=do)


def _refuse_taken(source: _Source, names: Iterable[str]) -> None:
    for name in names:
        if name in ANNOTATORS:  # the plugin offers nothing then, and every task keeps its annotator
            who, got = f"plugin {source.name!r} ({source.origin})", f"{name!r}, a built-in annotator of rmsuite"
            raise PluginError(who=who, expected="annotators with names of their own", got=got, do="rename it")


def _answer(source: _Source, hook: str, answers: Sequence[Any]) -> list[Any]:
    """Return what the hook returned as a list; pluggy leaves an answer of None out."""
    kind, words = RECORDS.get(hook, (str | Path, "paths"))
    answer = answers[0] if answers else None
    items = list(answer) if isinstance(answer, Iterable) and not isinstance(answer, str) else None
    wrong = [answer] if items is None else [item for item in items if not isinstance(item, kind)]
    if wrong:
        do = f"return a list of {words}, also when there is only one"
        raise PluginError(who=f"{hook} of {source.name!r}", expected=f"a list of {words}", got=f"{wrong[0]!r}", do=do)
    return [one if hook in RECORDS else Path(one) for one in items or ()]


def _without_doubles(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Keep all plugins, but those that share one name offer nothing and say whom they clash with."""
    by_name: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        by_name.setdefault(plugin.name, []).append(plugin)
    kept = []
    for name, group in by_name.items():
        if len(group) == 1:
            kept += group
            continue
        rivals = " and ".join(plugin.origin for plugin in group)
        kept += [Plugin(name, plugin.origin, problem=f"two plugins are named {name!r}: {rivals}") for plugin in group]
    return kept
