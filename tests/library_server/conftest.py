"""A library of made tracks, served by a real process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import eight_formats
import pytest
from library_serving import LibraryServer, running, scanned, start

from genrekit import demo


@pytest.fixture(scope="session")
def scanned_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with music and the library that a scan of it made."""
    folder = tmp_path_factory.mktemp("library")
    demo.write(folder / "music")
    scanned(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of made tracks, not scanned, that a test may change."""
    demo.write(tmp_path / "music")
    return tmp_path


@pytest.fixture(scope="session")
def reading(scanned_music: Path) -> Iterator[LibraryServer]:
    """One server for all tests that leave the library as they find it."""
    with running(scanned_music / "library.sqlite3") as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., LibraryServer]]:
    """Start servers; they end with the test."""
    servers: list[LibraryServer] = []

    def begin(database: Path, *arguments: str, **environment: str) -> LibraryServer:
        servers.append(start(database, *arguments, **environment))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with music in eight formats, and its library; tests give back what they change."""
    folder = tmp_path_factory.mktemp("eight")
    eight_formats.make(folder / "music")
    scanned(folder, model=None)
    return folder


@pytest.fixture(scope="session")
def page_server(eight: Path) -> Iterator[LibraryServer]:
    """One server for the tests of the page."""
    with running(eight / "library.sqlite3") as server:
        yield server
