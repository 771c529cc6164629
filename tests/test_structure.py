"""The layers, the sizes and the style of the code are what the README says. Whoever changes the code relies on it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import rmsuite
from rmsuite import plugins
from rmsuite.book import read_book

PACKAGE = Path(rmsuite.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
WRITTEN = [
    *SOURCES,
    *(path for top in ("baselines", "tasks", "plugins") for path in sorted((ROOT / top).rglob("*.py"))),
]

# An import goes down, or sideways in a layer. "rmsuite" is the package itself, for users; only the top imports it.
LAYERS = (
    {"errors", "arrays", "seeds", "version"},
    {
        "splits",
        "signature",
        "data",
        "tested",
        "method",
        "annotators",
        "attributes",
        "pairing",
        "controls",
        "metrics",
        "statistics",
        "testing",
        "policies",
        "optimizers",
    },
    {
        "pools",
        "pool_files",
        "sources",
        "tasks",
        "book",
        "variants",
        "sweeps",
        "results",
        "array_files",
        "worker",
        "policy_worker",
        "policy_setting",
        "policy_reference",
        "policy_study",
        "policy_suites",
        "answers",
        "cells",
        "forks",
        "forking",
        "removing",
        "parcels",
        "sites",
        "offered",
        "temporary",
        "closure",
        "reuse",
        "tracebacks",
        "environment",
        "setting",
        "handover",
        "embedders",
        "endpoint",
        "network",
        "listing",
        "downloads",
        "roots",
        "texts",
        "stacked",
        "imports",
        "choice",
    },
    {"hookspecs", "catalogue", "plugins", "checks", "harness", "policy_cells", "executors", "clusters"},
    {"reports", "render", "scaffold"},
    {"bundles", "citation"},
    {"cli", "options", "option_values", "option_groups", "commands", "__main__", "rmsuite"},
)
SIBLINGS, MAY_MEET = 3, {("plugins", "hookspecs"), ("plugins", "catalogue"), ("policy_cells", "harness")}
REPORTS = {"reports", "render"}
NOT_FOR_REPORTS = {"harness", "plugins", "tasks", "pools", "worker", "executors", "checks"}
NO_FILES = 1  # up to this layer: numbers in, numbers out
FILES = {"pathlib", "os", "io", "shutil", "tempfile", "glob", "subprocess", "socket", "urllib", "importlib"}
NUMBERS = {"numpy", "scipy"}
MAY_LEARN = {"choice"}  # it reproduces a study that was made with scikit-learn; what measures is the core's own


@dataclass(frozen=True)
class Import:
    """One imported module: where, what, and whether for type checkers only."""

    line: int
    target: str
    for_types: bool


def dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["parquet"], *extras["dask"], *extras["figures"]]
    return {line.partition(">")[0].strip().replace("-", "_") for line in declared}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name within it; the package itself is called rmsuite."""
    parts = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in SOURCES}
    names = {path: ".".join(p for p in part if p != "__init__") or "rmsuite" for path, part in parts.items()}
    return {name: path for path, name in names.items()}


MODULES = modules()


def imports(tree: ast.AST, for_types: bool = False) -> Iterator[Import]:
    """Yield every import at any depth, and every ``import_module`` of a name that is written out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(ast.Module(node.body, []), True)
            yield from imports(ast.Module(node.orelse, []), for_types)
        elif isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "rmsuite." * (node.level > 0) + (node.module or "")  # relative ones are not used: strictest reading
            for alias in node.names:
                whole = f"{base.rstrip('.')}.{alias.name}"
                known = whole.removeprefix("rmsuite.") in MODULES
                yield Import(node.lineno, whole if known else base.rstrip("."), for_types)
        else:
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                yield from (Import(node.lineno, text, for_types) for text in texts[:1])
            yield from imports(node, for_types)


def layer(part: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if part in names)


def inside(part: str, target: str, for_types: bool) -> str:
    """The rule that one part of the package breaks when it imports another; empty if none."""
    if part == "statistics" and target != "statistics":
        return "statistics know nothing of reward models"
    if part == "hookspecs" and not for_types:
        return "hookspecs import the package under TYPE_CHECKING only"
    if part in REPORTS and target in NOT_FOR_REPORTS:
        return "tables read result records only"
    if layer(target) > layer(part):
        return f"an import goes down only, and {target} is in layer {layer(target)}, {part} in {layer(part)}"
    if layer(part) == layer(target) == SIBLINGS and part != target and (part, target) not in MAY_MEET:
        return "siblings do not import one another"
    return ""


def outside(part: str, target: str) -> str:
    """The rule that a part of the package breaks when it imports from elsewhere; empty if none."""
    low = layer(part) <= NO_FILES
    if target in sys.stdlib_module_names:
        return "layers 0 and 1 touch no files, processes or network" if low and target in FILES else ""
    if target == "sklearn" and part in MAY_LEARN:
        return ""
    if target not in dependencies():
        return "the core imports its declared dependencies only"
    return "layers 0 and 1 need numpy and scipy only" if low and target not in NUMBERS else ""


def violations(name: str, source: str) -> list[str]:
    """What a module's imports break: file, line, import and rule."""
    part, found = name.split(".")[0], []
    for one in imports(ast.parse(source)):
        first, _, rest = one.target.partition(".")
        target = rest.split(".")[0] if rest.split(".")[0] in {m.split(".")[0] for m in MODULES} else "rmsuite"
        rule = inside(part, target, one.for_types) if first == "rmsuite" else outside(part, first)
        if rule:
            found.append(f"rmsuite/{name.replace('.', '/')}.py:{one.line} imports {one.target}: {rule}")
    return found


def test_every_module_has_one_layer_and_every_layer_names_modules_that_exist():
    parts = {name.split(".")[0] for name in MODULES}
    assert sorted(name for names in LAYERS for name in names) == sorted(parts)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_only(name):
    assert violations(name, MODULES[name].read_text(encoding="utf-8")) == []


PLANTED = {
    "upwards": ("data", "from rmsuite.harness import run", "an import goes down only"),
    "upwards by name": ("errors", "from rmsuite import seeds, cli", "cli is in layer 6, errors in 0"),
    "upwards in a function": ("results", "def f():\n    import rmsuite.plugins", "an import goes down only"),
    "upwards for types": ("seeds", "if TYPE_CHECKING:\n    from rmsuite.tasks import Task", "an import goes down"),
    "upwards by a relative import": ("seeds", "from .tasks import Task", "an import goes down only"),
    "upwards by text": ("seeds", "importlib.import_module('rmsuite.tasks')", "an import goes down only"),
    "the package itself": ("checks", "import rmsuite\nrmsuite.Method", "rmsuite is in layer 6"),
    "a name of the package": ("checks", "from rmsuite import Method", "rmsuite is in layer 6"),
    "a sibling": ("harness", "from rmsuite import executors", "siblings do not import one another"),
    "a sibling the wrong way": ("hookspecs", "if TYPE_CHECKING:\n    from rmsuite import plugins", "siblings"),
    "hookspecs at run time": ("hookspecs", "from rmsuite.method import Method", "under TYPE_CHECKING only"),
    "tables and tasks": ("reports.tables", "from rmsuite.tasks import Task", "tables read result records only"),
    "statistics": ("statistics.bootstrap", "from rmsuite import seeds", "know nothing of reward models"),
    "files below": ("metrics.pairs", "from pathlib import Path", "touch no files"),
    "pluggy below": ("method", "import pluggy", "need numpy and scipy only"),
    "pandas": ("reports.tables", "import pandas.api as p", "declared dependencies only"),
    "scikit-learn": ("metrics.ranks", "def f():\n    from sklearn import metrics", "declared dependencies only"),
    "scikit-learn above": ("reports.choice", "import sklearn.linear_model", "declared dependencies only"),
    "the baselines": ("cli", "import rmsuite_baselines", "declared dependencies only"),
    "the tasks": ("commands", "try:\n    import rmsuite_tasks\nexcept ImportError:\n    pass", "declared dependencies"),
}


@pytest.mark.parametrize(("name", "source", "rule"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_caught_with_file_line_import_and_rule(name, source, rule):
    (message,) = violations(name, source)
    assert message.startswith(f"rmsuite/{name.replace('.', '/')}.py:")
    assert rule in message
    assert violations(name, "import numpy as np\nfrom dataclasses import dataclass") == []


# Forks of one interpreter: each imports one module into a process that holds no other of this package. What others
# wrote and most modules need is there already: hundreds of imports of numpy and scipy say nothing of this package.
IMPORT_EACH = """
import json, os, sys, traceback
import cloudpickle, numpy, pluggy, scipy.stats, sklearn.linear_model, tabulate, threadpoolctl, tomli_w, tqdm
assert not any(name.partition(".")[0] == "rmsuite" for name in sys.modules)
sys.pycache_prefix, sys.dont_write_bytecode = sys.argv[1], False  # each module is compiled once, not in each fork
failed = []
for name in sys.argv[2:]:
    pid = os.fork()
    if pid == 0:
        try:
            __import__(name)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        failed.append(name)
print(json.dumps(failed))
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)


def test_every_module_can_be_imported_first_and_without_a_warning(tmp_path):
    names = [name if name == "rmsuite" else f"rmsuite.{name}" for name in MODULES]
    done = python(IMPORT_EACH, str(tmp_path), *names, "rmsuite.absent")  # the last is noticed
    assert json.loads(done.stdout) == ["rmsuite.absent"], done.stderr


def loaded_by(code: str) -> set[str]:
    """The top-level modules in a fresh process after some code."""
    done = python(f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})")
    return set(done.stdout.split())


def test_importing_the_package_and_building_the_help_load_nothing_heavy():
    heavy = {"scipy", "pandas", "pyarrow", "sklearn", "tqdm", "cloudpickle", "tabulate", "torch", "matplotlib"}
    heavy |= {"rmsuite_baselines", "rmsuite_tasks"}
    assert loaded_by("import rmsuite") & heavy == set()
    assert loaded_by("from rmsuite.cli import parser; parser().format_help()") & heavy == set()
    assert {"scipy", "tqdm", "cloudpickle", "tabulate"} <= loaded_by(
        "from rmsuite.commands import command; command('run')"
    )


def docstrings(tree: ast.AST) -> set[int]:
    """The identities of the nodes that are docstrings."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, kinds) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def names_in(source: str, names: set[str]) -> list[str]:
    """The strings of a module, docstrings apart, that hold one of the names."""
    tree = ast.parse(source)
    apart = docstrings(tree)
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in strings if id(node) not in apart and any(name in node.value for name in names)]


def bundled() -> set[str]:
    catalogue = plugins.load()
    mine = {"rmsuite-baselines", "rmsuite-tasks"}
    methods = {m.name for plugin in catalogue.plugins if plugin.name in mine for m in plugin.methods}
    return methods | set(read_book([ROOT / "tasks" / "rmsuite_tasks"]).tasks)


def test_the_core_knows_no_method_and_no_task_by_name():
    names = bundled()
    assert len(names) > 4
    assert {path.name: found for path in SOURCES if (found := names_in(path.read_text(encoding="utf-8"), names))} == {}
    planted = f'"""{min(names)}"""\nx = f"see {{1}} {min(names)}"\n'
    assert names_in(planted, names) == [f" {min(names)}"]


def long_functions(source: str, limit: int) -> list[str]:
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [n.name for n in functions if n.end_lineno - n.lineno + 1 > limit]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_keep_to_their_size(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert long_functions(text, 60) == []


def test_a_long_function_would_be_found():
    assert long_functions("def f():\n" + "    x = 1\n" * 60, 60) == ["f"]


WORK = {"open", "print", "input", "getenv", "read_text", "read_bytes", "write_text", "mkdir", "run", "Popen", "getcwd"}
WORK |= {"exists", "is_file", "iterdir", "glob", "default_rng", "seed", "entry_points", "load"}


def module_level_work(tree: ast.AST) -> list[str]:
    """Calls that touch the world, and looks at the environment, which happen when the module is imported."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            node = ast.Tuple([*getattr(node, "decorator_list", []), *node.args.defaults], ast.Load())
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "sys.argv"):
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in WORK:
            found.append(ast.unparse(node))
        found += module_level_work(node)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_module_does_no_work(name):
    assert module_level_work(ast.parse(MODULES[name].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = open('f')",
        "import os\nx = os.environ['A']",
        "class A:\n    x = Path('f').read_text()",
        "def f(x=open('f')): 0",
    ],
)
def test_work_at_import_would_be_found(source):
    assert len(module_level_work(ast.parse(source))) == 1
    assert module_level_work(ast.parse("def f():\n    open('f')\ng = lambda: print(1)")) == []


TOOLS = {"ruff check": ["ruff", "check", "."], "ruff format": ["ruff", "format", "--check", "."], "mypy": ["mypy"]}


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_the_code_keeps_to_the_style(tool):
    done = subprocess.run(
        [sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
