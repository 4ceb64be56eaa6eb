"""The Ray engine: a streaming Ray Data pipeline over an actor for each worker.

An actor loads nothing itself: it has one killable child process (``genrekit.workers``), which does
what a local worker does, with the same deadline and memory limit. Decoding, front end and network
stay in one stage, because moving a waveform through the object store costs more than what it feeds.
Ray holds back blocks while the actors are busy, and gives those of a lost node to another one.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from genrekit import extras
from genrekit.batch.engines import BlockResult, Limits, Start, Workers
from genrekit.errors import GenrekitError
from genrekit.workers import Pool

# Ray sends usage data home unless this is set before it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Future versions of Ray leave the driver's choice of GPUs alone; today's warns at every start.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import pyarrow as pa
    import ray
    import ray.data
    from ray.exceptions import RayError
except ImportError as error:
    raise GenrekitError(extras.sentence("--engine ray", error.name or "ray", "ray")) from error

CONNECT_SECONDS = 10.0
_BLOCKS_AHEAD = 2  # blocks that wait at an actor, so that it is never idle between two


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster, or Ray on this machine alone.

    Attributes:
        jobs: actors; None is one for each of the cluster's CPUs.
        address: "auto", HOST:PORT, or None for this machine alone.
        gpus_per_job: the share of a GPU that each actor reserves.
    """

    jobs: int | None = None
    address: str | None = None
    gpus_per_job: float = 0.0
    block_items: int = 32
    map_items: int = 50_000

    @contextmanager
    def workers(self, start: Start, limits: Limits) -> Iterator[Workers]:
        """Return workers; see ``Engine.workers``.

        Raises:
            GenrekitError: no cluster answers at the address, or Ray cannot start here.
        """
        with _connected(self.address, self.jobs):
            arguments = (pickle.dumps(start), limits.item_seconds, limits.memory_bytes)
            n_actors = self.jobs or max(1, int(cast(Any, ray).cluster_resources().get("CPU", 1)))
            yield _RayWorkers(arguments, n_actors, self.gpus_per_job)


@contextmanager
def _connected(address: str | None, jobs: int | None) -> Iterator[None]:
    """Connect to a cluster; Ray of this machine alone is stopped when the block ends."""
    if ray.is_initialized():  # by the calling program, which stops it
        yield
        return
    _set_quiet()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        try:
            ray.init(num_cpus=jobs, include_dashboard=False, **quiet)
        except OSError as error:  # such as its access token in a home that is read-only
            raise GenrekitError(
                f"Ray cannot start here: {error}; it writes to the home folder: set HOME to one "
                "that can be written, or leave out --engine ray"
            ) from error
    else:
        _check_port(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            raise _unreachable(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_port(address: str) -> None:
    """Find out quickly whether the port is open, since Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto" or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> GenrekitError:
    reason = " ".join(str(error).split()).partition(". ")[0]
    return GenrekitError(
        f"no Ray cluster answers at {address!r} ({reason}); start one by 'ray start --head', give "
        "its HOST:PORT, or leave --ray-address out to use this machine alone"
    )


def _set_quiet() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


class _Actor:
    """One killable child process on the cluster, which processes a block's items."""

    def __init__(self, start: bytes, item_seconds: float, memory_bytes: int | None) -> None:
        self._pool: Pool[Any, Any] = Pool(
            pickle.loads(start),  # noqa: S301 - the driver's own bytes
            1,
            item_seconds=item_seconds,
            memory_bytes=memory_bytes,
        )

    def __call__(self, table: pa.Table) -> pa.Table:
        results = [self._process(block) for block in table.column("block").to_pylist()]
        return pa.table(
            {"index": table.column("index"), "results": pa.array(results, pa.large_binary())}
        )

    def _process(self, block: bytes) -> bytes:
        try:
            return pickle.dumps(list(self._pool.map(pickle.loads(block))))  # noqa: S301
        except GenrekitError as error:  # it cannot start, and the driver raises why
            return pickle.dumps(error)


@dataclass(frozen=True)
class _RayWorkers:
    arguments: tuple[bytes, float, int | None]
    n_actors: int
    gpus_per_job: float

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[BlockResult[Any, Any]]:
        rows = [
            {"index": index, "block": pickle.dumps(list(block))}
            for index, block in enumerate(blocks)
        ]
        if not rows:
            return
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=self.arguments,
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                size=min(self.n_actors, len(rows)), max_tasks_in_flight_per_actor=_BLOCKS_AHEAD
            ),
            num_cpus=1,
            num_gpus=self.gpus_per_job or None,
        )
        try:
            for table in done.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in cast(pa.Table, table).to_pylist():
                    results = pickle.loads(row["results"])  # noqa: S301 - our own actor's bytes
                    if isinstance(results, GenrekitError):
                        raise results
                    yield row["index"], results
        except RayError as error:
            reason = " ".join(str(error).split())[-300:]
            raise GenrekitError(
                f"the Ray cluster failed ({type(error).__name__}: {reason}); what is done stays "
                "done: run the same command again"
            ) from error
