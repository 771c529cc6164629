"""A file of texts becomes a table in two commands, and a killed command goes on. Whoever brings texts relies on it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Toys
from plugin_files import source, write

from rmsuite import plugins
from rmsuite.book import read_book
from rmsuite.errors import EmbedderError
from rmsuite.texts.shards import SHARD, Shards, request

SLOW = """
import time
from pathlib import Path
import numpy as np
import rmsuite

class Slow:
    def __init__(self, scale=1.0, wait=0.0, log=""):
        self.scale, self.wait, self.log = scale, wait, log

    def embed(self, texts):
        time.sleep(self.wait)
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{len(texts)}\\n")
        rows = [[len(p), len(r), hash_of(p + r)] for p, r in texts]
        return np.asarray(rows, np.float32) * np.float32(self.scale)

    def card(self):
        return {"base_model": "slow"}

def hash_of(text):
    return sum(ord(c) * i for i, c in enumerate(text, 1)) % 997

@rmsuite.hookimpl
def rmsuite_embedders():
    return [rmsuite.Embedder(name="slow", make=Slow)]
"""


def lines(path: Path, n: int = 20) -> Path:
    rows = ({"prompt": f"Question {i}?", "chosen": f"A good answer {i}.", "rejected": f"Bad {i}."} for i in range(n))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def mine(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("RMSUITE_TASKS", raising=False)
    lines(tmp_path / "mine.jsonl")
    found = Toys(tmp_path, write(tmp_path / "good.py", source("good") + SLOW), capfd)
    found.install(monkeypatch)
    return found


RUN = ("run", "-m", "good", "-r", "1", "-j", "1")


def suite_of(folder: Path) -> None:
    """Without the installed tasks there is no suite by default: the user's own."""
    (folder / "suites").mkdir(exist_ok=True)
    text = 'name = "default"\nsummary = "mine"\ntasks = ["mine"]\nrepetitions = 1\n'
    (folder / "suites" / "default.toml").write_text(text)


def test_twenty_lines_become_a_table_in_two_commands(mine):
    first = mine("embed", "mine.jsonl")
    assert first.code == 0, first
    assert "20 prompts (" in first.out
    assert "40 × 512 float16, base model hashed" in first.out
    suite_of(Path("rmsuite-tasks"))
    second = mine(*RUN, "--tasks", "rmsuite-tasks", "--task", "mine")
    assert second.code == 0, second
    assert second.out.startswith("mine@1\n")
    assert "good" in second.out


def test_the_commands_work_as_a_user_types_them(tmp_path):
    """In processes of their own, with the installed tasks and baselines, and the variable instead of the option."""
    lines(tmp_path / "mine.jsonl")
    environment = {**os.environ, "PYTHONWARNINGS": "error", "RMSUITE_TASKS": str(tmp_path / "rmsuite-tasks")}

    def program(*arguments, **variables):
        command = [sys.executable, "-m", "rmsuite", *arguments]
        given = {name: value for name, value in (environment | variables).items() if value}
        return subprocess.run(
            command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=300
        )

    made = program("embed", "mine.jsonl", "--embedder", "hashed[features=32]", RMSUITE_TASKS="")
    assert made.returncode == 0, made.stderr
    ran = program("run", "--task", "mine", "--method", "mean-difference", "-r", "1")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("mine@1\n")
    assert "mine" in program("list", "tasks").stdout
    assert "prompt-hash-1" in program("info", "mine").stdout
    assert "findings" in program("verify").stdout


def test_a_folder_of_tasks_that_is_none_is_an_error(mine, monkeypatch):
    answer = mine("list", "tasks", "--tasks", "absent")
    assert (answer.code, answer.err.count("Do:")) == (2, 1)
    monkeypatch.setenv("RMSUITE_TASKS", str(mine.folder))
    assert "a folder without `tasks`" in mine("list", "tasks").err


def test_an_option_and_the_variable_may_name_one_folder(mine, monkeypatch):
    mine("embed", "mine.jsonl")
    monkeypatch.setenv("RMSUITE_TASKS", os.pathsep.join([str(mine.folder / "rmsuite-tasks"), ""]))
    answer = mine("list", "tasks", "--tasks", "rmsuite-tasks")
    assert (answer.code, answer.out.count("mine")) == (0, 2)  # its name, and its file's in the question
    assert "rmsuite-tasks" in mine("plugins").out


def test_the_same_command_again_changes_nothing_and_embeds_nothing(mine):
    order = ("embed", "mine.jsonl", "--embedder", "slow[log=log.txt]", "--output", "out")
    assert mine(*order).code == 0
    before, calls = contents(Path("out")), Path("log.txt").read_text()
    again = mine(*order)
    assert again.code == 0
    assert "there already" in again.err
    assert (contents(Path("out")), Path("log.txt").read_text()) == (before, calls)


def test_the_order_of_lines_does_not_move_a_byte_of_pool_and_embeddings(mine):
    mine("embed", "mine.jsonl", "--output", "one")
    text = Path("mine.jsonl").read_text().splitlines(keepends=True)
    Path("mine.jsonl").write_text("".join(text[::-1]))
    mine("embed", "mine.jsonl", "--output", "other")
    assert contents(Path("one")) == contents(Path("other"))


def test_a_second_embedder_adds_an_embedding_set_and_a_task(mine):
    mine("embed", "mine.jsonl", "--output", "out")
    before = contents(Path("out"))
    answer = mine("embed", "mine.jsonl", "--output", "out", "--embedder", "slow")
    assert "task mine-slow@1" in answer.out
    after = contents(Path("out"))
    assert before.items() <= after.items()
    assert {name.split("/")[-1] for name in after.keys() - before.keys()} == {
        "mine-slow.toml",
        "embeddings.toml",
        "embeddings.npy",
    }


def test_other_texts_under_an_old_name_are_refused_and_nothing_is_touched(mine):
    mine("embed", "mine.jsonl", "--output", "out")
    before = contents(Path("out") / "pools")
    lines(Path("mine.jsonl"), 21)
    answer = mine("embed", "mine.jsonl", "--output", "out")
    assert (answer.code, answer.err.count("one of other texts")) == (2, 1)
    assert contents(Path("out") / "pools") == before
    assert mine("embed", "mine.jsonl", "--output", "out", "--name", "new").code == 0
    assert "lower-case letters" in mine("embed", "mine.jsonl", "--name", "No Name").err


@pytest.mark.parametrize("output", ["a-file", "a-file/below"])
def test_an_output_that_is_no_folder_is_refused(mine, output):
    Path("a-file").write_text("kept")
    answer = mine("embed", "mine.jsonl", "--output", output)
    assert (answer.code, answer.err.count("expected a folder to write to")) == (2, 1), answer
    assert Path("a-file").read_text() == "kept"


def test_an_embedder_that_fails_at_once_leaves_no_shard_behind(mine):
    """Whoever waits for a server starts it and tries again; there is nothing to go on with, and nothing to clean up."""
    answer = mine("embed", "mine.jsonl", "--embedder", "slow[scale=nan]", "--output", "out")
    assert (answer.code, answer.err.count("expected finite real numbers")) == (2, 1), answer
    assert contents(Path("out")) == {}
    assert not list(Path("out").glob(".embedding*"))


def test_what_float16_cannot_hold_is_float32_and_the_card_says_so(mine):
    for scale, dtype in ((1.0, "float16"), (1000.0, "float32")):
        answer = mine("embed", "mine.jsonl", "--embedder", f"slow[scale={scale}]", "--output", dtype)
        assert answer.code == 0, answer
        task = read_book([Path(dtype)]).task("mine").load()
        assert task.embeddings.matrix.dtype == dtype
        assert task.embeddings.card["dtype"] == dtype
        assert ("why_float32" in task.embeddings.card) == (dtype == "float32")
        assert ("float16_relative_error" in task.embeddings.card) == (dtype == "float16")


def test_rows_of_the_embeddings_are_those_of_the_pool(mine):
    mine("embed", "mine.jsonl", "--embedder", "slow")
    task = read_book([Path("rmsuite-tasks")]).task("mine").load()
    np.testing.assert_array_equal(task.embeddings.matrix[:, 1], task.pool.length)


def program(folder: Path, output: str, wait: float) -> list[str]:
    embedder = f"slow[wait={wait},log=log.txt]"
    plugin = write(folder / "slow.py", SLOW)
    command = [sys.executable, "-m", "rmsuite", "embed", "many.jsonl", "--plugin", str(plugin)]
    return [*command, "--embedder", embedder, "--output", output]


def test_a_killed_command_goes_on_and_ends_with_the_same_bytes(tmp_path):
    lines(tmp_path / "many.jsonl", 4 * SHARD)
    command = program(tmp_path, "out", wait=0.25)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as killed:
        deadline = time.monotonic() + 120
        while len(list((tmp_path / "out").rglob("shards/*.npy"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "pools").exists()
    before = len((tmp_path / "log.txt").read_text().split())
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "going on with" in done.stderr
    calls = (tmp_path / "log.txt").read_text().split()
    assert 8 <= len(calls) <= 9  # the shard that was under way may be made twice
    assert len(calls) - before < 8
    subprocess.run([*command[:-1], "whole"], cwd=tmp_path, capture_output=True, check=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"pools", "tasks"}


def test_a_shard_that_a_power_cut_emptied_is_made_again(tmp_path):
    texts = [("p", "r" * i) for i in range(SHARD + 3)]
    plugin = write(tmp_path / "slow.py", SLOW)
    model = plugins.load([plugin], installed=False).embedder("slow").make()
    shards = Shards(tmp_path / "shards", len(texts))
    shards.fill(texts, model, "x", list)
    whole = contents(shards.folder)
    shards.paths[0].write_bytes(bytes(100))
    shards.fill(texts, model, "x", list)
    assert contents(shards.folder) == whole


class Fake:
    def __init__(self, answer):
        self.embed = answer

    def card(self):
        return {"base_model": "fake"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda texts: np.zeros(len(texts)), "shape (2, n_features) for 2 texts"),
        (lambda texts: np.zeros((3, 4)), "shape (3, 4)"),
        (lambda texts: np.zeros((2, 0)), "shape (2, 0)"),
        (lambda texts: np.full((2, 4), np.nan), "infinity or NaN"),
        (lambda texts: np.full((2, 4), "a"), "finite real numbers"),
        (lambda texts: np.full((2, 4), 1e300), "numbers within float32"),
        (lambda texts: None, "shape ()"),
    ],
)
def test_embeddings_that_are_none_are_refused_by_the_embedders_name(tmp_path, answer, message):
    with pytest.raises(EmbedderError) as error:
        Shards(tmp_path, 2).fill([("p", "r")] * 2, Fake(answer), "embedder 'fake'", list)
    assert message in str(error.value)
    assert error.value.who == "embedder 'fake'"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def card(self)", "def cart(self)", "no attribute 'card'"),
        ("def embed(self", "def embad(self", "no attribute 'embed'"),
        ('return {"base_model": "slow"}', "raise KeyError('card')", "KeyError: 'card'"),
        ("time.sleep(self.wait)", "raise ValueError('no model')", "ValueError: no model"),
        ("self.scale, self.wait", "scales, self.wait", "has no attribute 'scale'"),
        ("def __init__(self, ", "def __init__(self, must, ", "must"),
    ],
)
def test_an_embedder_that_fails_is_told_by_its_name_without_a_traceback(mine, old, new, message):
    """Who embeds with somebody else's plugin has to know whose fault it is."""
    write(mine.folder / "bad.py", SLOW.replace(old, new))
    answer = mine.bare("embed", "mine.jsonl", "--plugin", "bad.py", "--embedder", "slow")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("rmsuite: embedder 'slow")
    assert message in answer.err


def test_what_an_embedder_prints_is_not_on_standard_output(mine):
    write(mine.folder / "loud.py", SLOW.replace("time.sleep(self.wait)", "print('heard')"))
    answer = mine.bare("embed", "mine.jsonl", "--plugin", "loud.py", "--embedder", "slow")
    assert answer.code == 0
    assert "heard" not in answer.out


def test_a_width_that_changes_between_shards_is_refused(tmp_path):
    texts = [("p", "r")] * (SHARD + 1)
    with pytest.raises(EmbedderError, match=r"shape \(1, 256\)"):
        Shards(tmp_path, len(texts)).fill(texts, Fake(lambda t: np.zeros((len(t), len(t)))), "x", list)


def test_any_other_text_embedder_or_card_is_another_request():
    one = request([("p", "r")], "hashed", {"base_model": "a"})
    others = {
        request([("pr", "")], "hashed", {"base_model": "a"}),
        request([("p", "r"), ("p", "r")], "hashed", {"base_model": "a"}),
        request([("p", "r")], "hashed[features=8]", {"base_model": "a"}),
        request([("p", "r")], "hashed", {"base_model": "b"}),
    }
    assert len(others | {one}) == 5


@pytest.mark.parametrize("card", [{}, {"base_model": "No Name"}, {"base_model": "a", "layers": [1]}, None])
def test_a_card_without_a_good_name_is_refused(mine, card):
    write(mine.folder / "bad.py", SLOW.replace('return {"base_model": "slow"}', f"return {card!r}"))
    answer = mine.bare("embed", "mine.jsonl", "--plugin", "bad.py", "--embedder", "slow")
    assert answer.code == 2
    assert "a card with base_model" in answer.err


def test_bad_input_is_an_error_without_traceback_and_leaves_nothing_behind(mine):
    Path("mine.jsonl").write_text('{"prompt": "a", "chosen": "b"}\n')
    answer = mine("embed", "mine.jsonl", "--output", "out")
    assert (answer.code, answer.out) == (2, "")
    assert "mine.jsonl line 1: expected the fields" in answer.err
    assert not Path("out").exists()


def test_few_prompts_are_split_by_rank_and_the_signature_says_so(mine):
    lines(Path("mine.jsonl"), 4)
    answer = mine("embed", "mine.jsonl", "--output", "out")
    task = read_book([Path("out")]).task("mine").load()
    if task.pool.part is not None:
        assert "left a part empty" in answer.err
        assert task.signature()["split"] == "stated(2/1/1)"
    assert [len(prompts) for prompts in task.parts.values()] == [2, 1, 1]
