"""The process in which FFmpeg decodes, so that a crash costs only one file.

Requests come on standard input, results go to standard output, as process_messages.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.packet_hash import hash_packets
from genrekit.audio.process_messages import ARRAY, receive, send
from genrekit.audio.pyav_reader import PyavReader
from genrekit.audio.readers import DecodeError, Waveform
from genrekit.audio.shared_block import SharedBlock

_MEMORY_BYTES = 200 << 20  # what a file may need beside its own size
ATTRIBUTES = ("sample_rate", "n_channels", "channel_names", "container_name", "claimed_samples")
METHODS = frozenset({"read_end", "count_end"})


def main(shared: int | None = None) -> None:
    """Run as a decoder process, until the other side closes its end.

    Args:
        shared: the descriptor of the block for samples; None if they go through the pipe.
    """
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # so that output of C libraries does not mix with the answers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = _Decoder(None if shared is None else SharedBlock(shared))
    while True:
        try:
            request = receive(sys.stdin.buffer)
        except (EOFError, OSError):
            os._exit(0)
        send(answers, *worker.answer(request))


def _end_with_parent() -> None:
    """End this process, even if busy, as soon as the other side of its input is gone."""
    if not hasattr(select, "poll"):  # Windows: it ends when it asks for the next request
        return
    poll = select.poll()
    poll.register(0, 0)  # nothing but the end
    poll.poll()
    os._exit(0)


class _Decoder:
    """Answers requests: about one open file, or for a digest."""

    def __init__(self, block: SharedBlock | None) -> None:
        self._reader: Any = None
        self._block = block

    def answer(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        name, arguments, target = request
        try:
            if target is not None:
                self._reader.seek(target)
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
        if name == "read":
            return self._read(*arguments)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if name == "open":
            return self._open(*arguments)
        if name == "digest":
            limit_memory(Path(arguments[0]))
            return hash_packets(Path(arguments[0]))
        return None

    def _open(self, name: str, span: list[Any] | None, tail_seconds: float | None) -> Any:
        path = Path(name)
        limit_memory(path)
        self._reader = reader = PyavReader(path, ByteSpan(*span) if span else None)
        about = {name: getattr(reader, name) for name in ATTRIBUTES}
        claimed, end = reader.claimed_samples, None
        if claimed and tail_seconds is not None:
            reader.seek(max(0, claimed - round(tail_seconds * reader.sample_rate)))
            end = reader.read_end()
        return about | {"found_end": end}

    def _read(self, n_samples: int) -> int | Waveform:
        """Decode into the block and return the number of samples, or the samples themselves."""
        rows = self._block.rows(self._reader.n_channels, n_samples) if self._block else None
        waveform: Waveform = self._reader.read(n_samples, rows)
        return waveform if rows is None else waveform.shape[1]


def limit_memory(path: Path) -> None:
    """Limit the additional memory of this process, if the system supports it."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    with suppress(OSError, ValueError, IndexError):
        n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        allowed = n_pages * resource.getpagesize() + _MEMORY_BYTES + path.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.RLIM_INFINITY))
