"""Methods meet on common random numbers. Whoever compares two cells of one table relies on it.

Neither the order nor the set of methods, nor the number of processes, moves a bit of any number.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from conftest import write_root
from running import MISBEHAVING, entrants, executor, loaded, run, same_arrays, settings
from threadpoolctl import threadpool_info

from rmsuite import harness, results, seeds
from rmsuite.controls import CONTROLS
from rmsuite.data import PreferencePairs
from rmsuite.errors import TaskError
from rmsuite.metrics import metric
from rmsuite.setting import Setting

BOTH = ("toy-gold", "toy-human")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("harness") / "toy-tasks")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("harness") / "results"


@pytest.fixture(scope="module")
def cells(root, home):
    return run(root, home, ["honest", "first-feature"], names=BOTH, repetitions=2)


@pytest.fixture(scope="module")
def gold(root):
    return loaded(root, "toy-gold")[0]


def test_every_cell_is_computed_once_with_all_controls(cells):
    methods = ["honest", "first-feature", *(control.name for control in CONTROLS)]
    expected = {(f"{task}@1", method, r) for task in BOTH for method in methods for r in range(2)}
    assert set(cells) == expected
    assert {cell.status for cell in cells.values()} == {"ok"}


@pytest.mark.parametrize(
    ("methods", "n_jobs"),
    [
        (["first-feature", "honest"], 1),
        (["honest"], 1),
        (["honest[tag=1]", "first-feature", "threads", "honest", "honest[tag=2]"], 1),
        (["honest", "first-feature"], 2),
        (["honest", "threads", "first-feature", "honest[tag=1]"], 3),
    ],
)
def test_neither_the_set_nor_the_order_of_methods_nor_the_processes_move_a_number(
    root, cells, tmp_path, methods, n_jobs
):
    others = run(root, tmp_path / "home", methods, names=BOTH, repetitions=2, n_jobs=n_jobs)
    shared = cells.keys() & others.keys()
    assert len(shared) >= 4 * (len(CONTROLS) + 1)
    for key in shared:
        assert same_arrays(cells[key].arrays, others[key].arrays), key


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_is_drawn_again_is_what_was_drawn(root, cells, tmp_path, monkeypatch, n_jobs):
    """A long run keeps the pairs of its first repetitions only, and draws others where it needs them."""
    monkeypatch.setattr(harness, "KEPT", 1)
    methods = ["honest", "first-feature"]
    others = run(root, tmp_path / "home", methods, names=BOTH, repetitions=2, n_jobs=n_jobs)
    assert others.keys() == cells.keys()
    assert all(same_arrays(cells[key].arrays, others[key].arrays) for key in cells)


def test_a_run_without_open_cells_of_methods_needs_no_workers(gold, tmp_path):
    chosen = entrants(MISBEHAVING, ["honest"])
    found = harness.run([gold], chosen, 1, 0, None, tmp_path, done=lambda task, method, repetition: method == "honest")
    assert {record.method for record in found} == {control.name for control in CONTROLS}


def test_metrics_are_computed_on_one_thread_and_the_threads_come_back():
    before = threadpool_info()
    assert before
    for _ in range(2):
        with harness.one_thread():
            assert {library["num_threads"] for library in threadpool_info()} == {1}
        assert threadpool_info() == before


def test_a_library_that_is_loaded_later_is_limited_too(monkeypatch):
    """Libraries are looked for again where a module was imported since."""
    with harness.one_thread():
        known = harness._libraries.cache_info().misses
    with harness.one_thread():
        assert harness._libraries.cache_info().misses == known
    monkeypatch.setitem(sys.modules, "one_more_module", sys)
    with harness.one_thread():
        assert harness._libraries.cache_info().misses == known + 1


def test_a_methods_name_and_parameters_are_in_no_seed(root, cells, tmp_path):
    """Two copies of one method draw the same numbers, in whatever cell."""
    others = run(root, tmp_path / "home", ["honest[tag=5]"], names=BOTH, repetitions=2)
    for (task, method, repetition), cell in others.items():
        if method == "honest[tag=5]":
            assert same_arrays(cell.arrays, cells[task, "honest", repetition].arrays)


def test_the_axes_of_all_streams_are_named_and_the_method_is_none_of_them(root, tmp_path, monkeypatch):
    axes = []

    def spy(root, purpose, **named):
        axes.append((purpose, frozenset(named)))
        return seed(root, purpose, **named)

    seed = seeds.seed
    monkeypatch.setattr(seeds, "seed", spy)
    run(root, tmp_path / "home", ["honest"], names=BOTH)
    assert set(axes) == {
        ("pairs", frozenset({"task", "repetition", "part"})),
        ("annotation", frozenset({"task", "repetition", "part"})),
        ("test-order", frozenset({"task", "repetition"})),
        ("method", frozenset({"task", "repetition"})),
        ("control", frozenset({"task", "repetition", "control"})),
    }


def test_the_same_command_writes_the_same_bytes(root, cells, home, tmp_path):
    run(root, tmp_path / "home", ["honest", "first-feature"], names=BOTH, repetitions=2)
    files = {path.relative_to(home) for path in home.rglob("*.npz")}
    assert len(files) == len(cells)
    assert files == {path.relative_to(tmp_path / "home") for path in (tmp_path / "home").rglob("*.npz")}
    for path in files:
        assert (home / path).read_bytes() == (tmp_path / "home" / path).read_bytes()


def test_another_root_seed_moves_what_is_drawn_and_nothing_else(root, cells, tmp_path):
    others = run(root, tmp_path / "home", ["honest", "first-feature"], names=BOTH, repetitions=2, seed=1)
    same = {key[1] for key in cells if same_arrays(cells[key].arrays, others[key].arrays)}
    assert same == {"first-feature", "length", "oracle", "embedding-norm"}
    assert all(cells[key].signature.replace("seed:0", "seed:1") == others[key].signature for key in cells)


def test_a_repetition_redraws_pairs_and_never_the_test_part(gold):
    first, second = settings(gold, 2)
    assert first.task.test is second.task.test
    assert not np.array_equal(first.test_order, second.test_order)
    pools = [_pool_rows(setting, "train") for setting in (first, second)]
    assert len(pools[0]) == len(pools[1])
    assert not np.array_equal(*pools)
    again = settings(gold, 1)[0]
    np.testing.assert_array_equal(pools[0], _pool_rows(again, "train"))


def _pool_rows(setting, part):
    drawn = setting._drawn[part]
    return np.column_stack([drawn.chosen, drawn.rejected])


def test_a_repetition_gives_a_method_another_random_stream(cells):
    """The pairs of toy-human are the same in every repetition: only the stream and the order differ."""
    first, second = (cells["toy-human@1", "honest", repetition].arrays["rewards"] for repetition in range(2))
    assert not np.allclose(first, second)


def test_training_pairs_are_the_drawn_pool_rows(gold):
    setting = settings(gold, 1)[0]
    pairs, matrix = setting.pairs, gold.embeddings.matrix.astype(np.float32)
    for given, part in ((pairs, "train"), (pairs.validation, "validation")):
        chosen, rejected = _pool_rows(setting, part).T
        np.testing.assert_array_equal(given.embeddings[given.chosen], matrix[chosen])
        np.testing.assert_array_equal(given.embeddings[given.rejected], matrix[rejected])
        np.testing.assert_array_equal(given.category, gold.pool.category[gold.pool.prompt[chosen]])
        assert (gold.pool.gold[chosen] > gold.pool.gold[rejected]).all()
        assert len(np.unique(given.embeddings, axis=0)) == len(given.embeddings)


def test_prompts_are_numbered_from_0_as_the_pairs_share_them(gold):
    setting = settings(gold, 1)[0]
    pool_prompts = gold.pool.prompt[_pool_rows(setting, "train")[:, 0]]
    numbers = setting.pairs.prompt
    assert set(numbers) == set(range(len(np.unique(pool_prompts))))
    assert len(set(zip(numbers.tolist(), pool_prompts.tolist(), strict=True))) == len(np.unique(pool_prompts))


@pytest.mark.parametrize("repetition", [0, 1])
@pytest.mark.parametrize("task", BOTH)
def test_rewards_are_put_back_into_pool_order(root, cells, task, repetition):
    card = loaded(root, task)[0]
    expected = card.embeddings.matrix[card.test.rows, 0].astype(np.float64)
    rewards = cells[f"{task}@1", "first-feature", repetition].arrays["rewards"]
    np.testing.assert_array_equal(rewards, expected, strict=True)


def test_the_oracle_is_the_ceiling(cells):
    for (_, method, _), cell in cells.items():
        if method == "oracle":
            for name in cell.arrays.keys() - {"rewards"}:
                value = metric(name).reduce(cell.arrays[name].sum(axis=0))
                assert np.isnan(value) or value == pytest.approx(metric(name).perfect, abs=1e-9)
    gold = cells["toy-gold@1", "oracle", 0].arrays
    assert gold["pair-accuracy"][:, 1].all()
    assert gold["best-of-4"][:, 1].all()


def test_controls_show_what_they_say(root, gold, cells):
    arrays = {control.name: cells["toy-gold@1", control.name, 0].arrays["rewards"] for control in CONTROLS}
    rows = gold.test.rows
    np.testing.assert_array_equal(arrays["length"], gold.pool.length[rows])
    np.testing.assert_array_equal(arrays["oracle"], gold.pool.gold[rows])
    norms = np.linalg.norm(gold.embeddings.matrix[rows].astype(np.float64), axis=1)
    np.testing.assert_allclose(arrays["embedding-norm"], norms, rtol=1e-5)


def test_controls_do_not_depend_on_methods(root, cells, tmp_path):
    alone = run(root, tmp_path / "home", [], names=BOTH, repetitions=2)
    assert {method for _, method, _ in alone} == {control.name for control in CONTROLS}
    for key, cell in alone.items():
        assert same_arrays(cell.arrays, cells[key].arrays)
        assert cell.kind == "control"


def test_random_controls_differ_between_repetitions_and_tasks(cells):
    for control in ("random", "shuffled-labels"):
        first, second = (cells["toy-gold@1", control, repetition].arrays["rewards"] for repetition in range(2))
        assert not np.array_equal(first, second)
    gold, human = (cells[f"{task}@1", "random", 0].arrays["rewards"] for task in BOTH)
    assert not np.array_equal(gold[:20], human[:20])


def test_cells_of_one_task_share_one_signature(cells):
    for task in BOTH:
        assert len({cell.signature for key, cell in cells.items() if key[0] == f"{task}@1"}) == 1


def test_facts_are_counts_of_what_was_handed_out(root, gold, cells):
    setting = settings(gold, 1)[0]
    facts = cells["toy-gold@1", "honest", 0].facts
    assert facts["n_train_pairs"] == len(setting.pairs)
    assert facts["n_validation_pairs"] == len(setting.pairs.validation)
    assert facts["n_train_prompts"] == len(np.unique(setting.pairs.prompt))
    assert facts["n_test_responses"] == len(cells["toy-gold@1", "honest", 0].arrays["rewards"])
    assert facts["annotator_agreement"] == 1
    assert cells["toy-human@1", "honest", 0].facts["annotator_agreement"] is None
    assert {"fit_seconds", "reward_seconds"} <= facts.keys()


def test_cells_are_written_as_they_finish_and_read_back_the_same(cells, home):
    read = {(cell.task, cell.method, cell.repetition): cell for cell in results.read_all(home)}
    assert read.keys() == cells.keys()
    assert all(same_arrays(read[key].arrays, cells[key].arrays) for key in cells)


def test_a_task_without_training_pairs_is_an_error_of_the_task(gold):
    flat = dataclasses.replace(gold.pool, gold=np.zeros_like(gold.pool.gold))
    source = dataclasses.replace(gold.tested, pool=flat)
    task = dataclasses.replace(gold, tested=source, training=source)
    with pytest.raises(TaskError, match="expected pairs in its train part, got none"):
        Setting(task, 0, 0).pairs  # noqa: B018


def test_a_pool_too_small_for_three_parts_is_an_error_of_the_task(gold):
    few = dataclasses.replace(gold.pool, prompt_id=gold.pool.prompt_id[:1])
    source = dataclasses.replace(gold.tested, pool=few)
    with pytest.raises(TaskError, match=r"task toy-gold@1: expected prompts in its \w+ part, got none"):
        Setting(dataclasses.replace(gold, tested=source, training=source), 0, 0).pairs  # noqa: B018


def test_the_executor_raises_an_error_of_the_task_and_ends(root, gold, tmp_path, monkeypatch):
    def broken(self, part, validation):
        raise TaskError(who="task", expected="pairs", got="none", do="mend it")

    monkeypatch.setattr(Setting, "_pairs", broken)
    jobs = [harness.Job(settings(gold, 1)[0], entrant) for entrant in entrants(MISBEHAVING, ["honest"])]
    with pytest.raises(TaskError, match="mend it"):
        list(executor(MISBEHAVING, [root]).run(jobs))


def test_pairs_of_a_worker_are_as_read_only_as_those_of_the_parent(gold):
    pairs = settings(gold, 1)[0].pairs
    assert isinstance(pairs, PreferencePairs)
    for given in (pairs, pairs.validation):
        for name in ("embeddings", "chosen", "rejected", "prompt", "category"):
            assert not getattr(given, name).flags.writeable
