"""A real server process for the tests, on a free port, with a temporary folder of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

import waiting
from genrekit.server import problems

TINY = Path(__file__).parents[1] / "golden" / "tiny"
SERVE = [sys.executable, "-m", "genrekit", "serve", "--port", "0"]
# A client would read all of the system's certificates, 20 ms each time, and never use them.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
WAIT_SECONDS = 180  # for anything: the machine may be busy with other tests
wait_for = partial(waiting.wait_for, seconds=WAIT_SECONDS)


@dataclass
class Server:
    """A running ``genrekit serve``; ``folder`` is its temporary folder."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, timeout=WAIT_SECONDS, verify=NO_CERTIFICATES, **options
        )

    def post(self, content: bytes, **params: object) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/predict", content=content, params=params)

    def uploads(self) -> list[Path]:
        """Return every uploaded file that lies on the disk."""
        return [path for path in self.folder.glob("genrekit-serve-*/*") if path.name != "lock"]

    def worker_pids(self) -> list[int]:
        """Return the processes that predict files, from /proc."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for path in children for pid in _read(path).split()]
        return [pid for pid in pids if b"spawn_main" in _read(Path(f"/proc/{pid}/cmdline"))]

    @contextmanager
    def stopped(self) -> Iterator[list[int]]:
        """Let the workers stand still for the block, as if each had a file that never ends."""
        pids = self.worker_pids()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def metric(self, name: str) -> float:
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def check_left_nothing(self) -> None:
        """Stop a server that is still alive and see that it leaves nothing on the disk."""
        try:
            assert self.process.poll() is None
            wait_for(lambda: self.uploads() == [])
        finally:
            self.stop()
        assert list(self.folder.iterdir()) == []

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(WAIT_SECONDS)
        self.process.stderr.close()


def _read(path: Path) -> bytes:
    """Return what /proc says; nothing of a thread or process that has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def start(folder: Path, *arguments: str, model: str | Path = TINY) -> Server:
    """Start a server, with one worker where the arguments do not say how many."""
    if not any(argument.startswith("--workers") for argument in arguments):
        arguments = (*arguments, "--workers=1")
    process = subprocess.Popen(
        [*SERVE, "--model", str(model), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONWARNINGS": "error"},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("genrekit: serving at http://"), line
    server = Server(process, line.split()[3], folder)
    with server.client() as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
    return server


def received(client: socket.socket) -> bytes:
    """Read until the server ends the connection, kindly or not."""
    answer = b""
    with suppress(ConnectionError):
        while data := client.recv(65536):
            answer += data
    return answer


def problem(answer: httpx.Response, status: int) -> str:
    """Check a problem document; return its sentence, which says nothing about this machine."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = problems.ProblemDocument.model_validate(answer.json())
    assert document.status == status
    assert not re.search(r"genrekit-serve-|Traceback|127\.0\.0\.1", answer.text)
    return document.detail


class Later(threading.Thread):
    """A call that runs in a thread of its own; result waits for what it gives or raises."""

    def __init__(self, call: Callable[..., httpx.Response], *arguments: object) -> None:
        super().__init__(daemon=True)
        self._call, self._arguments = call, arguments
        self._answer: httpx.Response | Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = self._call(*self._arguments)
        except Exception as error:
            self._answer = error

    def result(self) -> httpx.Response:
        self.join(WAIT_SECONDS)
        if isinstance(self._answer, Exception):
            raise self._answer
        assert self._answer is not None, "no answer came"
        return self._answer
