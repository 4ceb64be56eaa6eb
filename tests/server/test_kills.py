"""kill -9, of a worker and of the server, in the middle of a request."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from serving import Later, Server, wait_for
from test_limits import needs_proc

from genrekit.server.upload_folder import PREFIX

Serve = Callable[..., Server]
pytestmark = [needs_proc, pytest.mark.slow]


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its new parent to notice its end does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_killed_worker_is_replaced_and_its_file_predicted_again(
    serve: Serve, tracks: list[Path]
) -> None:
    server = serve("--workers=1")
    audio = tracks[0].read_bytes()
    with server.stopped() as pids:
        asked = Later(server.post, audio)
        wait_for(lambda: server.metric("genrekit_files_open") == 1)
        time.sleep(0.2)  # the file is counted a moment before the worker holds it
        kill(*pids)
    assert asked.result().status_code == 200
    assert server.post(audio).status_code == 200
    assert server.metric("genrekit_workers_killed_total") == 1
    assert server.uploads() == []


def test_an_idle_worker_that_was_killed_is_replaced(serve: Serve, tracks: list[Path]) -> None:
    server = serve("--workers=1")
    kill(*server.worker_pids())
    assert server.post(tracks[0].read_bytes()).status_code == 200


def test_a_killed_server_leaves_nothing_after_a_restart(serve: Serve, tracks: list[Path]) -> None:
    server = serve("--workers=1")
    audio = tracks[0].read_bytes()
    with server.stopped() as pids:
        asked = Later(server.post, audio)
        wait_for(lambda: server.metric("genrekit_files_open") == 1)
        assert len(server.uploads()) == 1
        kill(server.process.pid)
        server.process.wait()
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        asked.result()
    wait_for(lambda: not any(is_alive(pid) for pid in pids))
    assert len(server.uploads()) == 1
    again = serve("--workers=1")
    assert again.post(audio).status_code == 200
    assert again.uploads() == []
    assert len(list(again.folder.glob(f"{PREFIX}*"))) == 1
    again.stop()
    assert list(again.folder.iterdir()) == []


@pytest.mark.full
def test_workers_killed_at_random(serve: Serve, tracks: list[Path]) -> None:
    """Kill a worker at a random moment of each of 200 requests: every request is answered."""
    server = serve("--workers=2")
    audio = tracks[0].read_bytes()
    chance = random.Random(0)
    statuses = []
    for _ in range(200):
        asked = Later(server.post, audio)
        time.sleep(chance.uniform(0, 0.08))
        with suppress(ProcessLookupError, IndexError):  # both may just be replaced
            kill(chance.choice(server.worker_pids()))
        statuses.append(asked.result().status_code)
    assert set(statuses) == {200}
    assert server.uploads() == []
    assert server.metric("genrekit_files_open") == 0
