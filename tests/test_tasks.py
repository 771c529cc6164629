"""Cards say what they mean, or are refused. Whoever writes a task relies on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tomli_w
from conftest import SUITE, TASK, write_root
from running import loaded

from rmsuite.book import read_book
from rmsuite.errors import TaskError, UnknownNameError
from rmsuite.pool_files import sha256
from rmsuite.pools import read_card
from rmsuite.tasks import LoadedTask

GOOD = TASK.format(name="mine", pool="gold-pool", annotator="perfect", pairs=4, columns='"pair-accuracy"')


def add(root: Path, text: str, kind: str = "tasks") -> Path:
    path = root / kind / "mine.toml"
    path.write_text(text)
    return path


def refusal(root: Path, path: Path) -> str:
    with pytest.raises(TaskError) as error:
        read_book([root])
    assert str(path) in error.value.who
    assert all((error.value.expected, error.value.got, error.value.do))
    return str(error.value)


def test_cards_are_read_as_they_are_written(toy_root):
    book = read_book([toy_root])
    assert set(book.tasks) == {"toy-gold", "toy-human"}
    task = book.task("toy-gold")
    assert (task.label, task.pool, task.pairs_per_prompt) == ("toy-gold@1", "gold-pool", 4)
    assert task.columns == ("pair-accuracy", "spearman")
    assert task.pool_folder == toy_root / "pools" / "gold-pool"
    assert book.suite("default").tasks == ("toy-gold", "toy-human")
    assert book.suite("default").repetitions == 2


FIELDS = ["name", "version", "question", "pool", "base_model", "annotator", "pairs_per_prompt", "columns"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_task_card_without_a_field_is_refused(toy_root, field):
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(f"{field} ="))
    assert f"without ['{field}'], unknown []" in refusal(toy_root, add(toy_root, text))


def test_a_task_card_with_an_unknown_field_is_refused(toy_root):
    path = add(toy_root, GOOD + "pairs_pre_prompt = 3\n")
    assert "without [], unknown ['pairs_pre_prompt']" in refusal(toy_root, path)


@pytest.mark.parametrize("field", ["name", "summary", "tasks", "repetitions"])
def test_a_suite_card_without_a_field_is_refused(toy_root, field):
    text = "\n".join(line for line in SUITE.splitlines() if not line.startswith(f"{field} ="))
    assert field in refusal(toy_root, add(toy_root, text, "suites"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", 'version = "1"'),
        ("version = 1", "version = 1.5"),
        ("version = 1", "version = -1"),
        ("pairs_per_prompt = 4", "pairs_per_prompt = -4"),
        ('columns = ["pair-accuracy"]', 'columns = "pair-accuracy"'),
        ('pool = "gold-pool"', "pool = 3"),
        ('name = "mine"', 'name = "../mine"'),
        ('name = "mine"', 'name = "my task"'),
        ('name = "mine"', 'name = "mine|yours"'),
        ('name = "mine"', "name = 3"),
        ('columns = ["pair-accuracy"]', "columns = []"),
        ('columns = ["pair-accuracy"]', "columns = [1]"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_its_name(toy_root, old, new):
    assert old in GOOD
    message = refusal(toy_root, add(toy_root, GOOD.replace(old, new)))
    assert f"expected {old.partition(' = ')[0]} = " in message


@pytest.mark.parametrize(
    ("field", "value"),
    [("tasks", "[]"), ("tasks", "[1]"), ("tasks", '"mine"'), ("repetitions", "0"), ("over", "[1]"), ("over", "[[]]")],
)
def test_a_field_of_a_suite_of_the_wrong_kind_is_refused_by_its_name(toy_root, field, value):
    """An empty suite, or one of no repetitions, would print no table and call that success."""
    kept = [line for line in SUITE.splitlines() if not line.startswith(f"{field} =")]
    text = "\n".join([*kept, f"{field} = {value}"])
    assert f"expected {field} = " in refusal(toy_root, add(toy_root, text, "suites"))


@pytest.mark.parametrize("field", ["root", "changes"])
def test_what_the_harness_fills_in_is_no_field_of_a_card(toy_root, field):
    message = refusal(toy_root, add(toy_root, f'{GOOD}\n{field} = "x"\n'))
    assert f"unknown ['{field}']" in message
    assert f", {field}" not in message.partition("got")[0]


def test_a_malformed_card_is_refused(toy_root):
    refusal(toy_root, add(toy_root, GOOD + "=\n"))


def test_two_tasks_of_one_name_are_refused(toy_root):
    path = add(toy_root, GOOD.replace('"mine"', '"toy-gold"'))
    second = toy_root / "tasks" / "toy-gold.toml"
    message = refusal(toy_root, second if second > path else path)
    assert "'toy-gold' again" in message


def test_two_tasks_of_one_name_in_two_packages_are_refused(toy_root, tmp_path):
    other = write_root(tmp_path / "other-tasks")
    with pytest.raises(TaskError, match="expected a new name, got 'toy-gold' again"):
        read_book([toy_root, other])


def test_two_suites_of_one_name_are_refused(toy_root):
    assert "'default' again" in refusal(toy_root, add(toy_root, SUITE, "suites"))


def test_an_unknown_task_or_suite_names_the_nearest(toy_root):
    book = read_book([toy_root])
    with pytest.raises(UnknownNameError, match=r"nearest is 'toy-gold'"):
        book.task("toy-glod")
    with pytest.raises(UnknownNameError, match=r"nearest is 'default'"):
        book.suite("defualt")


def test_the_order_of_packages_does_not_matter(toy_root, tmp_path):
    (tmp_path / "empty").mkdir()
    assert read_book([toy_root, tmp_path / "empty"]) == read_book([tmp_path / "empty", toy_root])


@pytest.mark.parametrize("annotator", ["perfekt", "flip[rate=2]", "flip[rat=0.1]"])
def test_an_annotator_that_does_not_exist_is_refused_at_loading(toy_root, annotator):
    add(toy_root, GOOD.replace('"perfect"', f'"{annotator}"'))
    with pytest.raises((TaskError, UnknownNameError)) as error:
        read_book([toy_root]).task("mine").load()
    assert error.value.do
    assert "task mine@" in error.value.who


@pytest.mark.parametrize(("field", "value"), [("pool", "gold-pole"), ("base_model", "minilm"), ("train_pool", "none")])
def test_a_pool_or_base_model_that_does_not_exist_is_refused_with_the_name_of_the_task(toy_root, field, value):
    """In a suite of many tasks, the name of a pool alone does not say which card to mend."""
    kept = [line for line in GOOD.splitlines() if not line.startswith(f"{field} =")]
    add(toy_root, "\n".join([*kept, f'{field} = "{value}"']))
    with pytest.raises(UnknownNameError, match=rf"task mine@\d+: \w+( \w+)? '{value}'"):
        read_book([toy_root]).task("mine").load()


def test_the_signature_names_every_ingredient(toy_root):
    first, second = (task.signature() for task in loaded(toy_root, "toy-gold", "toy-human"))
    assert set(first) == {"task", "pool", "embeddings", "split", "annotator", "pairs"}
    assert first["task"] == "toy-gold@1"
    assert first["pairs"] == "within-prompt(4)"
    assert second["pairs"] == "within-prompt(all)"
    assert first["split"] == "prompt-hash-1(0.6/0.15/0.25)"
    assert first["pool"] != second["pool"]


def test_the_test_part_holds_whole_prompts_in_pool_order(toy_root):
    for task in loaded(toy_root, "toy-gold", "toy-human"):
        test, pool = task.test, task.pool
        np.testing.assert_array_equal(test.rows, np.flatnonzero(np.isin(pool.prompt, task.parts["test"])))
        np.testing.assert_array_equal(test.prompt_id, pool.prompt_id[task.parts["test"]])
        np.testing.assert_array_equal(test.length, pool.length[test.rows])
        np.testing.assert_array_equal(pool.prompt_id[pool.prompt[test.rows]], test.prompt_id[test.prompt])
        if pool.gold is not None:
            np.testing.assert_array_equal(test.gold, pool.gold[test.rows])
        else:
            pairs = np.column_stack([test.rows[test.chosen], test.rows[test.rejected]])
            human = np.asarray(pool.human_pairs)
            np.testing.assert_array_equal(pairs, human[np.isin(pool.prompt[human[:, 0]], task.parts["test"])])


def regroup(root: Path, groups: np.ndarray) -> LoadedTask:
    """Give the pool of toy-gold a column ``split_id`` and load the task."""
    folder = root / "pools" / "gold-pool"
    np.save(folder / "split_id.npy", groups)
    card = read_card(folder / "pool.toml")
    card["sha256"]["split_id.npy"] = sha256(folder / "split_id.npy")
    (folder / "pool.toml").write_text(tomli_w.dumps(card))
    return loaded(root, "toy-gold")[0]


def test_prompts_of_one_group_are_in_one_part_and_the_signature_says_so(toy_root):
    (before,) = loaded(toy_root, "toy-gold")
    groups = np.repeat(before.pool.prompt_id[::3], 3)
    after = regroup(toy_root, groups)
    for name in ("train", "validation", "test"):
        mine = set(groups[after.parts[name]].tolist())
        others = np.setdiff1d(np.arange(len(groups)), after.parts[name])
        assert mine
        assert not mine & set(groups[others].tolist())
    assert np.array_equal(np.sort(np.concatenate(list(after.parts.values()))), np.arange(len(groups)))
    assert after.signature()["split"] == "group-hash-1(0.6/0.15/0.25)"


def test_prompts_that_are_groups_of_their_own_are_split_as_before(toy_root):
    (before,) = loaded(toy_root, "toy-gold")
    after = regroup(toy_root, np.array(before.pool.prompt_id))
    for name, prompts in before.parts.items():
        np.testing.assert_array_equal(after.parts[name], prompts)
    np.testing.assert_array_equal(after.test.rows, before.test.rows)
