"""What the help and the messages name exists and works. Whoever reads ``rmsuite --help`` relies on it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import options, set_up, walk
from plugin_files import source, write
from test_embed import lines as write_texts
from test_fetch import write_listing
from test_imports import published

import rmsuite
from rmsuite import cli, commands
from rmsuite.options import KINDS
from rmsuite.pool_files import write_embeddings

PACKAGE = Path(rmsuite.__file__).parent
COMMANDS = dict(walk())
AGAIN = "--force good --no-cache --explain-cache --timeout 60 --memory 2000 --executor serial"
NGRAM = Path(__file__).with_name("ngram_model.py")
BASES = "--suite default -t toy-gold --task toy-gold[base_model=toy-other]"
# At least one command line for each command, and together every option of it.
WORKING = {
    "run": [
        "-m good -t toy-gold --suite default -r 1 --seed 1 -j 1 -o out --format csv --no-stored",
        "--method good --task toy-gold --repetitions 1 --jobs 2 --output other",
        f"-m good -t toy-gold -r 1 -o other {AGAIN}",
        "-m good -t toy-gold -r 1 -o other --only missing --fail-on-error 0.5",
        "-m good -t toy-gold -r 1 -o other -x",
        "-m good -t toy-gold -r 1 -o other --exitfirst",
        "-m good -t toy-gold -r 2 -o other --dry-run",
        "-m good -t toy-gold -r 1 -o other --in-process",
        "-m good -t toy-gold -r 1 -o other --pdb",
    ],
    "table": [
        "-t toy-gold --format json --no-stored",
        "-o rmsuite-results",
        "--task toy-gold --output rmsuite-results --metric spearman --allow-mixed",
    ],
    "curve": [
        "-m good --over offset=1,2 -t toy-gold --suite default -r 1 --seed 0 -j 1 -o out --format csv",
        "--method good --over sign=1,2 --task toy-gold --repetitions 1 --jobs 1 --output more --metric spearman",
        f"-m good --over sign=1,2 -t toy-gold -r 1 -o more {AGAIN}",
        "-m good --over sign=1,2 -t toy-gold -r 1 -o more --only failed",
        "-m good --over sign=1,2 -t toy-gold -r 1 -o more -x",
        "-m good --over sign=1,2 -t toy-gold -r 1 -o more --exitfirst",
        "-m good --over sign=1,2 -t toy-gold -r 1 -o more --fail-on-error 3",
        "-m good --over sign=1,2 -t toy-gold -r 1 -o more --figures drawn",
    ],
    "transfer": [
        "-m good -t toy-gold --suite default -r 1 --seed 0 -j 1 -o out --format csv",
        "--method good --task toy-gold --suite default --repetitions 1 --jobs 1 --output more --metric spearman",
        f"-m good -t toy-gold --suite default -r 1 -o more {AGAIN}",
        "-m good -t toy-gold --suite default -r 1 -o more --only failed",
        "-m good -t toy-gold --suite default -r 1 -o more -x",
        "-m good -t toy-gold --suite default -r 1 -o more --exitfirst",
        "-m good -t toy-gold --suite default -r 1 -o more --fail-on-error 3",
    ],
    "policy": [
        "-m good --optimizer climb -t toy-gold --beta 0.1 -r 1 -o policies --policies 1 --steps 3 --hidden 2 -j 1",
        "-m good --optimizer climb -t toy-gold --beta 0.1 -r 1 -o drawn --policies 1 --steps 3 -j 1 --figures drawn",
        "--method good --optimizer climb --task toy-gold --beta 0 --repetitions 1 --output more --steps 2 --seed 1",
        f"-m good --optimizer climb -t toy-gold -r 1 -o third --steps 0 --format csv --jobs 1 {AGAIN}",
        "-m good --optimizer climb -t toy-gold -r 1 -o it --steps 0 --prompts 5 --learning-rate 1 --only missing",
        "-m good --optimizer climb -t toy-gold -r 1 -o it --steps 0 --prompts 5 --learning-rate 1 -x --dry-run",
        "-m good --optimizer climb -t toy-gold -r 1 -o it --steps 0 --prompts 5 --learning-rate 1 --exitfirst",
        "-m good --optimizer climb -t toy-gold -r 1 -o it --steps 0 --prompts 5 --learning-rate 1 --fail-on-error 3",
        "-m good --optimizer climb -t toy-gold -o on --steps 2 -r 1 --shift -1 --target 2 --against climb",
        "-m good --optimizer climb -t toy-gold -o of --steps 2 -r 1 --shift -1 --suite default --reference toy",
    ],
    "base-models": [
        "--results ahrabian2025 --scores bundled --draws 20 --ties expected --seed 1 --format csv",
        "--default gemma-2b-it --sizes 3,6 --draws 20",
        "--results few.csv --scores one.csv --log-probabilities seen.csv --per byte --inherit --draws 20",
        f"-m good {BASES} -r 1 -j 1 -o out --scores one.csv --draws 20 --metric spearman --figures drawn",
        f"--method good {BASES} --repetitions 1 --jobs 1 --output more --draws 20 --format csv",
        f"-m good {BASES} -r 1 -o more --draws 20 {AGAIN}",
        f"-m good {BASES} -r 1 -o more --draws 20 --only missing --fail-on-error 0.5",
        f"-m good {BASES} -r 1 -o more --draws 20 -x",
        f"-m good {BASES} -r 1 -o more --exitfirst --dry-run",
    ],
    "check": ["good"],
    "list": KINDS,
    "info": ["good", "toy-gold"],
    "plugins": ["", "-v", "--verbose"],
    "new": ["plugin mine --into there"],
    "compare": [
        "good length -t toy-gold --format json -o rmsuite-results --no-stored --items items.csv",
        "good length --task toy-gold --output rmsuite-results",
    ],
    "inspect": [
        "good -t toy-gold --format json --no-stored -o rmsuite-results",
        "good --task toy-gold --output rmsuite-results",
    ],
    "clean": ["rmsuite-results --all", "--all -y", "--yes"],
    "sys-info": [""],
    "verify": ["--rounding", "rmsuite-results --rerun 1 --seed 3 -j 1 --no-record", "--rerun all --jobs 1"],
    "reproduce": ["table.txt -j 1", "table.txt --commands-only --jobs 1"],
    "cite": [
        "-t toy-gold -o rmsuite-results --no-stored -m good",
        "--task toy-gold --output rmsuite-results --method good --format text",
    ],
    "score": ["", "rmsuite-results"],
    "export": ["", "--items --format json", "rmsuite-results -o /dev/stdout", "--output /dev/stdout"],
    "merge": ["rmsuite-results --into merged", "rmsuite-results merged --into both --allow-mixed"],
    "diff-protocol": ["rmsuite-results table.txt"],
    "embed": [
        "texts.jsonl",
        "texts.jsonl -e hashed[features=8] -o mine --name mine --question Which? --licence CC0",
        "texts.jsonl --embedder hashed --output mine --name more",
    ],
    "log-probabilities": [
        f"documents.jsonl -e characters --plugin {NGRAM} -o log.csv",
        f"documents.jsonl --embedder characters --plugin {NGRAM} --tokens 4 --output other.csv",
    ],
    "import": [
        "arrays",
        "arrays --axes prompts --base-model mine --copy -o there --name mine --question Which? --licence CC0",
        "arrays --output there --name other",
    ],
    "fetch": ["", "cards --to there", "*-pool --url http://localhost:1/never-asked"],
    "coverage": ["--simulations 40 --draws 200 --seed 1 --hard"],
}
CLIMB = """

from rmsuite.policies import Reinforce


@rmsuite.hookimpl
def rmsuite_optimizers():
    return [rmsuite.PolicyOptimizer(name="climb", make=Reinforce)]
"""
BARE = {"clean", "new", "import", "merge", "diff-protocol", "coverage"}  # they need no plugin


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    return set_up(tmp_path, source("good", root=toy_root) + CLIMB, capfd, monkeypatch)


def helps():
    """The help text of the program and of each command."""
    return {"": cli.parser().format_help(), **{name: command.format_help() for name, command in COMMANDS.items()}}


def test_each_command_of_the_help_is_carried_out_and_has_a_line(toys):
    assert set(COMMANDS) == set(commands.COMMANDS) == set(WORKING)
    top = toys.bare("--help")
    assert (top.code, top.err) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\s+\w+", top.out, re.MULTILINE), name
        one = toys.bare(name, "--help")
        assert (one.code, one.err) == (0, "")
        assert one.out.startswith(f"usage: rmsuite {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_the_help_has_a_line_and_works(toys, toy_root, name):
    write_texts(Path("texts.jsonl"))
    Path("documents.jsonl").write_text('{"category": "prose", "text": "Once upon a time."}')
    published(Path("arrays"))
    Path("table.txt").write_text(toys("run", "-m", "good", "-t", "toy-gold", "-r", "1").out)
    write_listing(toy_root)
    write_embeddings(toy_root / "pools" / "gold-pool", np.ones((360, 4), np.float32), {"base_model": "toy-other"})
    Path("one.csv").write_text("model,good\ntoy-base,1\n")
    Path("few.csv").write_text("model,Chat\na,1\nb,2\n")
    Path("seen.csv").write_text("model,category,n_tokens,n_bytes,log_probability\na,code,9,20,-1\nb,code,9,21,-2\n")
    lines = [line.split() for line in WORKING[name]]
    for arguments in lines:
        answer = toys.bare(name, *arguments) if name in BARE else toys(name, *arguments)
        assert answer.code == 0, arguments
        assert answer.out, arguments
    used = {word for arguments in lines for word in arguments if word.startswith("-")}
    # The first is always given; the others have tests of their own, the last with a cluster.
    used |= {"--plugin", "--tasks", "--address"}
    spelt = {text for action in COMMANDS[name]._actions for text in action.option_strings} - {"-h", "--help"}
    assert spelt <= used
    assert all(action.help for action in COMMANDS[name]._actions if action.option_strings)


def strings(tree):
    """The strings of a module; what is put into an f-string is written as X."""
    if isinstance(tree, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in tree.values)
    elif isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    else:
        for child in ast.iter_child_nodes(tree):
            yield from strings(child)


def mentioned():
    """Texts that users read: help, every string of the package, the skeleton of a plugin."""
    yield from helps().items()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield path.name, "\n".join(strings(tree))
    for path in sorted((PACKAGE / "template").iterdir()):
        yield path.name, path.read_text(encoding="utf-8")


def test_every_command_and_option_that_a_text_mentions_exists():
    known = set().union(*(options(command) for command in COMMANDS.values()), {"--help", "--version"})
    seen = set()
    for place, text in mentioned():
        for command in re.findall(r"(?:`|^ *)rmsuite ([a-z][a-z-]*)", text, re.MULTILINE):
            assert command in COMMANDS, f"{place} mentions `rmsuite {command}`"
            seen.add(command)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
            assert option in known, f"{place} mentions {option}"
    assert {"run", "check", "list", "info", "plugins"} <= seen


def test_every_command_that_a_message_recommends_can_be_parsed():
    recommended = {line for _, text in mentioned() for line in re.findall(r"(?<!`)`rmsuite ([^`]*)`", text)}
    for line in recommended:
        assert cli.parser().parse_args(line.split()).command
    assert len(recommended) > 5


def test_every_default_that_the_help_states_is_the_default():
    for name, command in COMMANDS.items():
        for action in command._actions:
            stated = re.search(r"default: ([\w-]+)\)?$", action.help or "")
            if stated and action.default is not None:
                assert str(action.default) in (stated[1], "."), f"{name} {action.dest}"


def program(*arguments, **options):
    """Run the program as a user does, in a process of its own."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "rmsuite", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120, **options)


def test_the_program_says_its_version():
    done = program("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rmsuite {rmsuite.__version__}\n", "")


def test_the_program_runs_checks_and_fails_with_its_three_exit_codes(tmp_path, toy_root):
    failing = source("good", "other", root=toy_root).replace("return self\n", "return 1 / (self.sign - 2)\n", 1)
    (toy_root / "suites" / "default.toml").unlink()  # the installed one stands
    plugin = ("--plugin", str(write(tmp_path / "toys.py", failing)))
    run = ("run", *plugin, "-t", "toy-gold", "-r", "1", "-j", "1", "-o", str(tmp_path / "out"))
    fine, failed, usage = (program(*run, "-m", m, cwd=tmp_path) for m in ("good", "other[sign=2]", "absent"))
    assert [done.returncode for done in (fine, failed, usage)] == [0, 1, 2]
    assert not any("Traceback" in done.stdout + done.stderr for done in (fine, failed, usage))
    assert (fine.stderr, usage.stdout) == (f"Results: {tmp_path / 'out'}\n", "")
    assert "ZeroDivisionError" in failed.stderr
    assert failed.stdout.startswith("toy-gold@1\n")


@pytest.mark.parametrize("arguments", [("list", "metrics"), ("--help",)])
def test_a_reader_that_goes_away_early_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rmsuite", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with os.fdopen(writer, "w") as pipe:
        done = subprocess.run(command, env=environment, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
