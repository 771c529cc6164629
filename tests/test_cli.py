"""Each command works, and each mistake is answered in one line with exit code 2. Users and scripts rely on it."""

from __future__ import annotations

import csv
import io
import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from command_line import options, set_up, walk
from plugin_files import source, write

from rmsuite import checks, cli, harness
from rmsuite.commands import show
from rmsuite.options import KINDS
from rmsuite.render import STYLES

RUN = ("-m", "good", "-t", "toy-gold", "-r", "1", "-j", "1")
NGRAM = ("-e", "characters", "--plugin", str(Path(__file__).with_name("ngram_model.py")))


OPTIMIZER = """
import rmsuite
from rmsuite.policies import ReMax

@rmsuite.hookimpl
def rmsuite_optimizers():
    return [rmsuite.PolicyOptimizer(name="climb", make=ReMax, summary="a test's optimizer")]
"""


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    return set_up(tmp_path, source("good", "better", root=toy_root), capfd, monkeypatch)


@pytest.fixture
def finished(toys):
    """The toys, after one run into the default folder; its table is in a file, texts and a document in others."""
    answer = toys("run", *RUN)
    write(toys.folder / "climbs.py", OPTIMIZER)
    assert answer.code == 0
    Path("table.txt").write_text(answer.out)
    lines = (json.dumps({"prompt": f"{i}?", "chosen": f"{i}.", "rejected": "no"}) for i in range(6))
    Path("texts.jsonl").write_text("\n".join(lines))
    Path("documents.jsonl").write_text(json.dumps({"category": "prose", "text": "Once upon a time."}))
    return toys


def test_run_prints_the_table_on_standard_output_and_where_results_lie_beside_it(toys):
    answer = toys("run", *RUN)
    assert answer.code == 0
    assert answer.err == "Results: rmsuite-results\n"
    first, *lines = answer.out.splitlines()
    assert first == "toy-gold@1"
    assert {"good", "(random)", "(length)", "(oracle)"} <= {line.split()[0] for line in lines if line}
    assert lines[-1].startswith("Signature: rmsuite:2|task:toy-gold@1|")
    assert len(list(Path("rmsuite-results").glob("toy-gold@1/*/0.json"))) == 6


def test_run_takes_the_suite_its_tasks_and_its_repetitions_where_none_are_given(toys):
    documents = json.loads(toys("run", "-m", "good", "--format", "json").out)["tables"]
    assert [document["task"] for document in documents] == ["toy-gold@1", "toy-human@1"]
    assert len(list(Path("rmsuite-results").glob("*/good/*.json"))) == 4


def test_a_method_given_twice_is_run_once(toys):
    toys("run", *RUN, "-m", "good[sign=1]", "-m", "better")
    assert sorted(path.parent.name for path in Path("rmsuite-results").glob("*/*/0.json") if "ood" in str(path)) == [
        "good"
    ]
    assert len(list(Path("rmsuite-results").glob("*/*/0.json"))) == 7


def test_a_task_given_twice_fails_once(toys):
    failing = write(toys.folder / "failing.py", source("mine").replace("return self\n", "raise ValueError\n", 1))
    answer = toys("run", "--plugin", failing, "-m", "mine", *RUN[2:], "-t", "toy-gold")
    assert answer.err.count("rmsuite: mine on toy-gold@1, repetition 0 failed") == 1


def test_parameters_make_a_row_of_their_own(toys):
    answer = toys("run", *RUN, "-m", "good[sign=-1]", "--format", "json")
    values = {
        r["method"]: r["estimates"]["pair-accuracy"]["value"] for r in json.loads(answer.out)["tables"][0]["rows"]
    }
    assert values["good"] == pytest.approx(1 - values["good[sign=-1]"])


def test_the_seed_is_in_the_signature_and_moves_the_numbers_and_jobs_do_not(toys):
    def rows(*arguments):
        command = ("run", "-m", "good", "-m", "better", "-r", "1", "--format", "json", *arguments)
        document = json.loads(toys(*command).out)["tables"][0]
        return document["signature"], {row["method"]: row["estimates"] for row in document["rows"]}

    plain = rows("-j", "1")
    assert rows("-j", "2") == plain == rows("--seed", "0")
    other = rows("--seed", "3", "--output", "other")
    assert "|seed:3|" in other[0]
    assert other[1] != plain[1]


def test_a_run_with_another_signature_is_refused_before_it_overwrites_a_result(toys):
    assert toys("run", "-m", "good", "-r", "1").code == 0
    before = {path: path.read_bytes() for path in Path("rmsuite-results").rglob("*.*")}
    answer = toys("run", "-m", "good", "-r", "1", "--seed", "3")
    assert (answer.code, answer.out) == (2, "")
    assert "(seed: 0 against 3). Do: give another folder with --output" in answer.err
    assert {path: path.read_bytes() for path in Path("rmsuite-results").rglob("*.*")} == before


def test_repetitions_of_different_code_share_no_row(toys):
    """An edited method, run for one repetition into the old folder, is not averaged with what it was."""
    assert toys("run", "-m", "good", "-r", "2").code == 0
    plugin = Path(toys.plugin)
    write(plugin, plugin.read_text() + "\n# edited\n")
    assert toys("run", "-m", "good", "-r", "1").code == 0
    text = toys("table").out
    assert re.search(r"^good +-", text, re.MULTILINE)
    assert "Note: good: repetitions of different code, run it anew (0: toys.py #" in text


def test_stored_results_stand_beside_new_ones_unless_left_out(finished):
    stored = f"\n@rmsuite.hookimpl\ndef rmsuite_results():\n    return [{str(finished.folder / 'rmsuite-results')!r}]\n"
    plugin = write(finished.folder / "stored.py", "import rmsuite\n" + stored)
    command = ("run", "--plugin", plugin, "-m", "better", *RUN[2:], "-o", "other", "--format", "json")
    assert {"good", "better"} <= {row["method"] for row in json.loads(finished(*command).out)["tables"][0]["rows"]}
    assert "good" not in {
        row["method"] for row in json.loads(finished(*command, "--no-stored").out)["tables"][0]["rows"]
    }


def test_the_output_may_be_the_folder_that_holds_the_plugin(toys):
    assert toys("run", *RUN, "-o", ".").code == 0


def test_a_plugin_may_offer_methods_and_tasks_from_one_folder(toys, toy_root):
    beside = write(toy_root / "both.py", source("mine", root=toy_root))
    assert toys.bare("run", "--plugin", beside, "-m", "mine", *RUN[2:]).code == 0


def test_table_prints_what_run_printed(toys):
    ran = toys("run", *RUN)
    shown = toys("table")
    assert (shown.code, shown.out, shown.err) == (0, ran.out, "")
    assert toys.bare("table", "--task", "toy-gold").out == ran.out


def test_every_format_can_be_parsed(finished):
    document = json.loads(finished("table", "--format", "json").out)["tables"]
    assert document[0]["task"] == "toy-gold@1"
    rows = list(csv.DictReader(io.StringIO(finished("table", "--format", "csv").out)))
    assert {row["method"] for row in rows} == {row["method"] for row in document[0]["rows"]}
    assert all(row["value"] and row["signature"] for row in rows)
    markdown = finished("table", "--format", "markdown").out
    assert len({line.count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    formats = next(a.choices for name, p in walk() if name == "table" for a in p._actions if a.dest == "format")
    assert set(formats) == set(STYLES)


USAGE = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["frobnicate"], "invalid choice: 'frobnicate'"),
    "no method": (["run"], "the following arguments are required: -m/--method"),
    "unknown method": (["run", "-m", "goood"], "expected one of better, good, got 'goood' (nearest is 'good')"),
    "unknown task": (["run", *RUN, "-t", "toy-gol"], "expected one of toy-gold, toy-human, got 'toy-gol' (nearest"),
    "unknown suite": (["run", *RUN, "--suite", "defalt"], "suite 'defalt': expected one of default, got"),
    "unknown parameter": (["run", "-m", "good[sgn=1]"], "expected one of offset, sign, got 'sgn' (nearest is 'sign')"),
    "open bracket": (["run", "-m", "good[sign=1"], "close the brackets"),
    "no value": (["run", "-m", "good[sign]"], "expected name or name[key=value,...]"),
    "key given twice": (["run", "-m", "good[sign=1,sign=2]"], "each key once"),
    "empty method": (["run", "-m", ""], "specification '': expected name"),
    "control": (["run", "-m", "length"], "method 'length': expected one of better, good"),
    "no repetitions": (["run", *RUN, "-r", "0"], "expected a whole number of at least 1, got '0'"),
    "repetitions in words": (["run", *RUN, "-r", "two"], "expected a whole number of at least 1, got 'two'"),
    "no jobs": (["run", *RUN, "-j", "-1"], "-j/--jobs: expected"),
    "seed in words": (["run", *RUN, "--seed", "x"], "--seed: invalid int value: 'x'"),
    "unknown format": (["run", *RUN, "--format", "pdf"], "--format: invalid choice: 'pdf'"),
    "unknown option": (["run", *RUN, "--quick"], "unrecognized arguments: --quick"),
    "empty results": (["table"], "expected finished cells, got none. Do: run `rmsuite run --method NAME"),
    "absent results": (["table", "-o", "absent"], "results folder absent: expected finished cells"),
    "output is a file": (["run", *RUN, "-o", "toys.py"], "expected a writable folder"),
    "unknown kind": (["list", "metods"], "invalid choice: 'metods'"),
    "unknown name": (["info", "toy-gol"], "name 'toy-gol': expected one of"),
    "unknown method to check": (["check", "goood"], "(nearest is 'good')"),
    "control to check": (["check", "length"], "method 'length': expected one of"),
}


@pytest.mark.parametrize(("arguments", "expected"), USAGE.values(), ids=USAGE)
def test_a_mistake_is_answered_on_standard_error_with_exit_code_2(toys, arguments, expected):
    answer = toys(*arguments) if arguments and arguments[0] in dict(walk()) else toys.bare(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert answer.err.endswith(".\n") or ": error: " in answer.err
    assert not Path("rmsuite-results").exists()


def test_an_unknown_task_of_a_results_folder_is_named(finished):
    answer = finished("table", "-t", "toy-god")
    assert (answer.code, answer.out) == (2, "")
    assert "task 'toy-god': expected one of toy-gold, got 'toy-god' (nearest is 'toy-gold')" in answer.err


def test_a_method_that_bears_a_controls_name_is_refused(toys):
    plugin = write(toys.folder / "clash.py", source("length"))
    answer = toys("run", "--plugin", plugin, "-m", "length")
    assert (answer.code, answer.out) == (2, "")
    assert "got 'length', which is a control of every table. Do: rename the method" in answer.err


TAKES_PLUGIN = {name: command for name, command in walk() if "--plugin" in options(command)}
NEEDED = {
    "run": RUN,
    "curve": [*RUN, "--over", "offset=1,2"],
    "check": ["good"],
    "list": ["methods"],
    "info": ["good"],
    "compare": ["good", "length"],
    "inspect": ["good"],
    "reproduce": ["table.txt"],
    "transfer": [*RUN, "--suite", "default"],
    "policy": ["-m", "good", "-t", "toy-gold", "--optimizer", "climb", "--plugin", "climbs.py", "--steps", "3"],
    "embed": ["texts.jsonl"],
    "log-probabilities": ["documents.jsonl", *NGRAM, "-o", "log.csv"],
}


def test_plugins_lists_a_file_that_is_broken_with_its_reason(finished):
    write(finished.folder / "broken.py", "import rmsuite\n1 / 0\n")
    assert cli.main(["plugins", "--verbose", "--plugin", "broken.py"]) == 0
    shown = finished.capture.readouterr().out
    assert "UNUSABLE: ZeroDivisionError: division by zero (line 2)" in shown
    assert "Traceback" in shown


@pytest.mark.parametrize("name", sorted(set(TAKES_PLUGIN) - {"plugins"}))
@pytest.mark.parametrize(("file", "expected"), [("absent.py", "no such file"), ("broken.py", "ZeroDivisionError")])
def test_every_command_refuses_a_plugin_file_that_is_absent_or_broken(finished, name, file, expected):
    write(finished.folder / "broken.py", "import rmsuite\n1 / 0\n")
    answer = finished(name, *NEEDED.get(name, ()), "--plugin", file)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert file in answer.err


def test_a_broken_installed_plugin_stops_no_command_and_plugins_says_why(finished, monkeypatch):
    finished.install(monkeypatch, EntryPoint("broken", "not_installed_here", "rmsuite"))
    for name in TAKES_PLUGIN:
        assert finished(name, *NEEDED.get(name, ())).code == 0, name
    (line,) = (line for line in finished("plugins").out.splitlines() if line.startswith("broken"))
    assert line.startswith("broken  (not_installed_here)  UNUSABLE: ModuleNotFoundError: No module named")
    assert "unusable: broken; see `rmsuite plugins`" in finished("run", "-m", "absent").err
    assert cli.main(["plugins", "--verbose"]) == 0
    assert "Traceback" in finished.capture.readouterr().out


def test_plugins_shows_what_each_offers_and_where_it_comes_from(toys):
    assert toys("plugins").out == f"toys  ({toys.plugin})  good, better, toy-tasks\n"


@pytest.mark.parametrize("kind", KINDS)
def test_list_names_things_that_info_describes(toys, kind):
    more = ["--plugin", write(toys.folder / "climbs.py", OPTIMIZER)]
    listed = toys("list", kind, *more)
    assert (listed.code, listed.err) == (0, "")
    names = [line.split()[0] for line in listed.out.splitlines()]
    assert names
    assert set(show.LISTS) == set(KINDS)
    for name in names:
        described = toys("info", name, *more)
        assert (described.code, described.err) == (0, ""), name
        assert len(described.out) > len(name)


def test_info_shows_a_methods_parameters_and_a_tasks_pool(toys):
    assert re.search(r"^parameter sign +1\nparameter offset +0\.5$", toys("info", "good").out, re.MULTILINE)
    task = toys("info", "toy-gold").out
    for fact in ("annotator", "perfect", "train prompts", "test prompts", "licence", "CC0", "signature"):
        assert fact in task


def test_check_prints_every_check_and_fails_for_a_bad_method_only(toys):
    promises = [check.name for check in checks.CHECKS]
    for name, code in (("good", 0), ("good[sign=-1]", 1)):
        answer = toys("check", name)
        lines = [line for line in answer.out.splitlines() if not line.startswith(" ")]
        assert [line.split()[1] for line in lines[:-1]] == promises
        assert (answer.code, answer.err) == (code, "")
        assert lines[-1].startswith(f"{name}: ")
    assert re.search(r"^failed  learns-separable .*\n {8}accuracy .*\. Do: check signs", answer.out, re.MULTILINE)


def test_check_survives_a_method_that_exits(toys):
    exits = source("mine").replace("self.weights =", "raise SystemExit(0)\n        self.weights =")
    answer = toys("check", "--plugin", write(toys.folder / "exits.py", exits), "mine")
    assert answer.code == 1
    assert len(re.findall(r"^\w+ +[a-z-]+ ", answer.out, re.MULTILINE)) == len(checks.CHECKS)


def test_new_plugin_tells_the_next_commands_and_writes_nothing_twice(toys):
    answer = toys.bare("new", "plugin", "mine")
    assert (answer.code, answer.err) == (0, "")
    check = re.search(r"^  rmsuite (check .*)$", answer.out, re.MULTILINE)[1]
    assert toys.bare(*check.split()).code == 0
    before = {path: path.read_bytes() for path in Path("rmsuite-mine").glob("*.*")}
    again = toys.bare("new", "plugin", "mine")
    assert (again.code, again.out) == (2, "")
    assert "nothing is overwritten" in again.err
    assert {path: path.read_bytes() for path in Path("rmsuite-mine").glob("*.*")} == before


@pytest.mark.parametrize("arguments", [("new", "plugin", "Bad Name"), ("new", "method", "mine"), ("new", "plugin")])
def test_new_refuses_what_it_cannot_write(toys, arguments):
    before = set(Path().iterdir())
    answer = toys.bare(*arguments)
    assert (answer.code, answer.out, set(Path().iterdir())) == (2, "", before)


DAMAGE = {
    "empty": b"",
    "half": None,
    "not JSON": b"{",
    "no record": b"{}",
    "a list": b"[]",
    "a word": b'"ok"',
    "null": b"null",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cell_is_named(finished, content):
    path = Path("rmsuite-results/toy-gold@1/good/0.json")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert_damaged(finished("table"), path)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9] + b"damaged!!")])
def test_damaged_arrays_are_named(finished, change):
    (arrays,) = Path("rmsuite-results/toy-gold@1/good").glob("*.npz")
    change(arrays)
    assert_damaged(finished("table"), Path("rmsuite-results/toy-gold@1/good/0.json"))


def assert_damaged(answer, path):
    assert (answer.code, answer.out) == (2, "")
    assert f"rmsuite: result {path}: expected a whole cell" in answer.err


def test_an_altered_pool_is_refused_before_anything_is_run(toys, toy_root):
    with (toy_root / "pools" / "gold-pool" / "gold.npy").open("ab") as file:
        file.write(b"x")
    answer = toys("run", *RUN)
    assert (answer.code, answer.out) == (2, "")
    assert "gold.npy: expected sha256" in answer.err
    assert not Path("rmsuite-results").exists()


OVER_BUDGET = {
    "run": ("run", "-m", "good", "-t", "toy-human", "-t", "toy-gold[budget=100000]"),
    "curve": ("curve", "-m", "good", "-t", "toy-gold", "--over", "task.budget=20,100000"),
    "curve of a suite": ("curve", "-m", "good", "--suite", "budgets"),
}


@pytest.mark.parametrize("command", OVER_BUDGET.values(), ids=OVER_BUDGET)
def test_a_budget_beyond_the_pool_is_refused_before_any_cell_of_any_task(toys, toy_root, command):
    over = 'over = ["", "task.budget=20,100000"]'
    suite = f'name = "budgets"\nsummary = "toys"\ntasks = ["toy-human", "toy-gold"]\nrepetitions = 1\n{over}\n'
    (toy_root / "suites" / "budgets.toml").write_text(suite)
    answer = toys(*command)
    assert (answer.code, answer.out) == (2, "")
    assert re.search(r"budget on pool 'gold-pool': expected 100000 training pairs, got \d+\. Do: ask for", answer.err)
    assert not Path("rmsuite-results").exists()


def test_a_run_that_is_stopped_says_so_with_exit_code_130(toys, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(harness, "method_cell", stop)
    answer = toys("run", "-m", "good", "-r", "1", "-t", "toy-gold")
    assert (answer.code, answer.out) == (130, "")
    kept = "5 of 6 cells are finished and kept in rmsuite-results"
    again = f"rmsuite run --plugin {toys.plugin} -m good -r 1 -t toy-gold"
    assert answer.err == f"rmsuite: {kept}\nGo on with:\n  {again}\nrmsuite: stopped\n"
