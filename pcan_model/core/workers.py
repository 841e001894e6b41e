"""The same work for many items: in this process, in several, or on the machines of a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from pcan_model.core.errors import UserError
from pcan_model.core.fields import setting
from pcan_model.core.storage import fetch, fetched

Item = TypeVar("Item")
Result = TypeVar("Result")
RETRIES = 3  # times that Ray repeats an item whose worker or machine has died
WAITING = 16  # items that are handed to a cluster beyond those that it can work on


class WorkerError(UserError, RuntimeError):
    """A worker, or the cluster, has died too often."""


@dataclass(frozen=True, kw_only=True)  # without slots, since classes with them inherit it beside others
class WorkerOptions:
    """Where the items of a command are worked on."""

    jobs: int = setting(1, "number of processes, each with its own network", low=1)
    ray: str = setting(
        "", "address of a Ray cluster to work on, such as head:6379; auto: the one that this machine "
        "belongs to; local: one started here"
    )  # fmt: skip

    @property
    def alone(self) -> bool:
        """Return whether this process works by itself."""
        return self.jobs == 1 and not self.ray

    def each(
        self, work: Callable[[Item], Result], items: Sequence[Item], *, cpus: int = 1
    ) -> Iterator[tuple[Item, Result]]:
        """Yield every item with the result of `work`, in the order in which they are done.

        work   can be pickled, as can the items and results; it should cache what is expensive to load
        cpus   cores that an item occupies on a Ray cluster

        An exception of `work` is raised here, and ends the other work. Raises WorkerError if an item has
        killed its worker more than RETRIES times, and OSError if there is no cluster.
        """
        if self.ray:
            yield from _by_ray(work, items, self.ray, cpus)
        elif self.jobs == 1 or len(items) < 2:
            yield from ((item, work(item)) for item in items)
        else:
            yield from _by_processes(work, items, self.jobs)


def _by_processes(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[tuple[Item, Result]]:
    fresh = multiprocessing.get_context("spawn")  # threads of a runtime do not survive a fork
    with ProcessPoolExecutor(min(jobs, len(items)), fresh) as pool:
        pending = {pool.submit(work, item): item for item in items}
        try:
            while pending:
                for done in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(done), done.result()  # dropped, so that results do not accumulate
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _by_ray(
    work: Callable[[Item], Result], items: Sequence[Item], address: str, cpus: int
) -> Iterator[tuple[Item, Result]]:
    ray: Any = import_module("ray")
    with _cluster(ray, address):
        remote = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_call)
        shared, waiting = ray.put(work), iter(items)
        pending: dict[Any, Item] = {}
        while True:
            room = int(ray.cluster_resources().get("CPU", 1)) // cpus + WAITING - len(pending)
            pending |= {
                remote.remote(shared, fetched(), item): item for item in islice(waiting, max(0, room))
            }
            if not pending:
                return
            (done,), _ = ray.wait(list(pending))
            yield pending.pop(done), _result(ray, done)


def _call(work: Callable[[Item], Result], addresses: Sequence[str], item: Item) -> Result:
    """Work on an item, on a machine that may not have the files yet that the driver has downloaded."""
    for address in addresses:
        fetch(address)
    return work(item)


def _result(ray: Any, done: Any) -> Any:
    """Return the result of a task, or raise what it has raised."""
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except ray.exceptions.RayError as error:
        raise WorkerError(f"Ray: {str(error).strip().partition(chr(10))[0]}") from error


@contextmanager
def _cluster(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, unless this process already is."""
    if ray.is_initialized():
        yield
        return
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():  # Ray itself would wait for an unreachable one without end
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise WorkerError(f"--ray {address}: expected a cluster that can be reached: {error}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    ray.init(address, log_to_driver=False, logging_level="error")
    try:
        yield
    finally:
        ray.shutdown()
