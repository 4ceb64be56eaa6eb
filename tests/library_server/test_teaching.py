"""Corrections from the page, and which tracks it asks for."""

from __future__ import annotations

from pathlib import Path

from library_serving import LibraryServer, problem


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
