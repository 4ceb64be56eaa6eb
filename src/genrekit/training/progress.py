"""A progress bar with the time left, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def bar() -> Progress:
    """Return a bar on standard error that shows nothing where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def steps(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs; call what it yields once a step."""
    with bar() as shown:
        task = shown.add_task(title, total=total)
        yield lambda: shown.advance(task)
