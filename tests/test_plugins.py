"""Every door leads to one catalogue, and a broken plugin costs itself only. Authors and users of plugins rely on it."""

from __future__ import annotations

import inspect
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from plugin_files import METHOD, install, source, write

import rmsuite
from rmsuite import hookspecs, plugins
from rmsuite.errors import PluginError, UnknownNameError

HOOK = "\n@rmsuite.hookimpl\ndef rmsuite_methods():\n    "


@pytest.fixture(autouse=True)
def imports_are_undone(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.startswith(plugins.FILE_PREFIX)]:
        monkeypatch.delitem(sys.modules, name)  # files that other tests loaded would be at hand
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed distributions, two of which work."""
    folder = tmp_path / "site"
    for name in ("a-sound", "z-sound"):
        install(folder, name, source(name))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def named(catalogue, name):
    return [plugin for plugin in catalogue.plugins if plugin.name == name]


def problem(catalogue, name):
    (plugin,) = named(catalogue, name)
    assert plugin.methods == ()
    return plugin.problem


def in_file(tmp_path, text):
    return write(tmp_path / "mine.py", text)


def refusal(tmp_path, text):
    """The message by which a file given by path is refused."""
    with pytest.raises(PluginError) as refused:
        plugins.load([in_file(tmp_path, text)], installed=False)
    return str(refused.value)


def test_a_file_is_a_plugin(tmp_path):
    catalogue = plugins.load([in_file(tmp_path, source("one", "two"))], installed=False)
    (plugin,) = catalogue.plugins
    assert (plugin.name, plugin.origin) == ("mine", str(tmp_path / "mine.py"))
    assert list(catalogue.owners) == ["one", "two"]


def test_an_object_is_a_plugin():
    class Mine:
        @rmsuite.hookimpl
        def rmsuite_methods(self):
            return [rmsuite.Method(name="one", make=dict)]

    catalogue = plugins.load(objects={"notebook": Mine()}, installed=False)
    plugin, method = catalogue.owned("one")
    assert (plugin.name, plugin.origin, method.make) == ("notebook", "object", dict)


def test_an_installed_distribution_is_a_plugin_and_its_version_is_the_origin(site):
    plugin, method = plugins.load().owned("a-sound")
    assert (plugin.name, plugin.origin, plugin.hooks) == ("a-sound", "a-sound 1.0", ("rmsuite_methods",))
    assert type(method.make().reward).__name__ == "method"


def test_the_three_doors_lead_into_one_catalogue(site, tmp_path):
    mine = SimpleNamespace(rmsuite_methods=rmsuite.hookimpl(a_list_of_one))
    catalogue = plugins.load([in_file(tmp_path, source("from-file"))], {"notebook": mine})
    assert {"a-sound", "from-file", "from-object"} <= set(catalogue.owners)
    assert [p.name for p in catalogue.plugins] == sorted(p.name for p in catalogue.plugins)


def rmsuite_methods():
    return [rmsuite.Method(name="from-object", make=dict)]


a_list_of_one = rmsuite_methods


def test_two_catalogues_know_nothing_of_each_other(tmp_path):
    plugins.load([in_file(tmp_path, source("one"))], installed=False)
    assert plugins.load(installed=False).plugins == ()


# One implementation a hook, and what the catalogue makes of it.
HOOKS = {
    "rmsuite_methods": (
        "return [rmsuite.Method(name='one', make=Mean)]",
        lambda c: [m.name for m in c.plugins[0].methods],
    ),
    "rmsuite_embedders": (
        "return [rmsuite.Embedder(name='one', make=Mean)]",
        lambda c: [e.name for e in c.plugins[0].embedders],
    ),
    "rmsuite_annotators": (
        "return [rmsuite.Annotator(name='one', make=Mean)]",
        lambda c: [a.name for a in c.plugins[0].annotators],
    ),
    "rmsuite_optimizers": (
        "return [rmsuite.PolicyOptimizer(name='one', make=Mean)]",
        lambda c: [o.name for o in c.plugins[0].optimizers],
    ),
    "rmsuite_tasks": ("return ['one']", lambda c: [str(path) for path in c.paths("rmsuite_tasks")]),
    "rmsuite_results": ("return ['one']", lambda c: [str(path) for path in c.paths("rmsuite_results")]),
    "rmsuite_references": ("return ['one']", lambda c: [str(path) for path in c.paths("rmsuite_references")]),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_hook_returns_is_in_the_catalogue(tmp_path, hook):
    body, read = HOOKS[hook]
    text = f"{METHOD}\n@rmsuite.hookimpl\ndef {hook}():\n    {body}\n"
    catalogue = plugins.load([in_file(tmp_path, text)], installed=False)
    assert catalogue.plugins[0].hooks == (hook,)
    assert read(catalogue) == ["one"]


def test_every_hook_is_implemented_by_the_test_above():
    specified = {name for name, function in inspect.getmembers(hookspecs, inspect.isfunction) if name[:8] == "rmsuite_"}
    assert set(HOOKS) == specified


BROKEN = {
    "raises at import": ("import rmsuite\n1 / 0\n", "ZeroDivisionError: division by zero (line 2)"),
    "needs a missing package": ("import not_installed_here\n", "No module named 'not_installed_here' (line 1)"),
    "is no Python": ("def (:\n", "SyntaxError: invalid syntax (mine.py, line 1)"),
    "ends the process": ("import sys\nsys.exit(3)\n", "SystemExit: 3 (line 2)"),
    "hook raises": (METHOD + HOOK + "raise ValueError('not today')", "ValueError: not today (line 20)"),
    "hook exits": (METHOD + HOOK + "raise SystemExit('not today')", "SystemExit: not today"),
    "hook returns a name": (METHOD + HOOK + "return ['one']", "expected a list of Method records, got 'one'"),
    "hook returns a string": (METHOD + HOOK + "return 'one'", "expected a list of Method records, got 'one'"),
    "hook returns nothing": (METHOD + HOOK + "pass", "expected a list of Method records, got None"),
    "hook returns a bare method": (
        METHOD + HOOK + "return rmsuite.Method(name='one', make=Mean)",
        "expected a list of Method records, got Method(name='one'",
    ),
    "hook takes arguments": (METHOD + HOOK.replace("()", "(config)") + "return []", "Argument(s) {'config'}"),
    "method has no good name": (
        METHOD + HOOK + "return [rmsuite.Method(name='My Method', make=Mean)]",
        "Method(name='My Method'): expected lower-case letters, digits and hyphens",
    ),
    "method has a number for a name": (METHOD + HOOK + "return [rmsuite.Method(name=3, make=Mean)]", "Method(name=3)"),
    "make is an object": (METHOD + HOOK + "return [rmsuite.Method(name='one', make=Mean())]", "a callable `make`"),
    "tasks are one string": (
        METHOD + "\n@rmsuite.hookimpl\ndef rmsuite_tasks():\n    return '/data'\n",
        "rmsuite_tasks of 'mine': expected a list of paths, got '/data'",
    ),
    "hook is misspelt": (METHOD + HOOK.replace("methods", "method") + "return []", "(nearest is 'rmsuite_methods')"),
    "hook is far from any": (METHOD + HOOK.replace("rmsuite_methods", "zzz") + "return []", "got zzz. Do: rename"),
    "mark is missing": (
        METHOD + HOOK.replace("@rmsuite.hookimpl", "") + "return []",
        "expected functions marked @rmsuite.hookimpl, got rmsuite_methods without the mark. Do: put @rmsuite.hookimpl",
    ),
    "one mark of two is missing": (
        source("one") + "\ndef rmsuite_tasks():\n    return []\n",
        "got rmsuite_tasks without the mark",
    ),
    "nothing is offered": ("x = 1\n", "expected functions marked @rmsuite.hookimpl, got no such function"),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_the_reason(tmp_path, text, expected):
    message = refusal(tmp_path, text)
    assert expected in message
    assert str(tmp_path / "mine.py") in message
    assert message.count(". Do: ") == 1
    assert "Traceback" not in message


@pytest.mark.parametrize("text", [text for text, _ in BROKEN.values()], ids=BROKEN)
def test_a_broken_installed_plugin_neither_hides_nor_kills_the_others(site, text):
    install(site, "mine", text)
    catalogue = plugins.load()
    assert problem(catalogue, "mine")
    assert named(catalogue, "mine")[0].traceback.startswith("Traceback")
    assert [catalogue.owned(name)[0].problem for name in ("a-sound", "z-sound")] == ["", ""]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("nowhere_at_all", "ModuleNotFoundError"), ("a_sound:nothing", "AttributeError"), ("not a module", "Error: ")],
)
def test_an_entry_point_that_leads_nowhere_costs_itself_only(site, value, expected):
    install(site, "mine", None, value)
    catalogue = plugins.load()
    assert expected in problem(catalogue, "mine")
    assert catalogue.owned("a-sound")


def test_a_distribution_without_metadata_costs_at_most_itself(site):
    (install(site, "mine", source("one")) / "METADATA").unlink()
    catalogue = plugins.load()
    assert [plugin.origin for plugin in named(catalogue, "mine")] == ["mine"]
    assert catalogue.owned("a-sound")


def test_an_unknown_method_names_the_nearest_the_known_and_the_unusable(site):
    install(site, "mine", "1 / 0")
    with pytest.raises(
        UnknownNameError, match=r"one of a-sound, .*\(nearest is 'a-sound'\).*unusable: mine"
    ) as unknown:
        plugins.load().owned("a-sounds")
    assert unknown.value.who == "method 'a-sounds'"


def test_one_method_of_two_plugins_is_an_error_that_names_both_when_it_is_asked_for(site, tmp_path):
    catalogue = plugins.load([in_file(tmp_path, source("a-sound", "mine-alone"))])
    assert catalogue.owned("mine-alone")
    assert catalogue.owned("z-sound")
    with pytest.raises(PluginError) as error:
        catalogue.configured("a-sound[sign=2]")
    assert "'a-sound' (a-sound 1.0)" in str(error.value)
    assert f"'mine' ({tmp_path / 'mine.py'})" in str(error.value)


def test_one_plugin_that_offers_a_name_twice_is_an_error_too(tmp_path):
    catalogue = plugins.load([in_file(tmp_path, source("one", "one"))], installed=False)
    with pytest.raises(PluginError, match=r"'mine' .* and plugin 'mine'"):
        catalogue.owned("one")


def test_two_installed_plugins_of_one_name_name_each_other_and_the_rest_is_usable(site):
    install(site, "twin", source("one"), distribution="first")
    install(site, "twin", source("two"), distribution="second")
    catalogue = plugins.load()
    assert {plugin.problem for plugin in named(catalogue, "twin")} == {
        "two plugins are named 'twin': first 1.0 and second 1.0"
    }
    assert {"a-sound", "z-sound"} <= set(catalogue.owners)
    assert {"one", "two"}.isdisjoint(catalogue.owners)


def test_a_file_with_the_name_of_an_installed_plugin_is_refused_and_both_are_named(site, tmp_path):
    file = write(tmp_path / "a-sound.py", source("mine"))
    with pytest.raises(PluginError) as error:
        plugins.load([file])
    assert f"two plugins are named 'a-sound': {file} and a-sound 1.0" in str(error.value)


def test_two_files_with_one_name_are_refused_and_both_are_named(tmp_path):
    files = [write(tmp_path / folder / "mine.py", source(folder)) for folder in ("one", "two")]
    with pytest.raises(PluginError) as error:
        plugins.load(files, installed=False)
    assert all(str(file) in str(error.value) for file in files)


def test_one_file_given_twice_is_one_plugin(tmp_path, monkeypatch):
    file = in_file(tmp_path, source("one"))
    monkeypatch.chdir(tmp_path)
    assert len(plugins.load([file, Path("mine.py")], installed=False).plugins) == 1


def test_one_file_loaded_twice_is_one_module(tmp_path, monkeypatch):
    file = in_file(tmp_path, source("one"))
    monkeypatch.chdir(tmp_path)
    assert plugins.load_file(file) is plugins.load_file(Path("mine.py"))


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path):
    first, second = (plugins.load_file(write(tmp_path / f / "mine.py", f"value = {f!r}")) for f in ("one", "two"))
    assert (first.value, second.value) == ("one", "two")


def test_a_file_that_failed_to_import_can_be_mended_and_loaded(tmp_path):
    assert "ZeroDivisionError" in refusal(tmp_path, "1 / 0")
    assert plugins.load([in_file(tmp_path, "import rmsuite  # longer now\n" + source("one"))], installed=False).owned(
        "one"
    )


def test_a_plugin_file_may_import_its_neighbour_which_shadows_nothing(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write(tmp_path / "my_neighbour.py", "NAMES = ['from-neighbour']\n")
    write(tmp_path / "colorsys.py", "raise ImportError('shadowed')\n")
    text = "import colorsys\nimport my_neighbour\n" + METHOD + HOOK
    text += "return [rmsuite.Method(name=name, make=Mean) for name in my_neighbour.NAMES]"
    assert plugins.load([in_file(tmp_path, text)], installed=False).owned("from-neighbour")


@pytest.mark.parametrize("name", ["my plugin.py", "v1.2.py", "ünï.py", "import.py"])
def test_a_file_may_have_any_name_and_its_classes_can_be_sent_to_a_worker(tmp_path, name):
    plugin, method = plugins.load([write(tmp_path / name, source("one"))], installed=False).owned("one")
    assert plugin.name == Path(name).stem
    assert pickle.loads(pickle.dumps(method.make)) is method.make


@pytest.mark.parametrize(
    ("name", "expected"),
    [("absent.py", "got no such file"), ("folder", "got no such file"), ("mine.txt", "expected a file ending in .py")],
)
def test_a_path_that_is_no_python_file_is_refused(tmp_path, name, expected):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "mine.txt", source("one"))
    before = [*sys.path]
    with pytest.raises(PluginError) as error:
        plugins.load([tmp_path / name], installed=False)
    assert expected in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert sys.path == before


def test_the_order_of_installed_distributions_does_not_matter(site, monkeypatch):
    install(site, "broken", "1 / 0")
    install(site, "twin", source("one"), distribution="first")
    install(site, "twin", source("two"), distribution="second")
    entries, forward = [*plugins.entry_points(group="rmsuite")], plugins.load()
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries[::-1])
    backward = plugins.load()
    assert [(p.name, p.origin, p.problem) for p in forward.plugins] == [
        (p.name, p.origin, p.problem) for p in backward.plugins
    ]
    assert list(forward.owners) == list(backward.owners)


def test_an_object_that_is_no_plugin_is_refused():
    with pytest.raises(PluginError, match=r"plugin 'notebook' .*got no such function"):
        plugins.load(objects={"notebook": SimpleNamespace(x=1)}, installed=False)


def test_an_attribute_that_answers_every_question_is_no_hook():
    class Anything:
        def __getattr__(self, name):
            return True

    mine = SimpleNamespace(rmsuite_methods=rmsuite.hookimpl(a_list_of_one), helper=Anything())
    assert plugins.load(objects={"notebook": mine}, installed=False).owned("from-object")


# What is at hand in a process


def test_a_method_of_an_installed_plugin_is_at_hand(site):
    """Whoever builds a method over another one by its name relies on it."""
    configured = plugins.at_hand("a-sound[sign=-1]")
    assert configured.label == "a-sound[sign=-1]"
    assert configured.make().sign == -1


def test_a_method_of_a_plugin_file_is_at_hand_once_the_file_is_loaded(tmp_path):
    """A worker loads the files of the command, and knows their methods by name from then on."""
    with pytest.raises(UnknownNameError, match="'from-a-file'"):
        plugins.at_hand("from-a-file")
    module = plugins.load_file(in_file(tmp_path, source("from-a-file")))
    assert plugins.at_hand("from-a-file").method.make is module.Mean


def test_a_broken_plugin_keeps_no_other_from_being_at_hand(site, tmp_path):
    install(site, "broken", "1 / 0")
    plugins.load_file(write(tmp_path / "without_hooks.py", "x = 1\n"))
    plugins.load_file(in_file(tmp_path, source("from-a-file")))
    assert plugins.at_hand("from-a-file").label == plugins.at_hand("z-sound").label.replace("z-sound", "from-a-file")


@pytest.mark.parametrize(
    ("text", "message"),
    [("absent", "method 'absent'"), ("a-sound[size=3]", "parameter of method 'a-sound'"), ("a-sound[", "close")],
)
def test_what_is_not_at_hand_is_an_error_that_names_it(site, text, message):
    with pytest.raises(UnknownNameError, match=message):
        plugins.at_hand(text)


def test_a_name_that_two_plugins_offer_is_at_hand_in_neither(site, tmp_path):
    plugins.load_file(in_file(tmp_path, source("a-sound")))
    with pytest.raises(PluginError, match="one plugin that offers it"):
        plugins.at_hand("a-sound")
