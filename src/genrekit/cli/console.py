"""How the verbs show results: bars, plain lines, tables, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genrekit.errors import naming
from genrekit.progress import progress as progress  # noqa: PLC0414 - the verbs show it, too
from genrekit.progress import progress_of as progress_of  # noqa: PLC0414

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BAR_WIDTH = 24
PIPE_WIDTH = 240  # a table that goes to a file or pipe is not broken at 80 columns


def stdout(stream: IO[str] | None = None) -> Console:
    """Return a console that neither wraps nor truncates long lines.

    Args:
        stream: where it writes; None is standard output.
    """
    from rich.console import Console

    result = Console(file=stream, highlight=False, soft_wrap=True)
    if not result.is_terminal and "COLUMNS" not in os.environ:
        result.width = PIPE_WIDTH
    return result


def bar(probability: float, width: int = BAR_WIDTH) -> str:
    """Return a bar of ``width`` characters for a probability.

    Blocks where standard output can show them, otherwise plain ASCII.

    >>> len(bar(0.3, width=10))
    10
    """
    full, empty = ("█", "░") if _shows("█░") else ("#", ".")
    n_full = round(min(max(probability, 0.0), 1.0) * width)
    return full * n_full + empty * (width - n_full)


def _shows(characters: str) -> bool:
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def printable(text: str) -> str:
    r"""Return text that is safe to print on a terminal: control characters are escaped.

    >>> print(printable("a\x1b[31m.mp3"))
    a\x1b[31m.mp3
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def local(text: str) -> str:
    """Return printable text; a path it begins with is made relative to the current folder."""
    with suppress(OSError):  # a folder that is gone
        here = str(Path.cwd().joinpath("_"))[:-1]
        text = text.removeprefix(here) if len(here) > 1 else text
    return printable(text)


def say(line: str) -> None:
    """Write a line to standard error, so that it is not part of the result."""
    import typer

    typer.echo(line, err=True)


def warn(sentence: str) -> None:
    """Write a warning to standard error; the sentence may begin with a path."""
    say(f"genrekit: {local(sentence)}")


def complain(path: str, reason: str, *, as_given: bool = False) -> None:
    """Name a file and what is wrong with it on standard error.

    Args:
        path: the file.
        reason: what is wrong; it may name the file itself.
        as_given: show the path as the user gave it, not relative to the current folder.
    """
    sentence = naming(path, reason)
    say(f"genrekit: {printable(sentence) if as_given else local(sentence)}")


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str | None = None,
    n_whole: int = 0,
) -> Table:
    """Return a plain table; columns that hold only numbers are right-aligned.

    However narrow the console, the cells of the first ``n_whole`` columns stay on one line.
    """
    from rich.markup import escape
    from rich.table import Table

    result = Table(title=title, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for index, header in enumerate(headers):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        width = max(map(len, [header, *(row[index] for row in rows)])) if index < n_whole else None
        result.add_column(
            header, justify="right" if numeric else "left", overflow="fold", min_width=width
        )
    for row in rows:
        result.add_row(*(escape(cell) for cell in row))
    return result


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace("%", "").replace(",", ""))
    except ValueError:
        return False
    return True
