"""What is sent to a Dask worker, and what it keeps. Who shares machines with others relies on it that this goes."""

from __future__ import annotations

import gc
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from running import loaded
from test_clusters import entered, ordered

from rmsuite import handover, parcels, sites
from rmsuite.cells import STOPPED
from rmsuite.harness import Job
from rmsuite.setting import Setting


def test_a_dask_worker_keeps_nothing_of_a_run_that_has_ended_or_was_killed(toy_root, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(sites, "IDLE", 0)  # seconds
    left = Path(tempfile.mkdtemp(prefix=handover.PREFIX), "large.rows")
    left.touch()
    catalogue, entrants = entered(["honest"])
    order, (task,) = ordered(catalogue, entrants, toy_root), loaded(toy_root, "toy-gold")
    parcel = parcels.packed(Job(Setting(task, 0, 0), entrants[0]))

    def outcome(name):
        return sites.run_cell(replace(order, name=name), parcel, {})

    first = outcome("one")  # whose end is never told
    assert (first.error, left.exists()) == ("", False)
    homes = {*folder.glob("rmsuite-plugins-*")}
    np.testing.assert_array_equal(outcome("two").rewards, first.rewards)
    assert len(homes) == 1
    assert homes.isdisjoint(folder.iterdir())
    sites._end_now("two")
    gc.collect()
    assert not list(folder.iterdir())
    assert outcome("two").error == STOPPED


def test_large_rows_stay_on_a_dask_workers_disk_for_the_cells_that_use_them_and_some_that_follow(toy_root, monkeypatch):
    monkeypatch.setattr(handover, "is_large", lambda *shape: True)
    catalogue, entrants = entered(["honest"])
    site = sites._Site(ordered(catalogue, entrants, toy_root))
    matrix, rows = np.arange(24.0).reshape(8, 3), np.arange(4)
    used = site.hand(matrix, rows, "used")
    paths = [Path(site.hand(matrix, rows + number % 4, str(number)).filename) for number in range(9)]
    assert [path.exists() for path in paths] == [False] * (9 - sites.KEPT) + [True] * sites.KEPT
    again = site.hand(matrix, rows, "0")
    np.testing.assert_array_equal(again, matrix[:4])
    assert site.hand(matrix, rows, "0") is again
    assert site.hand(matrix, rows, "used") is used
    assert Path(used.filename).exists()
    site.close()


def test_a_parcel_holds_rows_by_number_and_opens_to_what_a_local_worker_gets(toy_root):
    (task,) = loaded(toy_root, "toy-gold")
    _, (entrant,) = entered(["honest"])
    job = Job(Setting(task, 0, 1), entrant)
    data = parcels.packed(job)
    embeddings = task.embeddings.matrix

    def hand(matrix, rows, name):
        return handover.handed(matrix, rows, lambda: Path(os.devnull))

    parcel = parcels.opened(data, lambda sha256, home: embeddings, hand)
    for mine, theirs in ((parcel.pairs, job.pairs), (parcel.pairs.validation, job.pairs.validation)):
        for name in ("embeddings", "chosen", "rejected", "prompt", "category"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), strict=True)
        assert not mine.embeddings.flags.writeable
    np.testing.assert_array_equal(parcel.test_embeddings, job.test_embeddings, strict=True)
    np.testing.assert_array_equal(parcel.asked_pairs, job.asked_pairs)
    assert parcel.seed == job.seed
    assert job.pairs.embeddings.tobytes()[:64] not in data
    assert job.test_embeddings.tobytes()[:64] not in data
