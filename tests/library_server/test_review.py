"""A plan from the first look to the undo, by one reviewer and by two."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from library_serving import LibraryServer, hashes, problem, running, scanned, wait_for

from genrekit import demo
from genrekit.tags import formats

SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One library for all of these tests: each leaves the files as it found them."""
    made = tmp_path_factory.mktemp("review")
    demo.write(made / "music")
    scanned(made, model=None)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LibraryServer]:
    with running(folder / "library.sqlite3") as server:
        yield server


def genres(folder: Path) -> dict[str, tuple[str, ...]]:
    return {path.name: formats.read(path).genres for path in sorted((folder / "music").iterdir())}


def done(client: httpx.Client, started: httpx.Response) -> dict[str, object]:
    """Wait until a job has ended; return it."""
    assert started.status_code == 202, started.text
    path = f"/api/jobs/{started.json()['id']}"
    wait_for(lambda: client.get(path).json()["state"] != "running")
    return client.get(path).json()


def planned(client: httpx.Client, **options: object) -> dict[str, object]:
    """Plan everything, whatever the probability; return the review."""
    job = done(client, client.post("/api/plan", json={"min_precision": None, **options}))
    assert job["state"] == "done", job
    return client.get("/api/plan").json()


def test_from_plan_to_undo(folder: Path, server: LibraryServer) -> None:
    before = hashes(folder)
    with server.client() as client:
        review = planned(client)
        assert review["state"] == "review"
        assert [line["old"] for line in review["lines"]] == [[], [], []]
        first, second, third = (line["id"] for line in review["lines"])
        decisions = [
            {"id": first, "decision": "accepted"},
            {"id": second, "decision": "accepted", "new": [SCRIPT, "Dub"]},
            {"id": third, "decision": "rejected"},
        ]
        body = {"revision": review["revision"], "decisions": decisions}
        changed = client.patch("/api/plan", json=body).json()
        assert changed["summary"]["accepted"] == 2
        wrong = {"revision": changed["revision"], "expected_count": 3}
        assert "2 files are accepted" in problem(client.post("/api/apply", json=wrong), 409)
        assert hashes(folder) == before  # nothing is written before this:
        right = {"revision": changed["revision"], "expected_count": 2}
        job = done(client, client.post("/api/apply", json=right))
        assert job["result"] == {"changed": 2, "unchanged": 0, "failed": 0}
        assert (job["done"], job["total"]) == (2, 2)
        held = list(genres(folder).values())
        assert held[0] == tuple(review["lines"][0]["new"])
        assert held[1:] == [(SCRIPT, "Dub"), ()]
        rows = client.get("/api/tracks").json()["rows"]
        assert [tuple(row["tags"]) for row in rows] == held
        track = client.get(f"/api/tracks/{rows[0]['id']}").json()
        assert [change["state"] for change in track["history"]] == ["done"]
        summary = client.get("/api/plan").json()["summary"]
        assert (summary["applied"], summary["rejected"]) == (2, 1)
        undone = done(client, client.post("/api/undo", json={"track": rows[0]["id"]}))
        assert undone["result"]["changed"] == 1
        assert hashes(folder)[Path(rows[0]["path"]).name] == before[Path(rows[0]["path"]).name]
        runs = client.get("/api/transactions").json()["transactions"]
        assert runs[0]["n_files"] == {"done": 1, "undone": 1}
        done(client, client.post("/api/undo", json={"transaction": runs[0]["id"]}))
        assert hashes(folder) == before
        assert client.get("/api/plan").json()["summary"]["open"] == 2
        again = client.post("/api/undo", json={"transaction": runs[0]["id"]})
        assert "nothing to undo" in problem(again, 422)


def test_a_style_in_a_field_of_its_own(folder: Path, server: LibraryServer) -> None:
    before = hashes(folder)
    drums = folder / "music" / "drums.flac"
    with server.client() as client:
        for other in ({"with_parents": True}, {"depth": 1}):
            refused = client.post("/api/plan", json={"style_field": "STYLE", **other})
            assert "a style in a field of its own cannot be had with" in problem(refused, 422)
        refused = client.post("/api/plan", json={"genre_map": "/etc/passwd"})
        assert "genre_map '/etc/passwd'" in problem(refused, 422)
        review = planned(client, style_field="STYLE", genre_map="id3v1")
        line = next(line for line in review["lines"] if line["path"] == str(drums))
        style = {"field": "STYLE", "old": [], "new": ["Disco"]}
        assert (line["new"], line["style"]) == (["Electronic"], style)
        decisions = [{"id": line["id"], "decision": "accepted"}]
        body = {"revision": review["revision"], "decisions": decisions}
        revision = client.patch("/api/plan", json=body).json()["revision"]
        done(client, client.post("/api/apply", json={"revision": revision, "expected_count": 1}))
        contents = formats.read(drums, style_field="STYLE")
        assert (contents.genres, contents.styles) == (("Electronic",), ("Disco",))
        change = client.get(f"/api/tracks/{line['track_id']}").json()["history"][0]
        assert (change["new"], change["style"]) == (["Electronic"], style)
        done(client, client.post("/api/undo", json={"transaction": change["transaction"]}))
    assert hashes(folder) == before


def test_the_second_reviewer_sees_the_first(server: LibraryServer) -> None:
    with server.client() as one, server.client() as two:
        seen_by_both = planned(one)
        line = seen_by_both["lines"][0]["id"]
        decision = {"decisions": [{"id": line, "decision": "accepted"}]}
        body = {"revision": seen_by_both["revision"], **decision}
        assert one.patch("/api/plan", json=body).status_code == 200
        for request in (
            two.patch("/api/plan", json=body),
            two.post("/api/plan/accept", json={"revision": body["revision"], "min_probability": 0}),
            two.post("/api/apply", json={"revision": body["revision"], "expected_count": 1}),
            two.request("DELETE", "/api/plan", json={"revision": body["revision"]}),
        ):
            assert "somebody else" in problem(request, 409)
        current = two.get("/api/plan").json()
        assert current["lines"][0]["decision"] == "accepted"


@pytest.mark.full
def test_what_is_as_probable_is_accepted_and_becomes_a_plan_file(
    folder: Path, server: LibraryServer
) -> None:
    with server.client() as client:
        review = planned(client)
        probabilities = sorted(line["probability"] for line in review["lines"])
        least = {"revision": review["revision"], "min_probability": probabilities[1]}
        accepted = client.post("/api/plan/accept", json=least).json()
        assert accepted["summary"]["accepted"] == 2
        path = folder / "plan.jsonl"
        path.write_bytes(client.get("/api/plan/file").content)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[0] == {"genrekit_plan": 1, "profile": "standard"}
        assert len(lines) == 3
        shown = client.get("/api/plan", params={"decision": "open"}).json()
        assert (shown["total"], len(shown["lines"])) == (1, 1)
        dropped = client.request("DELETE", "/api/plan", json={"revision": accepted["revision"]})
        assert dropped.json()["summary"]["n_lines"] == 0


@pytest.mark.full
def test_a_review_survives_a_restart(tmp_path: Path, serve: Callable[..., LibraryServer]) -> None:
    demo.write(tmp_path / "music")
    path = scanned(tmp_path, model=None)
    server = serve(path)
    with server.client() as client:
        review = planned(client)
        body = {"revision": review["revision"], "min_probability": 0}
        client.post("/api/plan/accept", json=body)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert serve(path).json("/api/plan")["summary"]["accepted"] == 3


@pytest.mark.full
def test_a_file_that_changed_or_is_gone_fails_alone(
    tmp_path: Path, serve: Callable[..., LibraryServer]
) -> None:
    folder = tmp_path
    demo.write(folder / "music")
    server = serve(scanned(folder, model=None))
    with server.client() as client:
        review = planned(client)
        files = sorted((folder / "music").iterdir())
        files[0].unlink()
        with files[1].open("ab") as stream:
            stream.write(b"\0" * 8)
        accepted = client.post(
            "/api/plan/accept", json={"revision": review["revision"], "min_probability": 0}
        ).json()
        body = {"revision": accepted["revision"], "expected_count": 3}
        job = done(client, client.post("/api/apply", json=body))
        assert job["result"] == {"changed": 1, "unchanged": 0, "failed": 2}
        failed = client.get("/api/plan", params={"decision": "failed"}).json()["lines"]
        assert "is not a file" in failed[0]["reason"]
        assert "has changed since" in failed[1]["reason"]
        assert not list((folder / "music").glob(".genrekit*"))


@pytest.mark.full
def test_an_edit_that_no_file_can_hold_is_refused(server: LibraryServer) -> None:
    with server.client() as client:
        review = planned(client)
        line = review["lines"][0]
        for new in ([], [""], ["a\nb"], ["x" * 201], ["\0"], ["a"] * 101, "rock", [3]):
            decision = {"id": line["id"], "decision": "accepted", "new": new}
            body = {"revision": review["revision"], "decisions": [decision]}
            problem(client.patch("/api/plan", json=body), 422)
        decision = {"id": 10**6, "decision": "accepted"}
        body = {"revision": review["revision"], "decisions": [decision]}
        problem(client.patch("/api/plan", json=body), 404)
        assert client.get("/api/plan").json()["lines"][0] == line


@pytest.mark.full
def test_an_apply_that_was_killed_goes_on_and_is_undone_whole(
    tmp_path: Path, serve: Callable[..., LibraryServer]
) -> None:
    (tmp_path / "music").mkdir()
    for number in range(80):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 22050 * 4)
        soundfile.write(tmp_path / "music" / f"{number:03}.flac", noise, 22050)
    path = scanned(tmp_path)
    before = hashes(tmp_path)
    server = serve(path)
    with server.client() as client:
        review = planned(client, min_precision=0)
        accepted = client.post(
            "/api/plan/accept", json={"revision": review["revision"], "min_probability": 0}
        ).json()
        body = {"revision": accepted["revision"], "expected_count": 80}
        job = client.post("/api/apply", json=body).json()
        address = f"/api/jobs/{job['id']}"
        wait_for(lambda: client.get(address).json()["done"] > 3)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    server = serve(path)
    with server.client() as client:
        assert client.get(address).json()["state"] == "interrupted"
        shown = client.get("/api/plan").json()
        assert shown["state"] == "applying"
        assert 3 <= shown["summary"]["applied"] < 80
        again = {"revision": shown["revision"], "min_probability": 0}
        assert "being applied" in problem(client.post("/api/plan/accept", json=again), 409)
        client.post(f"{address}/resume")
        wait_for(lambda: client.get(address).json()["state"] == "done")
        assert client.get("/api/plan").json()["summary"]["applied"] == 80
        assert all(genres(tmp_path).values())
        assert not list((tmp_path / "music").glob(".genrekit*"))
        runs = client.get("/api/transactions").json()["transactions"]
        assert [run["n_files"] for run in runs] == [{"done": 80}]
        undone = done(client, client.post("/api/undo", json={"transaction": runs[0]["id"]}))
        assert undone["result"]["changed"] == 80
        assert hashes(tmp_path) == before
