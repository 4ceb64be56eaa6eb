"""A progress bar with the time left, on terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Advance(Protocol):
    """Called once for every step done."""

    def __call__(self, n_steps: int = 1) -> None: ...  # noqa: D102


@contextmanager
def progress(
    description: str, total: int | None, *, shown: bool = True, unit: str | None = None
) -> Iterator[Advance]:
    """Show a progress bar on standard error while the block runs, if that is a terminal.

    Args:
        description: what is being done.
        total: number of steps; None if unknown.
        shown: False shows nothing, whatever standard error is.
        unit: show how many of these are done, and how many per second.
    """
    if not (shown and sys.stderr.isatty()):
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    columns: list[Any] = [SpinnerColumn(), *Progress.get_default_columns()[:-1]]
    if unit:
        columns += [MofNCompleteColumn(), _speed_column(unit)]
    columns.append(TimeRemainingColumn())
    settings: dict[str, Any] = {"transient": True, "redirect_stdout": sys.stdout.isatty()}
    with Progress(*columns, console=Console(stderr=True), **settings) as bars:
        task = bars.add_task(description, total=total)

        def advance(n_steps: int = 1) -> None:
            bars.advance(task, n_steps)

        yield advance


def progress_of(description: str) -> Callable[[int], AbstractContextManager[Advance]]:
    """Return the progress of a batch job: called with the number of files, it shows a bar."""
    return lambda n_files: progress(description, n_files, unit="files")


def _speed_column(unit: str) -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} {unit}/s")

    return Speed()


def _ignore(n_steps: int = 1) -> None:
    del n_steps
