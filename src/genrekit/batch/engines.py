"""Where items are processed: in this process, in processes of this machine, or on a Ray cluster.

An engine maps a function over blocks of items and gives each block back once it is done. The caller
does not know which engine works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from genrekit import workers
from genrekit.errors import GenrekitError
from genrekit.workers import Failure, Pool

Item = TypeVar("Item")
Result = TypeVar("Result")
Start = Callable[[], Callable[[Any], Any]]
# The position of a block among those given, and the result of each of its items, in their order.
BlockResult = tuple[int, list[Result | Failure[Item]]]


@dataclass(frozen=True)
class Limits:
    """What one worker may take.

    Attributes:
        item_seconds: an item that takes longer fails and its worker is killed.
        memory_bytes: an item whose worker grows beyond fails and its worker is killed.
        niceness: the nice value of the workers, from 0 to 19; ignored where the system has none.
    """

    item_seconds: float = 600.0
    memory_bytes: int | None = 2 << 30
    niceness: int = 0


class Workers(Protocol):
    """Workers that are ready, or start with the first block."""

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[BlockResult[Any, Any]]:
        """Process blocks; a bad item fails alone.

        Args:
            blocks: none of them empty.

        Yields:
            Every block once, as soon as all of its items are done; not in the order of blocks.

        Raises:
            GenrekitError: the workers cannot start.
        """


class Engine(Protocol):
    """A way to process many items."""

    @property
    def block_items(self) -> int:
        """Items of a block where the caller has no preference."""

    @property
    def map_items(self) -> int:
        """Items that one map should be given, so that starting it costs little beside them."""

    def workers(self, start: Start, limits: Limits) -> AbstractContextManager[Workers]:
        """Return workers, which end with the context.

        Args:
            start: as for ``genrekit.workers.Pool``: picklable, called once in each worker.
            limits: what each of them may take; niceness is the caller's business.
        """


@dataclass(frozen=True)
class InProcessEngine:
    """Processes one item after another in this process, without limits: for a few items."""

    block_items: int = 1
    map_items: int = 64

    @contextmanager
    def workers(self, start: Start, limits: Limits) -> Iterator[Workers]:
        """Return workers; see ``Engine.workers``."""
        del limits
        yield _InProcessWorkers(start())


@dataclass(frozen=True)
class _InProcessWorkers:
    function: Callable[[Any], Any]

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[BlockResult[Any, Any]]:
        for index, block in enumerate(blocks):
            yield index, [self._process(item) for item in block]

    def _process(self, item: Any) -> Any:
        try:
            return self.function(item)
        except (GenrekitError, OSError) as error:
            return Failure(item, " ".join(str(error).split()))


@dataclass(frozen=True)
class LocalEngine:
    """Killable processes of this machine.

    Attributes:
        jobs: worker processes; None is one a core.
    """

    jobs: int | None = None
    block_items: int = 1
    map_items: int = 64

    @contextmanager
    def workers(self, start: Start, limits: Limits) -> Iterator[Workers]:
        """Return workers; see ``Engine.workers``."""
        with Pool(
            partial(_start_placed, start),
            self.jobs or workers.n_cores(),
            item_seconds=limits.item_seconds,
            memory_bytes=limits.memory_bytes,
        ) as pool:
            yield _LocalWorkers(pool)


class _Placed(NamedTuple):
    """An item or a result: which block it belongs to, and its position in it."""

    block: int
    position: int
    value: Any


def _start_placed(start: Start) -> Callable[[_Placed], _Placed]:
    function = start()
    return lambda item: item._replace(value=function(item.value))


@dataclass(frozen=True)
class _LocalWorkers:
    pool: Pool[_Placed, _Placed]

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[BlockResult[Any, Any]]:
        unfinished: dict[int, tuple[list[Any], int]] = {}  # results, and how many are missing

        def items() -> Iterator[_Placed]:
            for index, block in enumerate(blocks):
                unfinished[index] = ([None] * len(block), len(block))
                for position, item in enumerate(block):
                    yield _Placed(index, position, item)

        for result in self.pool.map(items(), in_order=False):
            if isinstance(result, Failure):
                placed = result.item
                value: Any = Failure(placed.value, result.message, result.reason)
            else:
                placed, value = result, result.value
            results, n_missing = unfinished[placed.block]
            results[placed.position] = value
            unfinished[placed.block] = (results, n_missing - 1)
            if n_missing == 1:
                del unfinished[placed.block]
                yield placed.block, results
