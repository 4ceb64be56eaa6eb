"""Scans and watches from the page: progress, pause, kill, one at a time."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from library_serving import LibraryServer, problem, scanned, wait_for

N_FILES = 60


@pytest.fixture
def many(folder: Path) -> Path:
    """A scanned library and many more files beside it."""
    scanned(folder)
    (folder / "new").mkdir()
    for number in range(N_FILES):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 22050 * 6)
        soundfile.write(folder / "new" / f"{number:03}.flac", noise, 22050)
    return folder


@pytest.mark.full
def test_a_scan_is_paused_and_goes_on(many: Path, serve: Callable[..., LibraryServer]) -> None:
    server = serve(many / "library.sqlite3")
    with server.client() as client:
        job = client.post("/api/scan", json={"folders": [str(many / "new")]}).json()
        path = f"/api/jobs/{job['id']}"
        wait_for(lambda: client.get(path).json()["done"] > 0)
        second = client.post("/api/watch", json={"folder": str(many)})
        assert "wait until it is done" in problem(second, 409)
        client.post(f"{path}/pause")
        wait_for(lambda: client.get(path).json()["state"] == "paused")
        wait_for(lambda: client.get("/api/session").json()["indexing"] is None)
        analysed = client.get("/api/tracks", params={"min_probability": 0}).json()["total"]
        assert 3 < analysed < 3 + N_FILES
        assert problem(client.post(f"{path}/pause"), 409)
        client.post(f"{path}/resume")
        wait_for(lambda: client.get(path).json()["state"] == "done")
        assert client.get(path).json()["result"]["n_analysed"] <= N_FILES
        assert client.get("/api/session").json()["counts"]["all"] == 3 + N_FILES
        assert problem(client.post(f"{path}/resume"), 409)
        assert problem(client.post("/api/jobs/99/cancel"), 404)


@pytest.mark.full
def test_a_scan_goes_on_after_a_kill(many: Path, serve: Callable[..., LibraryServer]) -> None:
    server = serve(many / "library.sqlite3")
    with server.client() as client:
        job = client.post("/api/scan", json={"folders": [str(many / "new")]}).json()
        path = f"/api/jobs/{job['id']}"
        wait_for(lambda: client.get(path).json()["done"] > 0)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server = serve(many / "library.sqlite3")
    with server.client() as client:
        assert client.get(path).json()["state"] == "interrupted"
        client.post(f"{path}/resume")
        wait_for(lambda: client.get(path).json()["state"] == "done")
        assert client.get("/api/session").json()["counts"]["all"] == 3 + N_FILES


@pytest.mark.full
def test_a_watch_finds_what_arrives_and_is_cancelled(
    folder: Path, serve: Callable[..., LibraryServer]
) -> None:
    server = serve(scanned(folder))
    with server.client() as client:
        job = client.post("/api/watch", json={"folder": str(folder / "music")}).json()
        path = f"/api/jobs/{job['id']}"
        source = next((folder / "music").iterdir())
        shutil.copy(source, folder / "music" / "copy.flac")
        wait_for(lambda: client.get(path).json()["done"] == 1)
        assert "copy.flac" in client.get(path).json()["messages"][0]
        client.post(f"{path}/cancel")
        wait_for(lambda: client.get(path).json()["state"] == "cancelled")


def test_wrong_folders_are_one_sentence(reading: LibraryServer) -> None:
    with reading.client() as client:
        for folder in ("relative", "/no/such/folder", "/nul\0", "~nobody/x"):
            problem(client.post("/api/scan", json={"folders": [folder]}), 422)
        problem(client.post("/api/scan", json={"folders": []}), 422)
        problem(client.post("/api/scan", content=b"{"), 422)


@pytest.mark.full
def test_a_library_is_served_by_one_program_at_a_time(
    scanned_music: Path, reading: LibraryServer, serve: Callable[..., LibraryServer]
) -> None:
    from in_process import genrekit

    path = scanned_music / "library.sqlite3"
    second = genrekit("library", "serve", "--db", path, "--port", "0")
    assert second.returncode == 1
    assert "--read-only" in second.stderr
    assert serve(path, "--read-only").json("/api/session")["counts"]["all"] == 3


@pytest.mark.full
@pytest.mark.parametrize("content", [b"no database" * 100, b""])
def test_what_is_no_library_is_one_sentence(
    tmp_path: Path, content: bytes, serve: Callable[..., LibraryServer]
) -> None:
    from in_process import genrekit

    path = tmp_path / "library.sqlite3"
    path.write_bytes(content)
    if content:
        refused = genrekit("library", "serve", "--db", path, "--port", "0")
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert path.read_bytes() == content
    else:  # an empty file is a library without files
        server = serve(path)
        assert server.json("/api/session")["model"] is None
        assert server.json("/api/tracks")["total"] == 0
        assert server.json("/api/map")["ids"] == []
        assert "scan" in problem(server.get("/api/tracks/1/similar"), 409)
        with server.client() as client:
            assert "scan" in problem(client.post("/api/plan", json={}), 409)
