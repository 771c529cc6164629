"""Large embeddings are mapped and sent in blocks, with the same results and no other row. Large tasks rely on it."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
from plugin_files import METHOD, OFFER, write
from running import loaded, run

from rmsuite import arrays, handover
from rmsuite.setting import Setting

STATING = '''

class Stating(Mean):
    """Says everything that a method may say, and tells what it was handed."""

    def fit(self, pairs, *, rng):
        import os
        both = [pairs.embeddings, pairs.validation.embeddings]
        home = both[0]
        while home is not None and not hasattr(home, "filename"):
            home = getattr(home, "base", None)
        print("types", *[array.dtype for array in both], "writable", any(a.flags.writeable for a in both))
        print("files", sorted(os.listdir(os.path.dirname(home.filename))) if home is not None else [])
        return super().fit(pairs, rng=rng)

    def reward(self, embeddings):
        print("block", *embeddings.shape, embeddings.dtype)
        return super().reward(embeddings)

    def uncertainty(self, embeddings):
        return np.abs(self.reward(embeddings))

    def probability(self, embeddings, first, second):
        rewards = self.reward(embeddings)
        return 1 / (1 + np.exp(rewards[second] - rewards[first]))
'''


@pytest.fixture
def stating(tmp_path):
    text = METHOD.replace("import rmsuite", "import numpy as np\nimport rmsuite", 1) + STATING
    return write(tmp_path / "stating.py", text + OFFER.format(names=["stating"]).replace("make=Mean", "make=Stating"))


def cells(toy_root, tmp_path, stating, name):
    return run(toy_root, tmp_path / name, ["stating"], plugin=stating, names=("toy-gold", "toy-human"))


def test_large_embeddings_give_the_results_that_small_ones_do(toy_root, tmp_path, stating, monkeypatch):
    small = cells(toy_root, tmp_path, stating, "small")
    monkeypatch.setattr(arrays, "LARGE", 100)
    monkeypatch.setattr(arrays, "BLOCK", 4 * 8 * 7)  # seven rows
    large = cells(toy_root, tmp_path, stating, "large")
    assert small.keys() == large.keys()
    for key, cell in small.items():
        assert cell.status == large[key].status == "ok", large[key].error
        assert cell.arrays.keys() == large[key].arrays.keys()
        for name in ("rewards", "uncertainty", "probability"):
            if name in cell.arrays:
                np.testing.assert_allclose(large[key].arrays[name], cell.arrays[name], rtol=1e-4, atol=1e-5)
    output = large["toy-gold@1", "stating", 0].output
    assert "types float16 float16 writable False\nfiles ['train.rows', 'validation.rows']\n" in output
    assert "block 7 8 float32" in output


def test_a_file_that_is_handed_over_holds_the_rows_in_use_only_and_goes_with_the_setting(toy_root, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 100)
    (task,) = loaded(toy_root, "toy-gold")
    setting = Setting(task, 0, 0)
    pairs = setting.pairs
    used = np.unique(np.concatenate([setting._drawn["train"].chosen, setting._drawn["train"].rejected]))
    np.testing.assert_array_equal(pairs.embeddings, task.embeddings.matrix[used])
    folder = setting._folder
    assert {path.name for path in folder.iterdir()} == {"train.rows", "validation.rows"}
    assert (folder / "train.rows").stat().st_size == pairs.embeddings.nbytes
    assert not np.isin(used, task.test.rows).any()
    del setting
    gc.collect()
    assert not folder.exists()


def test_only_files_that_were_handed_over_are_sent_by_name(tmp_path):
    matrix = np.arange(12, dtype=np.float32).reshape(6, 2)
    mapped = arrays.frozen(np.asarray(handover.written(tmp_path / f"x{handover.SUFFIX}", matrix, np.array([4, 1]))))
    function, arguments = handover.reduced(mapped)
    np.testing.assert_array_equal(function(*arguments), matrix[[4, 1]])
    np.save(tmp_path / "pool.npy", matrix)
    others = [np.load(tmp_path / "pool.npy", mmap_mode="r"), mapped[:1], matrix, np.array(["a"], object)]
    for array in others:
        assert handover.reduced(array)[0] is not handover.opened
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(array, 5)), array)


@pytest.mark.parametrize(("n", "n_features"), [(0, 3), (1, 3), (10, 3), (1000, 100)])
def test_slices_cover_every_row_once(n, n_features, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 4000)
    monkeypatch.setattr(arrays, "BLOCK", 1000)
    slices = list(arrays.row_slices(n, n_features))
    assert [row for part in slices for row in range(part.start, part.stop)] == list(range(n))
    assert (len(slices) > 1) == arrays.is_large(n, n_features)
