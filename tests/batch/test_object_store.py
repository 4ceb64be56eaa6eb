"""Batch jobs from and to an object store that is slow, refuses requests or is not there."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import pytest
from typer.testing import CliRunner

import made_music
from genrekit import Classifier
from genrekit.batch import storage
from genrekit.cli import main

HERE = Path(__file__).parent
TINY = HERE.parent / "golden" / "tiny"
LATENCY_SECONDS = 0.02
DEADLINE_SECONDS = 300
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=someone/20260101/us-east-1/s3/aws4_request"}

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs", "pyarrow")),
    reason="needs the extras s3 and parquet, and moto",
)


def request(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    with closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
        connection.request(method, path, body, SIGNED)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
    return content


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short songs."""
    folder = tmp_path_factory.mktemp("songs")
    for seed in range(3):
        made_music.write(folder / f"{seed}.wav", made_music.song(seed, 2.0))
    return folder


@pytest.fixture(scope="module")
def store(songs: Path) -> Iterator[int]:
    """The port of a server whose bucket "music" holds the songs and a file that is none."""
    command = [sys.executable, str(HERE / "s3_server.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            request(port, "PUT", "/music")
            for song in songs.iterdir():
                request(port, "PUT", f"/music/songs/{song.name}", song.read_bytes())
            request(port, "PUT", "/music/songs/text.mp3", b"no audio" * 100)
            yield port
        finally:
            server.kill()


class Faults(ThreadingHTTPServer):
    """A proxy before the server: slow, and the first request for each object fails."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.behind = port
        self.failed: set[tuple[str, str]] = set()
        self.lock = Lock()

    def is_to_fail(self, method: str, path: str) -> bool:
        """Whether this is the first request for an object, to read or to write it."""
        key = (method, path)
        with self.lock:
            fails = method in ("GET", "PUT") and path.count("/") > 2 and key not in self.failed
            if fails:
                self.failed.add(key)
        return fails


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faults

    def log_message(self, *_: object) -> None:
        pass

    def _forward(self) -> None:
        body = self._body()
        time.sleep(LATENCY_SECONDS)
        if self.server.is_to_fail(self.command, self.path.partition("?")[0]):
            self._response(503, [], b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
            return
        with closing(HTTPConnection("127.0.0.1", self.server.behind, timeout=60)) as connection:
            dropped = ("transfer-encoding", "content-length")
            headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            self._response(response.status, response.getheaders(), response.read())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while n_bytes := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(n_bytes))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _response(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        dropped = ("connection", "transfer-encoding")
        for name, value in headers:
            if name.lower() not in dropped and (name.lower() != "content-length" or not body):
                self.send_header(name, value)
        if body or not headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815


@pytest.fixture
def faults(store: int) -> Iterator[Faults]:
    with Faults(store) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, and short pauses between two tries."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(storage, "FIRST_PAUSE_SECONDS", 0.05)


def genrekit(port: int, *arguments: object) -> tuple[int, str, str]:
    """Run a verb with an object store at a port."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()  # it does not read the environment again
    environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    done = CliRunner().invoke(main.build(), [*map(str, arguments)], env=environment)
    return done.exit_code, done.stdout, done.stderr


def predict(port: int, output: object) -> tuple[int, str, str]:
    return genrekit(port, "predict", "s3://music/songs", "--model", TINY, "--jobs", 1, "-o", output)


@pytest.mark.slow
def test_a_slow_store_that_refuses_loses_no_file(store: int, faults: Faults, songs: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    code, output, errors = predict(faults.server_port, "s3://music/out.parquet")
    assert code == 1, errors
    assert "4 files, 1 failed" in output, errors
    assert "s3://music/songs/text.mp3" in errors
    read = {path for method, path in faults.failed if method == "GET"}
    written = {path for method, path in faults.failed if method == "PUT"}
    assert {f"/music/songs/{seed}.wav" for seed in range(3)} <= read
    (part,) = (path for path in written if path.rpartition("/")[2].startswith("part-"))
    rows = parquet.read_table(io.BytesIO(request(store, "GET", part))).to_pylist()
    *found, text = sorted(rows, key=lambda row: row["path"])
    classifier = Classifier(str(TINY))
    for seed, row in enumerate(found):
        assert row["path"] == f"s3://music/songs/{seed}.wav"
        local = classifier.predict_file(songs / f"{seed}.wav").probabilities
        assert {label: row[f"p_{label}"] for label in local} == pytest.approx(local, abs=1e-6)
    assert "text.mp3" in text["error"]
    code, output, errors = predict(faults.server_port, "s3://music/out.parquet")
    assert (code, "4 files, 4 done before" in output) == (1, True), errors


@pytest.mark.slow
def test_refused_credentials_and_a_store_that_is_not_there_are_one_sentence(
    store: int, tmp_path: Path
) -> None:
    request(store, "POST", "/moto-api/reset-auth", b"0")  # from now on it knows nobody
    code, output, errors = predict(store, tmp_path / "a.parquet")
    assert (code, output) == (1, "")
    assert "access is refused" in errors
    assert "AWS_ACCESS_KEY_ID" in errors
    assert len(errors.splitlines()) == 1
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port  # nobody answers there any more once it is closed
    code, output, errors = predict(port, tmp_path / "b.parquet")
    assert (code, output) == (1, "")
    assert "s3://music/songs cannot be reached" in errors
    assert len(errors.splitlines()) == 1
