"""CSV tables: UTF-8, one line per row, no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from genrekit.files import write_beside

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
WriteRow = Callable[[Iterable[Any]], Any]


def csv_rows(stream: IO[str]) -> WriteRow:
    r"""Return the function that writes one row of cells to a stream.

    A text that begins like a formula is prefixed with an apostrophe; numbers are unchanged.

    >>> import sys
    >>> n_characters = csv_rows(sys.stdout)(["=1+1", "a=b", -1, None])
    '=1+1,a=b,-1,
    """
    writer = csv.writer(_Lines(stream), lineterminator="\r\n")
    return lambda cells: writer.writerow(map(_harmless, cells))


class _Lines:
    """Ends rows with a line feed only; csv quotes only the characters of its own line end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


@contextmanager
def csv_file(path: Path, errors: str = "backslashreplace") -> Iterator[WriteRow]:
    r"""Open a table to write row by row; it appears when the block succeeds.

    Args:
        path: the file; its folder is created if it is missing.
        errors: how to encode bytes of a file name that are not text; by default ``\udcXX``.

    Raises:
        OSError: the file cannot be written.
    """
    with write_beside(path) as binary, utf8_text(binary, errors) as stream:
        yield csv_rows(stream)


@contextmanager
def utf8_text(binary: IO[bytes], errors: str = "backslashreplace") -> Iterator[IO[str]]:
    """Wrap a binary stream for UTF-8 text without translating line ends; it stays open."""
    stream = io.TextIOWrapper(binary, "utf-8", errors, newline="")
    yield stream
    stream.detach()  # flushes; write_beside closes the binary stream


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
