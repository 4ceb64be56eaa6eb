"""The local engine: killable processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from genrekit import workers
from genrekit.batch.engines.engine import Answer, Workers
from genrekit.workers import Failure, Pool


@dataclass(frozen=True)
class Local:
    """Work in processes of this machine.

    Attributes:
        jobs: worker processes; None is one a core.
    """

    jobs: int | None = None
    name: str = "local"
    block_items: int = 1
    map_items: int = 64

    @contextmanager
    def workers(
        self,
        start: Callable[[], Callable[[Any], Any]],
        *,
        item_seconds: float,
        memory_bytes: int | None = None,
    ) -> Iterator[Workers]:
        """Return workers; see ``Engine.workers``."""
        with Pool(
            partial(_keep_place, start),
            self.jobs or workers.n_cores(),
            item_seconds=item_seconds,
            memory_bytes=memory_bytes,
        ) as pool:
            yield _LocalWorkers(pool)


@dataclass(frozen=True)
class _Placed:
    """An item or a result: which block it belongs to, and where in it."""

    block: int
    position: int
    thing: Any


def _keep_place(start: Callable[[], Callable[[Any], Any]]) -> Callable[[_Placed], _Placed]:
    function = start()
    return lambda item: _Placed(item.block, item.position, function(item.thing))


@dataclass(frozen=True)
class _LocalWorkers:
    pool: Pool[_Placed, _Placed]

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[Answer[Any, Any]]:
        unfinished: dict[int, tuple[list[Any], int]] = {}  # results, and how many are missing

        def items() -> Iterator[_Placed]:
            for index, block in enumerate(blocks):
                unfinished[index] = ([None] * len(block), len(block))
                for position, item in enumerate(block):
                    yield _Placed(index, position, item)

        for result in self.pool.map(items(), in_order=False):
            place = result.item if isinstance(result, Failure) else result
            results, n_missing = unfinished[place.block]
            results[place.position] = (
                Failure(place.thing, result.message, result.reason)
                if isinstance(result, Failure)
                else result.thing
            )
            if n_missing == 1:
                del unfinished[place.block]
                yield place.block, results
            else:
                unfinished[place.block] = (results, n_missing - 1)
