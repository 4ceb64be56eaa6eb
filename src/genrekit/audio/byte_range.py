"""A part of a file, presented to FFmpeg as if it were an entire file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from functools import partial
from typing import IO, NamedTuple

_WINDOW_BYTES = 1 << 20


class ByteSpan(NamedTuple):
    """Bytes [first_byte, stop_byte) of a file, which are a complete stream.

    ``container`` is FFmpeg's name of its format, if its beginning does not show it.
    """

    first_byte: int
    stop_byte: int
    container: str | None = None


class ByteRange(io.RawIOBase):
    """A readable, seekable part of a file.

    FFmpeg takes the size of some formats' last packet (Monkey's Audio) from the size of the file.
    """

    def __init__(self, stream: IO[bytes], span: ByteSpan, suffix: str) -> None:
        """Show a span of an open file; the suffix helps FFmpeg to find the format."""
        self.name = f"audio{suffix}" if suffix.isascii() else "audio"
        self._stream = stream
        self._first, self._stop = span.first_byte, max(span.first_byte, span.stop_byte)
        stream.seek(self._first)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to size bytes of the part; all that is left where size is negative."""
        left = max(0, self._stop - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part and return it."""
        origin = {
            io.SEEK_SET: self._first,
            io.SEEK_CUR: self._stream.tell(),
            io.SEEK_END: self._stop,
        }
        return self._stream.seek(max(self._first, origin[whence] + offset)) - self._first

    def tell(self) -> int:
        """Return the place in the part."""
        return self._stream.tell() - self._first

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()


class AudioBytes:
    """The bytes of a file, which can be sliced and searched like bytes, in the memory of a window.

    They are not memory-mapped: truncating the file meanwhile would kill the process.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        """Look at an open file."""
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        self._window, self._first = b"", 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        self._show(start, stop)
        return self._window[start - self._first : stop - self._first]

    def read(self, start: int, n_bytes: int) -> bytes:
        """Return bytes from start on, without moving the window."""
        self._stream.seek(start)
        return self._stream.read(n_bytes)

    def _show(self, start: int, stop: int) -> None:
        """Move the window over bytes [start, stop)."""
        if not self._first <= start <= stop <= self._first + len(self._window):
            self._stream.seek(start)
            self._window = self._stream.read(max(_WINDOW_BYTES, stop - start))
            self._first = start

    def find(self, wanted: bytes, start: int = 0, stop: int | None = None) -> int:
        """Return where some bytes are found within [start, stop), or -1."""
        return self._scan(partial(self._find_in_window, wanted), len(wanted), start, stop)

    def search(
        self, pattern: re.Pattern[bytes], n_bytes: int, start: int = 0, stop: int | None = None
    ) -> int:
        """Return where a pattern of n_bytes is found within [start, stop), or -1."""

        def look(first: int, last: int) -> int:
            found = pattern.search(self._window, first, last)
            return found.start() if found else -1

        return self._scan(look, n_bytes, start, stop)

    def _scan(
        self, look: Callable[[int, int], int], n_bytes: int, start: int, stop: int | None
    ) -> int:
        """Move the window on until n_bytes are found in it; look takes places in the window."""
        stop = self._size if stop is None else min(stop, self._size)
        while start + n_bytes <= stop:
            self._show(start, start + n_bytes)
            at = look(start - self._first, stop - self._first)
            if at >= 0:
                return self._first + at
            end = self._first + len(self._window)
            if end < start + n_bytes:  # the file was cut meanwhile
                break
            start = end - n_bytes + 1
        return -1

    def _find_in_window(self, wanted: bytes, start: int, stop: int) -> int:
        """Look for two bytes first, which Python does ten times as fast as for more."""
        stop = min(stop, len(self._window))
        while (at := self._window.find(wanted[:2], start, stop)) >= 0:
            if self._window.startswith(wanted, at, stop):
                return at
            start = at + 1
        return -1
