"""Who offers what: the plugins of one command, and what their records stand for."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import cloudpickle

from rmsuite import embedders, optimizers
from rmsuite.annotators import Annotator, AnnotatorBook, Plugged
from rmsuite.closure import CORE, closure
from rmsuite.embedders import BUILT_IN, ConfiguredEmbedder, Embedder
from rmsuite.errors import clash, unknown_name
from rmsuite.method import Configured, Method, configure, parse
from rmsuite.optimizers import ConfiguredOptimizer, PolicyOptimizer
from rmsuite.reuse import of_code

PREFIX = "rmsuite_"
FILE_PREFIX = "rmsuite_plugin_"  # of the names under which plugin files are imported
LISTS: Mapping[str, str] = {
    "method": "`rmsuite list methods`",
    "embedder": "`rmsuite list embedders`",
    "annotator": "`rmsuite list annotators`",
    "optimizer": "`rmsuite list optimizers`",
}
T = TypeVar("T", Method, Embedder, Annotator, PolicyOptimizer)


@dataclass(frozen=True)
class Plugin:
    """Where a plugin comes from, and what it offers; ``problem`` says why it offers nothing, if so.

    ``code`` is the start of the sha256 of its Python source: of the file, or of all files of its package.
    """

    name: str
    origin: str
    hooks: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ()
    embedders: tuple[Embedder, ...] = ()
    annotators: tuple[Annotator, ...] = ()
    optimizers: tuple[PolicyOptimizer, ...] = ()
    tasks: tuple[Path, ...] = ()
    results: tuple[Path, ...] = ()
    references: tuple[Path, ...] = ()
    problem: str = ""
    traceback: str = ""
    code: str = ""

    @property
    def source(self) -> str:
        """What a result's record says of where its method comes from: a file's name or a distribution, and its code."""
        origin = Path(self.origin).name if self.origin.endswith(".py") else self.origin
        return f"{origin} #{self.code}" if self.code else origin


@dataclass(frozen=True)
class Catalogue:
    """All plugins of one command, sorted by name; ``files`` are those given by path."""

    plugins: tuple[Plugin, ...]
    files: tuple[Path, ...] = ()

    @property
    def owners(self) -> dict[str, list[tuple[Plugin, Method]]]:
        """For each method name, who offers it; more than one is a collision."""
        return _by_name((plugin, method) for plugin in self.plugins for method in plugin.methods)

    @property
    def embedder_owners(self) -> dict[str, list[tuple[Plugin, Embedder]]]:
        """For each embedder name, who offers it, rmsuite itself included."""
        mine = Plugin("rmsuite", "built in", embedders=BUILT_IN)
        return _by_name((plugin, one) for plugin in (mine, *self.plugins) for one in plugin.embedders)

    @property
    def annotator_owners(self) -> dict[str, list[tuple[Plugin, Annotator]]]:
        """For each name of a plugin's annotator, who offers it."""
        return _by_name((plugin, one) for plugin in self.plugins for one in plugin.annotators)

    @property
    def optimizer_owners(self) -> dict[str, list[tuple[Plugin, PolicyOptimizer]]]:
        """For each name of an optimizer, who offers it."""
        return _by_name((plugin, one) for plugin in self.plugins for one in plugin.optimizers)

    def owned(self, name: str) -> tuple[Plugin, Method]:
        """Return a method and its plugin.

        Raises
        ------
        UnknownNameError
            If no plugin offers it.
        PluginError
            If two plugins do.
        """
        return self._the_one("method", name, self.owners)

    def owned_embedder(self, name: str) -> tuple[Plugin, Embedder]:
        """Return an embedder and its plugin; raises as ``owned`` does."""
        return self._the_one("embedder", name, self.embedder_owners)

    def owned_annotator(self, name: str) -> tuple[Plugin, Annotator]:
        """Return a plugin's annotator and the plugin; raises as ``owned`` does."""
        return self._the_one("annotator", name, self.annotator_owners)

    def owned_optimizer(self, name: str) -> tuple[Plugin, PolicyOptimizer]:
        """Return an optimizer and its plugin; raises as ``owned`` does."""
        return self._the_one("optimizer", name, self.optimizer_owners)

    def _the_one(self, kind: str, name: str, owners: Mapping[str, list[tuple[Plugin, T]]]) -> tuple[Plugin, T]:
        if name not in owners:
            raise unknown_name(kind, name, owners, self._advice(kind))
        if len(owners[name]) > 1:
            raise clash(kind, name, [(plugin.name, plugin.origin) for plugin, _ in owners[name]])
        return owners[name][0]

    def _advice(self, kind: str) -> str:
        broken = [plugin.name for plugin in self.plugins if plugin.problem]
        hint = f" (unusable: {', '.join(broken)}; see `rmsuite plugins`)" if broken else ""
        return f"see {LISTS[kind]}, or give its file with --plugin" + hint

    def configured(self, text: str) -> tuple[Plugin, Configured]:
        """Return the method that ``name[key=value]`` names, with its parameters, and its plugin."""
        name, parameters = parse(text)
        plugin, method = self.owned(name)
        return plugin, configure(method, {key: self._canonical(value) for key, value in parameters.items()})

    def _canonical(self, value: Any) -> Any:
        # ensemble[base=bt-mlp[hidden=256]] is ensemble[base=bt-mlp] if 256 is the default: one setting has one label.
        spelled = isinstance(value, str) and value.endswith("]") and value.partition("[")[0] in self.owners
        return self.configured(value)[1].label if spelled else value

    def embedder(self, text: str) -> ConfiguredEmbedder:
        """Return the embedder that ``name[key=value]`` names, with its parameters."""
        name, parameters = parse(text)
        return embedders.configure(self.owned_embedder(name)[1], parameters)

    def optimizer(self, text: str) -> tuple[Plugin, ConfiguredOptimizer]:
        """Return the optimizer that ``name[key=value]`` names, with its hyperparameters, and its plugin."""
        name, parameters = parse(text)
        plugin, offered = self.owned_optimizer(name)
        return plugin, optimizers.configure(offered, parameters)

    @property
    def annotators(self) -> AnnotatorBook:
        """All annotators, for tasks to be read with."""
        pairs = [pair for owners in self.annotator_owners.values() for pair in owners]
        return AnnotatorBook(tuple(_plugged(*pair) for pair in pairs), self._advice("annotator"))

    def made_of(self, configured: Configured) -> dict[str, str]:
        """Return what a method's code is made of, and that of the methods which its parameters name."""
        return of_code(closure(module) for module in self.modules_of(configured))

    def code_of_optimizer(self, configured: ConfiguredOptimizer) -> dict[str, str]:
        """Return what an optimizer's code is made of; of one that is in rmsuite, nothing beside rmsuite itself."""
        module = self.module_of(configured.optimizer.make)
        return of_code([closure(module)]) if module and module.__name__ != CORE else {}

    @staticmethod
    def module_of(make: Callable[..., object]) -> ModuleType | None:
        """Return the top-level module of what makes something; None if it has no file."""
        name = getattr(make, "__module__", None) or ""
        module = sys.modules.get(name.partition(".")[0])
        return module if module is not None and getattr(module, "__file__", None) else None

    def modules_of(self, configured: Configured) -> Iterator[ModuleType]:
        """Yield the top-level modules of a method, and of the methods that its parameters name."""
        if module := self.module_of(configured.method.make):
            yield module
        for value in configured.settings().values():
            if isinstance(value, str) and value.partition("[")[0] in self.owners:
                yield from self.modules_of(self.configured(value)[1])

    @property
    def modules(self) -> tuple[str, ...]:
        """The top-level modules of the methods, those of plugin files and of objects apart."""
        made = (getattr(m.make, "__module__", "") for plugin in self.plugins for m in plugin.methods)
        names = {name.partition(".")[0] for name in made}
        return tuple(sorted(name for name in names - {"", "__main__"} if not name.startswith(FILE_PREFIX)))

    def paths(self, hook: str) -> list[Path]:
        """Return the folders or files that a hook of the plugins names: tasks, results or references."""
        return [path for plugin in self.plugins for path in getattr(plugin, hook.removeprefix(PREFIX))]


def _by_name(offers: Iterable[tuple[Plugin, T]]) -> dict[str, list[tuple[Plugin, T]]]:
    owners: dict[str, list[tuple[Plugin, T]]] = {}
    for plugin, offered in offers:
        owners.setdefault(offered.name, []).append((plugin, offered))
    return dict(sorted(owners.items()))


def code_of(implementation: Any) -> str:
    """Return the start of the sha256 of a module's or package's Python source; "" where there is none."""
    path = Path(getattr(implementation, "__file__", None) or "")
    if path.suffix != ".py":
        return ""
    files = sorted(path.parent.rglob("*.py")) if hasattr(implementation, "__path__") else [path]
    digest = hashlib.sha256()
    for file in files:
        source = file.read_bytes()
        name = file.relative_to(path.parent).as_posix() if len(files) > 1 else ""  # a single file may be renamed
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()[:12]


def _plugged(plugin: Plugin, one: Annotator) -> Plugged:
    if plugin.code:
        return Plugged(one, plugin.name, plugin.origin, plugin.source, plugin.code)
    code = _code_of_object(one.make)
    return Plugged(one, plugin.name, plugin.origin, f"{plugin.origin} #{code}", code)


def _code_of_object(make: Callable[..., object]) -> str:
    """Return what tells two annotators of a notebook apart that have one name: their module's source and themselves."""
    module = code_of(sys.modules.get(getattr(make, "__module__", None) or ""))
    return hashlib.sha256(module.encode() + cloudpickle.dumps(make)).hexdigest()[:12]
