"""The process in which FFmpeg decodes, so that a crash there costs one file: what it does.

Requests come on standard input, answers go to standard output, each a length and a pickle.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from genrekit.audio.packet_hash import hash_packets
from genrekit.audio.pyav_reader import PyavReader
from genrekit.audio.readers import DecodeError

_LENGTH = struct.Struct("<Q")
_MEMORY_BYTES = 200 << 20  # what a file may need beside its own size
ATTRIBUTES = ("sample_rate", "n_channels", "channel_names", "container_name", "claimed_samples")
METHODS = frozenset({"seek", "read", "read_end", "count_end"})


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message; an array goes behind it as it lies in memory.

    Raises:
        OSError: the other side is gone.
    """
    kind, payload, *rest = message
    array = payload if isinstance(payload, np.ndarray) else None
    data = pickle.dumps((kind, payload if array is None else array.shape, *rest))
    stream.write(_LENGTH.pack(len(data)) + data)
    if array is not None:
        stream.write(np.ascontiguousarray(array).data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a message.

    Raises:
        EOFError: the other side is gone.
    """
    data = _exactly(stream, _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0])
    kind, payload, *rest = pickle.loads(data)  # noqa: S301 - our own process's bytes
    if kind == "array":
        array = np.empty(payload, np.float32)
        _fill(stream, array.reshape(-1).view(np.uint8).data)
        payload = array
    return kind, payload, *rest


def _exactly(stream: IO[bytes], n_bytes: int) -> bytearray:
    data = bytearray(n_bytes)
    _fill(stream, memoryview(data))
    return data


def _fill(stream: Any, view: memoryview) -> None:
    while view:
        n_read = stream.readinto(view)
        if not n_read:
            raise EOFError
        view = view[n_read:]


def main() -> None:
    """Live as a decoder process, until the other side closes its end."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # what C libraries print must not come between the answers
    requests: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    # A thread waits for requests, so that the end of the parent ends even a busy process.
    threading.Thread(target=_wait, args=(sys.stdin.buffer, requests), daemon=True).start()
    worker = _Worker()
    while True:
        send(answers, worker.answer(requests.get()))


def _wait(stream: IO[bytes], requests: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    while True:
        try:
            requests.put(receive(stream))
        except (EOFError, OSError):
            os._exit(0)


class _Worker:
    """Answers requests: about one open file, or for a digest."""

    def __init__(self) -> None:
        self._reader: Any = None

    def answer(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        name, arguments = request
        try:
            found = self._do(name, arguments)
        except MemoryError:
            return "memory", "it needs more memory than a file may", 0
        except (DecodeError, OSError) as error:
            return type(error).__name__, error.args, 0
        except Exception as error:
            return "DecodeError", (f"failed unexpectedly: {type(error).__name__}: {error}",), 0
        kind = "array" if isinstance(found, np.ndarray) else "value"
        return kind, found, getattr(self._reader, "n_damaged", 0)

    def _do(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name in METHODS:
            return getattr(self._reader, name)(*arguments)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if name == "open":
            limit_memory(arguments[0])
            self._reader = PyavReader(*arguments)
            return {name: getattr(self._reader, name) for name in ATTRIBUTES}
        if name == "digest":
            limit_memory(arguments[0])
            return hash_packets(*arguments)
        return None


def limit_memory(path: Path) -> None:
    """Let this process take a bounded amount more than it has now, where the system can do so."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    with suppress(OSError, ValueError, IndexError):
        n_pages = int(Path("/proc/self/statm").read_text().split()[5])
        allowed = n_pages * resource.getpagesize() + _MEMORY_BYTES + path.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.RLIM_INFINITY))
