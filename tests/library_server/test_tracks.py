"""What is shown of a library: the table, single tracks, their audio and covers, the map."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from library_serving import LibraryServer, problem, scanned

from genrekit.tags import pictures

PNG = b"\x89PNG\r\n\x1a\n" + b"made" * 4


def test_the_table_and_a_track(reading: LibraryServer) -> None:
    session = reading.json("/api/session")
    assert session["model"]["name"] == "tiny"
    assert session["counts"]["all"] == session["counts"]["missing"] == 3
    assert sum(label["n_tracks"] for label in session["labels"]) == 3
    window = reading.json("/api/tracks", sort="probability", descending=True, limit=2, offset=1)
    assert window["total"] == 3
    whole = reading.json("/api/tracks/ids", sort="probability", descending=True)["ids"]
    assert [row["id"] for row in window["rows"]] == whole[1:]
    row = window["rows"][0]
    track = reading.json(f"/api/tracks/{row['id']}")
    assert track["probabilities"][0] == {
        "label": row["label"],
        "display_name": row["display_name"],
        "probability": row["probability"],
    }
    assert [source["source"] for source in track["sources"]] == ["audio"]
    assert track["history"] == []


def test_what_is_asked_wrongly_is_one_sentence(reading: LibraryServer) -> None:
    assert "99" in problem(reading.get("/api/tracks/99"), 404)
    assert "sort" in problem(reading.get("/api/tracks", sort="loudness"), 422)
    assert "limit" in problem(reading.get("/api/tracks", limit=100_000), 422)
    for lasso in ("0,0,1,1", "0,0,1,1,0", "a,b,c,d,e,f", "0,0,1,nan,0,1", "0,0," * 200 + "0,0"):
        assert "lasso" in problem(reading.get("/api/tracks", lasso=lasso), 422)
    problem(reading.get(f"/api/tracks/{1 << 70}"), 422)
    problem(reading.get("/api/tracks/1/audio/../../../etc/passwd"), 404)
    problem(reading.get("/api/tracks/99/audio"), 404)
    unknown = reading.get("/api/tracks/1/explanation", label="polka")
    assert "polka" in problem(unknown, 422)


def test_a_track_is_analysed_where_it_is_asked(reading: LibraryServer) -> None:
    timeline = reading.json("/api/tracks/1/timeline")
    assert timeline["spans"][-1]["end_seconds"] == timeline["duration_seconds"] == 12
    evidence = reading.json("/api/tracks/1/explanation", label="jazz")
    assert evidence["genre"] == "jazz"
    similar = reading.json("/api/tracks/1/similar")["tracks"]
    assert {track["id"] for track in similar} == {2, 3}
    places = reading.json("/api/map")
    assert places["ids"] == [1, 2, 3]
    assert np.abs([places["x"], places["y"]]).max() <= 1
    x, y = places["x"][1], places["y"][1]
    around = ",".join(map(str, (x - 0.1, y - 0.1, x + 0.1, y - 0.1, x, y + 0.1)))
    assert reading.json("/api/tracks/ids", lasso=around) == {"ids": [2]}
    assert reading.json("/api/tracks/ids", lasso="-2,-2,2,-2,2,2,-2,2")["ids"] == [1, 2, 3]


def test_audio_is_the_file_or_a_part_of_it(reading: LibraryServer, scanned_music: Path) -> None:
    path = sorted((scanned_music / "music").iterdir())[0]
    with reading.client() as client:
        whole = client.get("/api/tracks/1/audio")
        assert whole.content == path.read_bytes()
        assert whole.headers["content-type"] == "audio/flac"
        part = client.get("/api/tracks/1/audio", headers={"Range": "bytes=100-199"})
        assert part.status_code == 206
        assert part.content == path.read_bytes()[100:200]


def test_audio_as_wav_can_be_sought(reading: LibraryServer, scanned_music: Path) -> None:
    path = sorted((scanned_music / "music").iterdir())[0]
    expected, rate = soundfile.read(path, dtype="float32")
    with reading.client() as client:
        whole = client.get("/api/tracks/1/audio", params={"decoded": True}).content
        decoded, decoded_rate = soundfile.read(io.BytesIO(whole), dtype="float32")
        assert decoded_rate == rate
        assert np.abs(decoded - expected).max() < 1e-4
        for first, last in ((0, 10), (30, 99), (100_001, 2_000_000), (len(whole) - 7, 10**12)):
            headers = {"Range": f"bytes={first}-{last}"}
            part = client.get("/api/tracks/1/audio", params={"decoded": True}, headers=headers)
            assert part.status_code == 206
            assert part.content == whole[first : last + 1]
        headers = {"Range": f"bytes={len(whole)}-"}
        behind = client.get("/api/tracks/1/audio", params={"decoded": True}, headers=headers)
        problem(behind, 416)


@pytest.mark.full
def test_what_browsers_do_not_play_comes_as_wav(
    folder: Path, serve: Callable[..., LibraryServer]
) -> None:
    source = next((folder / "music").glob("*.flac"))
    for suffix in ("aiff", "wv", "wma"):
        target = source.with_suffix(f".{suffix}")
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, target], check=True)
    for path in (folder / "music").glob("*.flac"):
        path.unlink()
    server = serve(scanned(folder))
    rows = server.json("/api/tracks")["rows"]
    assert len(rows) == 3
    for row in rows:
        answer = server.get(f"/api/tracks/{row['id']}/audio")
        assert answer.headers["content-type"] == "audio/wav"
        waveform, _ = soundfile.read(io.BytesIO(answer.content))
        assert len(waveform) == pytest.approx(12 * 44100, rel=0.01)
        assert waveform.std() > 0.01
    Path(rows[0]["path"]).unlink()
    assert "no such file" in problem(server.get(f"/api/tracks/{rows[0]['id']}/audio"), 422)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "m4a", "ogg", "wma"])
def test_covers_are_found_in_every_kind_of_tag(
    scanned_music: Path, tmp_path: Path, suffix: str
) -> None:
    import base64

    import mutagen
    from mutagen import asf, flac, id3, mp4

    source = next((scanned_music / "music").glob("*.flac"))
    path = tmp_path / f"song.{suffix}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, path], check=True)
    tagged = mutagen.File(path)
    if tagged.tags is None:
        tagged.add_tags()
    made = flac.Picture()
    made.type, made.mime, made.data = 3, "image/svg+xml", PNG  # what it is called does not count
    if suffix == "mp3":
        tagged.tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc="", data=PNG))
    elif suffix == "flac":
        tagged.add_picture(made)
    elif suffix == "m4a":
        tagged.tags["covr"] = [mp4.MP4Cover(PNG, mp4.MP4Cover.FORMAT_PNG)]
    elif suffix == "ogg":
        tagged.tags["metadata_block_picture"] = [base64.b64encode(made.write()).decode()]
    else:
        block = b"\3" + len(PNG).to_bytes(4, "little") + "image/png\0\0".encode("utf-16-le") + PNG
        tagged.tags["WM/Picture"] = [asf.ASFByteArrayAttribute(block)]
    tagged.save()
    assert pictures.cover(path) == pictures.Picture("image/png", PNG)


@pytest.mark.full
def test_a_cover_beside_the_track_is_no_script(
    folder: Path, serve: Callable[..., LibraryServer]
) -> None:
    server = serve(scanned(folder))
    music = folder / "music"
    problem(server.get("/api/tracks/1/cover"), 404)
    (music / "cover.jpg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>")
    problem(server.get("/api/tracks/1/cover"), 404)
    (music / "Folder.PNG").write_bytes(PNG)
    answer = server.get("/api/tracks/1/cover")
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
