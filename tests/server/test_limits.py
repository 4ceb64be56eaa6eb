"""Every limit of a server, each met by a real process with that limit set low."""

from __future__ import annotations

import functools
import io
import os
import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import SERVE, TINY, WAIT_SECONDS, Later, Server, problem, received, start, wait_for

from genrekit.errors import ModelError, RecipeError
from genrekit.server.service import Service
from genrekit.server.settings import Settings, parse_limits

Serve = Callable[..., Server]
needs_proc = pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs /proc"
)


@functools.cache
def silent_flac(seconds: int, sample_rate: int = 8000) -> bytes:
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", sample_rate, 1, format="FLAC") as file:
        for _ in range(seconds // 10):
            file.write(np.zeros(10 * sample_rate, np.float32))
    return stream.getvalue()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one worker and every limit low but those of time, and a key."""
    running = start(
        tmp_path_factory.mktemp("strict"),
        "--workers=1",
        "--api-key=sesame",
        "--allow-origin=https://page.example",
        "queue_size=1",
        "max_bytes=300000",
        "max_seconds=50",
        "max_files=2",
        "max_jobs=1",
        "upload_bytes=500000",
        "item_seconds=600",
        "idle_seconds=600",
        "upload_grace_seconds=600",
    )
    yield running
    running.check_left_nothing()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience: on a busy machine any request may be too slow for it."""
    running = start(
        tmp_path_factory.mktemp("hasty"), "--workers=1", "idle_seconds=2", "upload_grace_seconds=1"
    )
    yield running
    running.check_left_nothing()


@pytest.fixture
def keyed(strict: Server) -> Iterator[httpx.Client]:
    with strict.client(headers={"X-API-Key": "sesame"}) as client:
        yield client


def predict(client: httpx.Client, content: bytes, **headers: str) -> httpx.Response:
    return client.post("/v1/predict", content=content, headers=headers)


def test_the_key(strict: Server, keyed: httpx.Client) -> None:
    assert keyed.get("/v1/models").status_code == 200
    for headers in ({}, {"X-API-Key": "sesam"}, {"Authorization": "Bearer x"}, {"X-API-Key": "é"}):
        with strict.client(headers={k: v.encode() for k, v in headers.items()}) as client:
            answer = client.get("/v1/models")
            assert "key is missing or wrong" in problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            problem(predict(client, b"x"), 401)
    with strict.client(headers={"Authorization": "Bearer sesame"}) as client:
        assert client.get("/v1/models").status_code == 200


def test_the_key_is_not_needed_to_see_that_the_server_lives(strict: Server) -> None:
    with strict.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/docs").status_code == 200


def test_a_page_of_an_allowed_origin(keyed: httpx.Client) -> None:
    allow = "access-control-allow-origin"
    friend, foe = {"Origin": "https://page.example"}, {"Origin": "https://evil.example"}
    assert keyed.get("/v1/models", headers=friend).headers[allow] == friend["Origin"]
    assert allow not in keyed.get("/v1/models", headers=foe).headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    assert keyed.options("/v1/predict", headers=friend | asked).headers[allow] == friend["Origin"]


def test_bytes(keyed: httpx.Client) -> None:
    assert "larger than 300000 bytes" in problem(predict(keyed, bytes(300_001)), 413)

    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield bytes(1000)

    unsaid = keyed.post("/v1/predict", content=endless())  # chunked: no length in its head
    assert "larger than 300000 bytes" in problem(unsaid, 413)


def test_seconds_of_audio(keyed: httpx.Client) -> None:
    ten_hours = silent_flac(36_000, 1000)
    assert len(ten_hours) < 300_000
    answer = keyed.post("/v1/predict?filename=x.flac", content=ten_hours)
    assert problem(answer, 413) == "x.flac: is 36000 s long; 50 s are allowed; cut it"


def test_room_on_the_disk(strict: Server, keyed: httpx.Client) -> None:
    with socket.create_connection(strict.url[7:].split(":")) as held:
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nX-API-Key: sesame\r\n"
        held.sendall(f"{head}Content-Length: 290000\r\n\r\n".encode() + bytes(280_000))
        wait_for(lambda: strict.metric("genrekit_upload_bytes") == 280_000)
        answer = predict(keyed, bytes(250_000))
    assert "no room for more uploads" in problem(answer, 503)
    assert answer.headers["retry-after"] == "10"
    wait_for(lambda: strict.metric("genrekit_upload_bytes") == 0)


@needs_proc
def test_a_full_queue(strict: Server, keyed: httpx.Client) -> None:
    audio = silent_flac(10)
    with strict.stopped():
        waiting = [Later(predict, keyed, audio) for _ in range(2)]
        wait_for(lambda: strict.metric("genrekit_files_open") == 2)
        answer = predict(keyed, audio)
        assert "all workers are busy" in problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert "all are busy" in problem(keyed.get("/readyz"), 503)
        assert keyed.get("/healthz").status_code == 200
    assert [later.result().status_code for later in waiting] == [200, 200]


@pytest.mark.slow
@needs_proc
def test_a_file_that_takes_too_long(serve: Serve) -> None:
    strict, audio = serve("--workers=1", "item_seconds=1"), silent_flac(10)
    with strict.stopped():
        late = strict.post(audio, filename="x.flac")
    assert problem(late, 413) == "x.flac: took longer than 1 s and was stopped"
    wait_for(lambda: strict.post(audio).status_code == 200)


@needs_proc
def test_a_client_that_leaves_frees_its_place(strict: Server, keyed: httpx.Client) -> None:
    audio = silent_flac(10)
    with strict.stopped():
        first = Later(predict, keyed, audio)
        wait_for(lambda: strict.metric("genrekit_files_open") == 1)
        with strict.client(headers={"X-API-Key": "sesame"}) as leaving:
            leaving.timeout = httpx.Timeout(WAIT_SECONDS, read=0.5)
            with pytest.raises(httpx.ReadTimeout):
                predict(leaving, audio)
        wait_for(lambda: len(strict.uploads()) == 1)
    assert first.result().status_code == 200
    wait_for(lambda: strict.metric("genrekit_files_open") == 0)


@needs_proc
def test_the_number_of_jobs(strict: Server, keyed: httpx.Client) -> None:
    audio = silent_flac(10)
    with strict.stopped():
        first = predict(keyed, audio, Prefer="respond-async")
        assert first.status_code == 202
        assert "too many jobs" in problem(predict(keyed, audio, Prefer="respond-async"), 503)
    wait_for(lambda: keyed.get(first.headers["location"]).json()["status"] == "done")
    second = predict(keyed, audio, Prefer="respond-async")
    assert second.status_code == 202
    assert keyed.get(first.headers["location"]).status_code == 404  # it made room
    wait_for(lambda: keyed.get(second.headers["location"]).json()["status"] == "done")


@pytest.mark.slow
@needs_proc
def test_memory_of_a_worker(serve: Serve) -> None:
    small = serve("--workers=1", "memory_bytes=250000000", "job_from_seconds=99999")
    three_hours = silent_flac(10_800, 1000)
    # As many segments as may be asked for are held at a time: 190 MB of them.
    answer = small.post(three_hours, filename="x.flac", segments="999")
    assert "needed more than 250 MB of memory" in problem(answer, 413)
    assert small.metric("genrekit_workers_killed_total") == 1
    assert small.post(silent_flac(10)).status_code == 200


@contextmanager
def slow_clients(server: Server, n_clients: int) -> Iterator[list[socket.socket]]:
    """Let clients send a byte a second, half within the head of a request, half within its body."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nX-API-Key: sesame\r\n"
    with ExitStack() as connections:
        clients = []
        for index in range(n_clients):
            client = socket.create_connection(server.url[7:].split(":"))
            clients.append(connections.enter_context(client))
            client.settimeout(WAIT_SECONDS)
            client.sendall(head if index % 2 else head + b"Content-Length: 1000\r\n\r\n")
        enough = threading.Event()
        sending = threading.Thread(target=send_slowly, args=(clients, enough))
        sending.start()
        try:
            yield clients
        finally:
            enough.set()
            sending.join()


def send_slowly(clients: list[socket.socket], enough: threading.Event) -> None:
    """Send from each client that is still connected."""
    while not enough.wait(1):
        for client in clients:
            with suppress(OSError):
                client.sendall(b"x")


@pytest.mark.parametrize(
    ("n_slow", "n_requests"), [(60, 5), pytest.param(500, 100, marks=pytest.mark.full)]
)
def test_slow_clients_do_not_stop_the_others(
    strict: Server, keyed: httpx.Client, n_slow: int, n_requests: int
) -> None:
    audio = silent_flac(10)
    with slow_clients(strict, n_slow) as slow:
        wait_for(lambda: len(strict.uploads()) == n_slow // 2)
        for _ in range(n_requests):
            assert predict(keyed, audio).status_code == 200
        assert select.select(slow, [], [], 0)[0] == [], "all of them are still served"
    wait_for(lambda: strict.uploads() == [])


@pytest.mark.slow
@pytest.mark.parametrize("n_slow", [60, pytest.param(500, marks=pytest.mark.full)])
def test_slow_clients_are_thrown_out(hasty: Server, n_slow: int) -> None:
    with slow_clients(hasty, n_slow) as slow:
        answers = [received(client) for client in slow]
    assert answers.count(b"") == n_slow // 2
    assert sum(b" 408 " in answer for answer in answers) == n_slow // 2
    wait_for(lambda: hasty.uploads() == [])


@pytest.mark.slow
def test_an_idle_connection_is_closed(hasty: Server) -> None:
    with socket.create_connection(hasty.url[7:].split(":")) as client:
        client.settimeout(WAIT_SECONDS)
        assert received(client) == b""


@needs_proc
def test_shutdown_finishes_what_runs(serve: Serve) -> None:
    ending = serve("--workers=1")
    with ending.stopped():
        running = Later(ending.post, silent_flac(10))
        wait_for(lambda: ending.metric("genrekit_files_open") == 1)
        ending.process.send_signal(signal.SIGTERM)
        wait_for(lambda: is_refused(ending))
    assert running.result().status_code == 200
    ending.process.wait(WAIT_SECONDS)
    assert list(ending.folder.iterdir()) == []


def is_refused(server: Server) -> bool:
    try:
        socket.create_connection(server.url[7:].split(":")).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("max_second=3", "unknown limit 'max_second'; did you mean 'max_seconds'"),
        ("max_seconds", "give a limit as KEY=VALUE"),
        ("max_seconds=-1", "max_seconds=-1: input should be greater than 0"),
        ("queue_size=many", "queue_size=many: input should be a valid integer"),
    ],
)
def test_a_limit_that_is_none(pair: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        parse_limits(["item_seconds=3", pair])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["max_second=3"], 2, "unknown limit 'max_second'"),
        (["--host", "192.0.2.1", "--model", str(TINY)], 1, "requested address"),
    ],
)
def test_what_a_server_does_not_start_with(
    tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = subprocess.run(
        [*SERVE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == code
    assert done.stderr.startswith("genrekit: error: ")
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(("nowhere",)), "unknown model 'nowhere'"),
        (Settings((str(TINY), str(TINY))), "two models have the same name"),
        (Settings((str(TINY),), min_precision=1), "cannot reach a precision of 1"),
    ],
)
def test_models_that_a_server_cannot_have(settings: Settings, sentence: str) -> None:
    with pytest.raises(ModelError, match=re.escape(sentence)):
        Service(settings)
