"""A real ``genrekit library serve`` for the tests, on a free port."""

from __future__ import annotations

import hashlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

import waiting
from genrekit.batch.engines import InProcessEngine
from genrekit.library import database, scan

TINY = Path(__file__).parents[1] / "golden" / "tiny"
SERVE = [sys.executable, "-m", "genrekit", "library", "serve", "--port", "0"]
# A client would read all of the system's certificates, 20 ms each time, and never use them.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
WAIT_SECONDS = 120  # for anything: the machine may be busy with other tests
wait_for = partial(waiting.wait_for, seconds=WAIT_SECONDS)


def scanned(folder: Path, model: Path | None = TINY) -> Path:
    """Scan a folder's music, None with the default model; return the library's database."""
    path = folder / "library.sqlite3"
    with database.opened(path) as connection:
        scan.run(connection, scan.plan(connection, [folder / "music"], model), InProcessEngine())
    return path


@dataclass
class LibraryServer:
    """A running server; ``opened`` is the address that it printed."""

    process: subprocess.Popen[str]
    opened: str

    @property
    def url(self) -> str:
        return self.opened.partition("/?")[0].rstrip("/")

    @property
    def token(self) -> str:
        return self.opened.partition("token=")[2]

    def client(self, **options: object) -> httpx.Client:
        """Return a client that has the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        settings = {"timeout": WAIT_SECONDS, "headers": headers, "verify": NO_CERTIFICATES}
        return httpx.Client(base_url=self.url, **settings, **options)

    def get(self, path: str, **params: object) -> httpx.Response:
        with self.client() as client:
            return client.get(path, params=params)

    def json(self, path: str, **params: object) -> dict[str, object]:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(WAIT_SECONDS)
        self.process.stderr.close()


def start(path: Path, *arguments: str, **environment: str) -> LibraryServer:
    process = subprocess.Popen(
        [*SERVE, "--db", str(path), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("genrekit: the library is at http://"), line + process.stderr.read()
    return LibraryServer(process, line.split()[5])


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder's music."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "music").iterdir())
    }


@contextmanager
def running(path: Path) -> Iterator[LibraryServer]:
    """Serve a library while the block runs."""
    server = start(path)
    try:
        yield server
    finally:
        server.stop()


def problem(answer: httpx.Response, status: int) -> str:
    """Check a problem document; return its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert "Traceback" not in document["detail"]
    return document["detail"]
