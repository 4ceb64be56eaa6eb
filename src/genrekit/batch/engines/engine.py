"""What an engine is: the one interface that the local processes and Ray implement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from genrekit.workers import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")
# The position of a block among those given, and what became of its items, in their order.
Answer = tuple[int, list[Result | Failure[Item]]]


class Workers(Protocol):
    """Workers that are ready, or start with the first block."""

    def map(self, blocks: Iterable[Sequence[Any]]) -> Iterator[Answer[Any, Any]]:
        """Work on blocks; a bad item fails alone.

        Args:
            blocks: none of them empty.

        Yields:
            Every block once, as soon as all of its items are done; not in the order of blocks.

        Raises:
            GenrekitError: the workers cannot start.
        """
        ...


class Engine(Protocol):
    """A way to work on many items."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def block_items(self) -> int:
        """Items to a block where whoever asks does not mind: few come early, many cheaply."""
        ...

    @property
    def map_items(self) -> int:
        """Items that one map should be given, so that starting it costs little beside them."""
        ...

    def workers(
        self,
        start: Callable[[], Callable[[Any], Any]],
        *,
        item_seconds: float,
        memory_bytes: int | None = None,
    ) -> AbstractContextManager[Workers]:
        """Return workers, which end with the context.

        Args:
            start: as for ``genrekit.workers.Pool``: picklable, called once in each worker.
            item_seconds: an item that takes longer fails and its worker is killed.
            memory_bytes: an item whose worker grows beyond fails and its worker is killed.
        """
        ...
