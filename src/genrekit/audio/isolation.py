"""FFmpeg in a separate process: a crash, a hang or too much memory costs only the file.

Of 470,000 mutated files some killed the process that decoded them. Processes are started on demand,
one for each file that is open at the same time, and kept for the next file.
"""

from __future__ import annotations

import atexit
import os
import select
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
from genrekit.audio.shared_block import SharedBlock, create

CALL_SECONDS = 300.0  # to decode ten hours to their end takes two minutes
_PROGRAM = (
    "import sys; sys.path[:] = {!r}; from genrekit.audio.decoder_process import main; main({})"
)
_MAX_IDLE = 4

_Identity = tuple[str, ByteSpan | None, int, int, int, int]
_idle: list[_Process] = []
_others: list[_Process] = []  # of the parent of this process
_lock = threading.Lock()


class IsolatedReader:
    """A file that FFmpeg decodes in another process. Sample 0 is the first that it returns."""

    def __init__(
        self, path: Path, span: ByteSpan | None = None, tail_seconds: float | None = None
    ) -> None:
        """Open a file, or a span of it.

        Args:
            path: the file.
            span: which part of it.
            tail_seconds: decode so much before the end that the container claims, up to the real
                one, which ``found_end`` is then.

        Raises:
            DecodeError: FFmpeg does not read it, it holds no audio, or the process ends of it.
            OSError: the file cannot be read.
        """
        self.n_damaged = 0
        self._identity = _identity(path, span)
        self._process, about = _take(self._identity)
        self._target: int | None = 0 if about else None
        try:
            about = about or self._call("open", os.fspath(path.absolute()), span, tail_seconds)
        except BaseException:
            self.close()
            raise
        self._about: dict[str, Any] = about
        self.sample_rate: int = about["sample_rate"]
        self.n_channels: int = about["n_channels"]
        self.channel_names = tuple(about["channel_names"])
        self.container_name: str = about["container_name"]
        self.claimed_samples: int | None = about["claimed_samples"]
        self.found_end: int | None = about["found_end"]

    @property
    def pid(self) -> int:
        """The process that decodes the file."""
        pid: int = self._process.pid
        return pid

    def seek(self, sample: int) -> None:
        """Go to a sample of the decoded track with the next call, which may then fail of it."""
        self._target = sample

    def read(self, n_samples: int) -> Waveform:
        """Decode on: shape (n_channels, n), with n below n_samples only at the end of the file.

        What is returned holds until the next call.
        """
        found: int | Waveform = self._call("read", n_samples)
        if not isinstance(found, int):
            return found
        rows = self._process.rows(self.n_channels, n_samples)
        return rows[:, :found]

    def read_end(self) -> int:
        """Decode to the end of the file and return the number of the sample behind the last one."""
        end: int = self._call("read_end")
        return end

    def count_end(self) -> int:
        """Return the sample behind the last packet; see PyavReader."""
        end: int = self._call("count_end")
        return end

    def _call(self, name: str, *arguments: Any) -> Any:
        target, self._target = self._target, None
        found, self.n_damaged = self._process.call(name, target, *arguments)
        return found

    def leave_open(self) -> None:
        """Close the file for the caller, but let the next reader of it begin at once.

        To open an M4A costs as much as to decode two seconds of it. Only after the track was
        decoded to its end: from there every seek is one that the container does.
        """
        if self._identity is None or self.n_damaged or self.found_end is None:
            self.close()
            return
        process, self._process = self._process, _CLOSED
        process.left_open = (self._identity, self._about)
        _give_back(process)

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
    process, _ = _take(None)
    try:
        found: str = process.call("digest", None, os.fspath(path.absolute()))[0]
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
        shared = create()
        try:
            self._block = None if shared is None else SharedBlock(shared)
            self._child = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(sys.path, shared)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=() if shared is None else (shared,),
                start_new_session=True,  # Ctrl-C is the business of this process
            )
        finally:
            if shared is not None:
                os.close(shared)
        self.pid = self._child.pid
        self.left_open: tuple[_Identity, dict[str, Any]] | None = None
        self.is_usable = True

    def call(self, name: str, target: int | None = None, *arguments: Any) -> tuple[Any, int]:
        """Let the process do something, from a sample on if there is a target.

        Every call costs 0.1 to 0.4 ms, of which most is that processors forget what they had at
        hand: so a seek is no call of its own.

        Returns:
            What the process gave, and how many packets were damaged.

        Raises:
            DecodeError: FFmpeg's reason, or the process has ended.
            OSError: the file cannot be read.
        """
        if not self.is_usable:
            raise DecodeError("FFmpeg crashed on this file before")
        try:
            send(self._stdin, name, arguments, target)
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

    def rows(self, n_channels: int, n_samples: int) -> Waveform:
        """Return the samples that the process put into the block that both see."""
        rows = self._block.rows(n_channels, n_samples) if self._block else None
        if rows is None:
            self.end()
            raise DecodeError("FFmpeg's process returned an invalid answer")
        return rows

    @property
    def _stdin(self) -> Any:
        return self._child.stdin

    @property
    def _stdout(self) -> Any:
        return self._child.stdout

    def _wait(self) -> None:
        if not hasattr(select, "poll"):  # Windows, where pipes cannot be waited for
            return
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if not poll.poll(1000 * CALL_SECONDS):
            self.end()
            raise DecodeError(f"FFmpeg took longer than {CALL_SECONDS:g} s and was stopped")

    def _epitaph(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(5.0)
        self.end()
        code = self._child.returncode
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"FFmpeg {how} while decoding this file"

    def end(self) -> None:
        """Kill the process."""
        self.is_usable = False
        self._child.kill()
        self._child.wait()
        for stream in (self._stdin, self._stdout):
            with suppress(OSError):
                stream.close()


class _Closed:
    """Takes the place of the process of a closed file."""

    is_usable = False


_CLOSED: Any = _Closed()


def _take(identity: _Identity | None) -> tuple[_Process, dict[str, Any] | None]:
    """Return a process, and what is known of this file where the process has it open."""
    with _lock:
        for process in _idle:
            if identity is not None and process.left_open and process.left_open[0] == identity:
                _idle.remove(process)
                about, process.left_open = process.left_open[1], None
                return process, about
        if _idle:
            process = _idle.pop()
            process.left_open = None  # it closes the file when it opens another
            return process, None
    try:
        return _Process(), None
    except OSError as error:
        raise DecodeError(f"a process for FFmpeg could not be started: {error}") from error


def _identity(path: Path, span: ByteSpan | None) -> _Identity | None:
    """Return what tells a file from every other one; None where there is no such thing."""
    if os.name == "nt":  # a file that is open cannot be renamed or deleted there
        return None
    with suppress(OSError):
        status = path.stat()
        numbers = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return os.fspath(path.absolute()), span, *numbers
    return None


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
