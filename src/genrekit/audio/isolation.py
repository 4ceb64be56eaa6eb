"""FFmpeg in a process of its own: a crash, a hang or too much memory there costs its file alone.

Of 470,000 mutated files some ended the process that decoded them. The processes are started when
they are needed, one for each file that is open at the same time, and kept for the next file.
"""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.process_messages import ARRAY, receive, send
from genrekit.audio.readers import DecodeError, Waveform

CALL_SECONDS = 300.0  # to decode ten hours to their end takes two minutes
_PROGRAM = "import sys; sys.path[:] = {!r}; from genrekit.audio.decoder_process import main; main()"
_MAX_IDLE = 4

_idle: list[_Process] = []
_others: list[_Process] = []  # of the parent of this process
_lock = threading.Lock()


class IsolatedReader:
    """A file that FFmpeg decodes in another process. Sample 0 is the first that it gives out."""

    def __init__(self, path: Path, span: ByteSpan | None = None) -> None:
        """Open a file, or a span of it.

        Raises:
            DecodeError: FFmpeg does not read it, it holds no audio, or the process ends of it.
            OSError: the file cannot be read.
        """
        self.n_damaged = 0
        self._process = _take()
        try:
            about = self._call("open", os.fspath(path.absolute()), span)
        except BaseException:
            self.close()
            raise
        self.sample_rate: int = about["sample_rate"]
        self.n_channels: int = about["n_channels"]
        self.channel_names = tuple(about["channel_names"])
        self.container_name: str = about["container_name"]
        self.claimed_samples: int | None = about["claimed_samples"]

    @property
    def pid(self) -> int:
        """The process that decodes the file."""
        pid: int = self._process.pid
        return pid

    def seek(self, sample: int) -> None:
        """Go to a sample of the decoded track; see PyavReader."""
        self._call("seek", sample)

    def read(self, n_samples: int) -> Waveform:
        """Decode on: shape (n_channels, n), with n below n_samples only at the end of the file."""
        waveform: Waveform = self._call("read", n_samples)
        return waveform

    def read_end(self) -> int:
        """Decode to the end of the file and return the number of the sample behind the last one."""
        end: int = self._call("read_end")
        return end

    def count_end(self) -> int:
        """Return the sample behind the last packet; see PyavReader."""
        end: int = self._call("count_end")
        return end

    def _call(self, name: str, *arguments: Any) -> Any:
        found, self.n_damaged = self._process.call(name, *arguments)
        return found

    def close(self) -> None:
        """Close the file."""
        process, self._process = self._process, _CLOSED
        if process.is_usable:
            with suppress(DecodeError):
                process.call("close")
            _give_back(process)


def digest(path: Path) -> str:
    """Hash a file's encoded packets in another process; see packets.digest.

    Raises:
        DecodeError: FFmpeg finds no audio in it, or the process ends of it.
        OSError: the file cannot be read.
    """
    process = _take()
    try:
        found: str = process.call("digest", os.fspath(path.absolute()))[0]
    finally:
        _give_back(process)
    return found


def idle_pids() -> list[int]:
    """Return the processes that wait for a file."""
    with _lock:
        return [process.pid for process in _idle]


class _Process:
    """The other side of genrekit.audio.decoder_process."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the business of this process
        )
        self.pid = self._child.pid
        self.is_usable = True

    def call(self, name: str, *arguments: Any) -> tuple[Any, int]:
        """Let the process do something; return what it gave and how many packets were damaged."""
        if not self.is_usable:
            raise DecodeError("FFmpeg ended at this file before")
        try:
            send(self._stdin, name, arguments)
            self._wait()
            kind, found, n_damaged = receive(self._stdout)
        except (EOFError, OSError) as error:
            raise DecodeError(self._epitaph()) from error
        except BaseException:  # Ctrl-C, say: the answer would be taken for that to the next call
            self.end()
            raise
        if kind == "OSError":
            raise OSError(*found)
        if kind in ("value", ARRAY):
            return found, n_damaged
        raise DecodeError(*found if isinstance(found, list) else (found,))

    @property
    def _stdin(self) -> Any:
        return self._child.stdin

    @property
    def _stdout(self) -> Any:
        return self._child.stdout

    def _wait(self) -> None:
        if os.name == "nt":  # pipes cannot be waited for there
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            if not selector.select(CALL_SECONDS):
                self.end()
                raise DecodeError(f"FFmpeg took longer than {CALL_SECONDS:g} s and was stopped")

    def _epitaph(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(5.0)
        self.end()
        code = self._child.returncode
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"FFmpeg {how} while it decoded this file"

    def end(self) -> None:
        """Kill the process."""
        self.is_usable = False
        self._child.kill()
        self._child.wait()
        for stream in (self._stdin, self._stdout):
            with suppress(OSError):
                stream.close()


class _Closed:
    """Stands for the process of a file that is closed."""

    is_usable = False


_CLOSED: Any = _Closed()


def _take() -> _Process:
    with _lock:
        if _idle:
            return _idle.pop()
    try:
        return _Process()
    except OSError as error:
        raise DecodeError(f"no process for FFmpeg could be started: {error}") from error


def _give_back(process: _Process) -> None:
    """Keep a process for the next file."""
    with _lock:
        if process.is_usable and len(_idle) < _MAX_IDLE:
            _idle.append(process)
            return
    if process.is_usable:
        process.end()


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def _forget() -> None:
    """After a fork: the processes are the parent's."""
    globals()["_lock"] = threading.Lock()  # another thread of the parent may hold it
    _others.extend(_idle)
    _idle.clear()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
