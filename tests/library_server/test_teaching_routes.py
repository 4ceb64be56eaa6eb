"""Corrections from the page, and which tracks it asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile
from library_serving import LibraryServer, problem, scanned, wait_for

RATE = 16000


def test_a_correction_is_kept_and_forgotten(reading: LibraryServer, scanned_music: Path) -> None:
    before = {path: path.read_bytes() for path in (scanned_music / "music").iterdir()}
    with reading.client() as client:
        asked = client.get("/api/teach", params={"n": 2}).json()["tracks"]
        assert len(asked) == 2
        assert all(track["why"] and track["correction"] is None for track in asked)
        path = f"/api/tracks/{asked[0]['id']}/correction"
        corrected = client.put(path, json={"genres": [" Hip-Hop ", "Dub"]}).json()
        assert corrected["correction"] == ["Hip-Hop", "Dub"]
        assert client.get("/api/session").json()["counts"]["corrected"] == 1
        shown = client.get("/api/tracks", params={"filter": "corrected"}).json()["rows"]
        assert [row["id"] for row in shown] == [asked[0]["id"]]
        left = client.get("/api/teach").json()["tracks"]
        assert asked[0]["id"] not in [track["id"] for track in left]
        names = client.get("/api/genres").json()["genres"]
        assert "Dub" in names
        assert len({name.casefold() for name in names}) == len(names)
        for genres in ([], ["-"], ["a\0"], ["x" * 300]):
            problem(client.put(path, json={"genres": genres}), 422)
        problem(client.put("/api/tracks/99/correction", json={"genres": ["Dub"]}), 404)
        assert client.delete(path).json()["correction"] is None
        assert client.get("/api/session").json()["counts"]["corrected"] == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.fixture
def taught_music(tmp_path: Path) -> Path:
    """A folder of 24 tones of two genres that the model lacks, two an artist; scanned."""
    (tmp_path / "music").mkdir()
    random = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for genre, hertz in {"Hum": 200.0, "Whistle": 3000.0}.items():
        for index in range(12):
            tone = 0.3 * np.sin(2 * np.pi * hertz * random.uniform(0.9, 1.1) * time)
            path = tmp_path / "music" / f"{genre}{index:02}.flac"
            soundfile.write(path, tone + 0.02 * random.normal(size=len(time)), RATE)
            tags = mutagen.flac.FLAC(path)
            tags.update(genre=genre, artist=f"{genre} artist {index // 2}")
            tags.save()
    scanned(tmp_path)
    return tmp_path


@pytest.mark.full
def test_a_model_is_trained_and_used_only_when_it_is_accepted(
    taught_music: Path, serve: Callable[..., LibraryServer], tmp_path: Path
) -> None:
    server = serve(taught_music / "library.sqlite3", XDG_DATA_HOME=str(tmp_path / "data"))
    with server.client() as client:

        def done(job: dict[str, object]) -> dict[str, object]:
            path = f"/api/jobs/{job['id']}"
            wait_for(lambda: client.get(path).json()["state"] != "running")
            return client.get(path).json()

        job = done(client.post("/api/train").json())
        assert job["state"] == "done", job
        result = job["result"]
        assert result["accuracy"] >= 0.9
        assert result["old_accuracy"] == 0
        assert result["low"] <= result["difference"] <= result["high"]
        assert result["n_tracks"] == 24
        assert client.get("/api/session").json()["model"]["name"] == "tiny"
        accepted = client.post("/api/train/accept", json={"job": job["id"]}).json()
        assert accepted["model"] == result["name"] == "tiny-taught"
        assert client.get("/api/session").json()["model"]["name"] == "tiny"  # until the next scan
        folders = {"folders": [str(taught_music / "music")]}
        scan = done(client.post("/api/scan", json=folders).json())
        assert scan["state"] == "done", scan
        session = client.get("/api/session").json()
        assert session["model"]["name"] == "tiny-taught"
        assert session["counts"]["disagrees"] <= 2
        assert "nothing" in problem(client.post("/api/train/accept", json={"job": scan["id"]}), 409)


@pytest.mark.full
def test_what_cannot_be_trained_says_why_and_what_is_cancelled_ends(
    taught_music: Path, serve: Callable[..., LibraryServer]
) -> None:
    server = serve(taught_music / "library.sqlite3")
    with server.client() as client:
        job = client.post("/api/train").json()
        path = f"/api/jobs/{job['id']}"
        assert problem(client.post(f"{path}/pause"), 409)
        client.post(f"{path}/cancel")
        wait_for(lambda: client.get(path).json()["state"] == "cancelled")
        assert not children_of(server.process.pid, b"--from-library")
        for name in ("Hum", "Whistle"):
            for file in (taught_music / "music").glob(f"{name}*"):
                file.unlink()
        job = client.post("/api/train").json()
        path = f"/api/jobs/{job['id']}"
        wait_for(lambda: client.get(path).json()["state"] == "failed")
        assert "can be decoded" in client.get(path).json()["messages"][-1]


def children_of(pid: int, word: bytes) -> list[int]:
    """Return the processes below another one whose command line holds a word."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            if word in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found
