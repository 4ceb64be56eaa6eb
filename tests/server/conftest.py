"""Servers and tracks for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server, start, wait_for

from genrekit import demo


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with options; they end with the test."""
    servers = []

    def begin(*arguments: str, **options: str) -> Server:
        servers.append(start(tmp_path, *arguments, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with two workers for every test that does not break it; nothing may be left."""
    running = start(tmp_path_factory.mktemp("server"), "--workers", "2", "job_from_seconds=40")
    wait_for(lambda: running.metric("genrekit_workers_ready") == 2)
    yield running
    running.check_left_nothing()


@pytest.fixture(scope="session")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The made tracks, as FLAC files."""
    return demo.write(tmp_path_factory.mktemp("tracks"))
