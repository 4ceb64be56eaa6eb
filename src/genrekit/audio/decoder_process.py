"""The process in which FFmpeg decodes, so that a crash there costs one file: what it does.

Requests come on standard input, results go to standard output, as process_messages.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.packet_hash import hash_packets
from genrekit.audio.process_messages import ARRAY, receive, send
from genrekit.audio.pyav_reader import PyavReader
from genrekit.audio.readers import DecodeError

_MEMORY_BYTES = 200 << 20  # what a file may need beside its own size
ATTRIBUTES = ("sample_rate", "n_channels", "channel_names", "container_name", "claimed_samples")
METHODS = frozenset({"seek", "read", "read_end", "count_end"})


def main() -> None:
    """Live as a decoder process, until the other side closes its end."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # what C libraries print must not come between the answers
    requests: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    # A thread waits for requests, so that the end of the parent ends even a busy process.
    threading.Thread(target=_wait, args=(sys.stdin.buffer, requests), daemon=True).start()
    worker = _Decoder()
    while True:
        send(answers, *worker.answer(requests.get()))


def _wait(stream: IO[bytes], requests: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    while True:
        try:
            requests.put(receive(stream))
        except (EOFError, OSError):
            os._exit(0)


class _Decoder:
    """Answers requests: about one open file, or for a digest."""

    def __init__(self) -> None:
        self._reader: Any = None

    def answer(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        name, arguments = request
        try:
            found = self._do(name, arguments)
        except MemoryError:
            return "memory", "it needs more memory than a file may", 0
        except DecodeError as error:
            return "DecodeError", error.args, 0
        except OSError as error:  # or one of its kinds, such as PermissionError
            return "OSError", error.args, 0
        except Exception as error:
            return "DecodeError", (f"failed unexpectedly: {type(error).__name__}: {error}",), 0
        kind = ARRAY if isinstance(found, np.ndarray) else "value"
        return kind, found, getattr(self._reader, "n_damaged", 0)

    def _do(self, name: str, arguments: list[Any]) -> Any:
        if name in METHODS:
            return getattr(self._reader, name)(*arguments)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if name == "open":
            path, span = Path(arguments[0]), arguments[1]
            limit_memory(path)
            self._reader = PyavReader(path, ByteSpan(*span) if span else None)
            return {name: getattr(self._reader, name) for name in ATTRIBUTES}
        if name == "digest":
            limit_memory(Path(arguments[0]))
            return hash_packets(Path(arguments[0]))
        return None


def limit_memory(path: Path) -> None:
    """Let this process take a bounded amount more than it has now, where the system can do so."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    with suppress(OSError, ValueError, IndexError):
        n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        allowed = n_pages * resource.getpagesize() + _MEMORY_BYTES + path.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.RLIM_INFINITY))
