"""Run jobs on the workers of a Dask cluster; each Dask worker runs a cell as a local run does, in a forked process.

What a parcel needs is looked for there and sent only if it is absent. A Dask worker whose packages or code would give
other numbers is refused. Whoever may submit to a scheduler may run any code on its workers: Dask has no other guard.
"""

from __future__ import annotations

import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from rmsuite import parcels, worker
from rmsuite.errors import ClusterError, describe
from rmsuite.parcels import Movable
from rmsuite.policy_worker import PolicyJob
from rmsuite.sites import Absent, Order, Unlike, end, run_cell
from rmsuite.worker import Outcome

J = TypeVar("J", bound=Movable | PolicyJob)
ATTEMPTS = 3  # to run a cell whose future the cluster loses
CONNECT = 20  # seconds to wait for a scheduler


@dataclass(frozen=True)
class Dask:
    """The workers of a Dask cluster, however many there are at a time."""

    address: str
    order: Order

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """Yield each job with its outcome, in the order in which they finish.

        Raises
        ------
        ClusterError
            If there is no scheduler at the address, or none any more, or a Dask worker would give other numbers.
        """
        with self.started() as run:
            yield from run.run(jobs)

    @contextlib.contextmanager
    def started(self) -> Iterator[_Run]:
        """Connect, for jobs that are run one lot after another; raises as ``run`` does."""
        with _client(self.address) as client:
            order = replace(self.order, name=uuid.uuid4().hex)
            try:
                yield _Run(client, order)
            finally:
                with contextlib.suppress(Exception):  # the cluster may be gone, and the run has its results
                    client.run(end, order.name, on_error="ignore")


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError as error:
        do = "install rmsuite[dask], or choose another --executor"
        raise ClusterError(who="--executor dask", expected="the package distributed", got=str(error), do=do) from None
    try:
        get_address_host_port(address)  # a client takes long to leave a bad one
        client = Client(address, timeout=CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        expected, do = "the address of a running Dask scheduler, as tcp://HOST:8786", "start one with `dask scheduler`"
        got = str(error) or type(error).__name__
        raise ClusterError(who=f"--address {address}", expected=expected, got=got, do=do) from None
    with client:
        yield client


@dataclass
class _Sent:
    """A job that is with the cluster, its parcel, and how often the cluster lost it."""

    job: Any
    parcel: bytes
    lost: int = 0


class _Run:
    """One run on a cluster: what is with it, and the embedding sets that were sent."""

    def __init__(self, client: Any, order: Order) -> None:
        from distributed import as_completed

        self._client: Any = client
        self._order = order
        self._open: dict[Any, _Sent] = {}
        self._data: dict[str, Any] = {}
        self._done: Any = as_completed(loop=client.loop)  # type: ignore[no-untyped-call]

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        jobs = iter(jobs)
        yield from self._fill(jobs)
        while self._open:
            future = next(self._done)
            sent = self._open.pop(future)
            outcome = self._outcome(sent, future)
            if outcome is not None:
                yield sent.job, outcome
            yield from self._fill(jobs)

    def _fill(self, jobs: Iterator[J]) -> Iterator[tuple[J, Outcome]]:
        """Submit jobs until each thread of the cluster has one and one that waits; yield those that cannot be sent."""
        while len(self._open) < 2 * max(self._n_threads(), 1):
            job = next(jobs, None)
            if job is None:
                return
            try:
                self._submit(_Sent(job, parcels.packed(job)))
            except Exception as error:  # noqa: BLE001 -- a method that cannot be sent costs its own cells
                yield job, worker.broken(error)

    def _n_threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except OSError as error:
            expected = "a Dask scheduler until the end of the run"
            do = "start one, and type the same command with its address: finished cells stay"
            raise ClusterError(who="--executor dask", expected=expected, got=describe(error), do=do) from None

    def _submit(self, sent: _Sent) -> None:
        data = {one.sha256: self._data[one.sha256] for one in sent.job.embedding_sets if one.sha256 in self._data}
        future = self._submitted(f"cell-{uuid.uuid4().hex}", run_cell, self._order, sent.parcel, data)
        self._open[future] = sent
        self._done.add(future)

    def _outcome(self, sent: _Sent, future: Any) -> Outcome | None:
        """Return what became of a job; None if it was submitted again."""
        if future.status == "finished":
            return self._answer(sent, future.result())
        if future.status == "error":
            return Outcome(phase="worker", error=_reason(future.exception()))
        return self._again(replace(sent, lost=sent.lost + 1))

    def _answer(self, sent: _Sent, answer: Outcome | Absent | Unlike) -> Outcome | None:
        if isinstance(answer, Unlike):
            expected, do = "the packages and the code of this machine", "install the same on all machines"
            raise ClusterError(who=f"Dask worker on {answer.host}", expected=expected, got=answer.differences, do=do)
        if isinstance(answer, Absent):
            self._send(sent.job, answer.sha256)
            return self._again(sent)
        return answer

    def _again(self, sent: _Sent) -> Outcome | None:
        if sent.lost >= ATTEMPTS:
            return Outcome(phase="worker", error=f"the Dask cluster lost the cell {sent.lost} times")
        self._submit(sent)
        return None

    def _send(self, job: Movable | PolicyJob, sha256: str) -> None:
        """Send an embedding set, once: Dask hands it on from there, also to workers that come later."""
        if sha256 in self._data:
            return
        found = next(one for one in job.embedding_sets if one.sha256 == sha256)
        matrix = np.asarray(found.matrix[np.arange(len(found.matrix))])
        self._data[sha256] = self._submitted(f"embeddings-{sha256}", _itself, matrix)

    def _submitted(self, name: str, function: Callable[..., Any], *given: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # it is as large as it has to be
            return self._client.submit(function, *given, pure=False, key=f"rmsuite-{name}")


def _reason(error: BaseException) -> str:
    killed = type(error).__name__ == "KilledWorker"  # whose words name a random key
    return "each Dask worker that ran it died" if killed else f"the Dask worker failed: {describe(error)}"


def _itself(matrix: np.ndarray) -> np.ndarray:
    return matrix
