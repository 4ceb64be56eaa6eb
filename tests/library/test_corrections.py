"""Corrections: labels by people, kept with the audio."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import mutagen.flac
import pytest
from typer.testing import CliRunner, Result

from genrekit import demo
from genrekit.batch.engines import InProcessEngine
from genrekit.cli import main
from genrekit.errors import LibraryError
from genrekit.library import corrections, database, scan, track_index

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made tracks in ``music``, one of them broken, and a scan's database."""
    folder = tmp_path_factory.mktemp("scanned")
    demo.write(folder / "music")
    (folder / "music" / "zbroken.mp3").write_bytes(b"no audio")
    rescan(folder / "library.sqlite3", folder / "music")
    return folder


@pytest.fixture
def db(scanned: Path, tmp_path: Path) -> Path:
    """The database as the scan left it."""
    return Path(shutil.copy(scanned / "library.sqlite3", tmp_path))


@pytest.fixture
def tracks(scanned: Path) -> list[Path]:
    """The tracks, and last the broken one."""
    return sorted((scanned / "music").iterdir())


@pytest.fixture
def connection(db: Path) -> Iterator[sqlite3.Connection]:
    with database.opened(db) as opened:
        yield opened


def rescan(db: Path, music: Path) -> None:
    with database.opened(db) as connection:
        scan.run(connection, scan.plan(connection, [music], TINY), InProcessEngine())


def genrekit(db: Path, *arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(main.build(), ["library", *words, "--db", str(db)])


def test_a_file_that_is_moved_tagged_and_copied_keeps_its_correction(tmp_path: Path) -> None:
    music, db = tmp_path / "music", tmp_path / "library.sqlite3"
    demo.write(music)
    rescan(db, music)
    first, *_ = sorted(music.iterdir())
    before = first.read_bytes()
    done = genrekit(db, "correct", first, "--genre", " Drum  and Bass ", "--genre", "Jungle")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Drum and Bass; Jungle  ")
    assert first.read_bytes() == before
    moved = music / "elsewhere" / first.name
    moved.parent.mkdir()
    first.rename(moved)
    copy = shutil.copy(moved, music / f"copy{first.suffix}")
    tags = mutagen.flac.FLAC(moved)
    tags["genre"] = "Polka"
    tags.save()
    rescan(db, music)
    (line,) = genrekit(db, "corrections", "--json").stdout.splitlines()
    found = json.loads(line)
    assert found["genres"] == ["Drum and Bass", "Jungle"]
    assert {str(moved), str(copy)} <= set(found["paths"])
    assert str(first) not in found["paths"]


def test_the_newest_correction_counts_and_can_be_removed(db: Path, tracks: list[Path]) -> None:
    first, second, *_ = tracks
    genrekit(db, "correct", first, second, "--genre", "Jazz")
    genrekit(db, "correct", first, "--genre", "Café")
    assert "Café" in genrekit(db, "corrections").stdout
    assert genrekit(db, "correct", first, "--remove").stdout.startswith("forgotten")
    assert "nothing was said" in genrekit(db, "correct", first, "--remove").stdout
    (line,) = genrekit(db, "corrections").stdout.splitlines()
    assert line.startswith("Jazz ")
    assert line.endswith(second.name)


def test_the_index_derives_a_corrected_file_anew(
    connection: sqlite3.Connection, tracks: list[Path]
) -> None:
    track_index.refresh_all(connection)
    audio_id = corrections.audio_of(connection, tracks[0])
    for change in (
        lambda: corrections.correct(connection, audio_id, ["Jazz"]),
        lambda: corrections.correct(connection, audio_id, ["Rock"]),
        lambda: corrections.remove(connection, audio_id),
    ):
        revision = track_index.revision(connection)
        change()
        assert track_index.n_stale(connection) == 1
        track_index.refresh_all(connection)
        assert track_index.revision(connection) > revision


@pytest.mark.parametrize(
    ("genres", "reason"),
    [
        ([], "got 0 genres; expected 1 to 10"),
        *[([name], "give 1 to 100 ") for name in ("  ", "-", "a" * 101, "a\x00b", "\udce9x")],
        (list("abcdefghijk"), "got 11 genres; expected 1 to 10"),
    ],
)
def test_what_is_no_genre_is_refused(
    connection: sqlite3.Connection, tracks: list[Path], genres: list[str], reason: str
) -> None:
    audio_id = corrections.audio_of(connection, tracks[0])
    corrections.correct(connection, audio_id, ["Jazz"])
    with pytest.raises(LibraryError, match=reason):
        corrections.correct(connection, audio_id, genres)
    assert corrections.find(connection, audio_id) == ("Jazz",)


def test_files_without_audio_or_scan_are_named_and_the_others_done(
    db: Path, tracks: list[Path]
) -> None:
    absent = tracks[0].with_name("absent.mp3")
    done = genrekit(db, "correct", tracks[-1], tracks[0], absent, "--genre", "Jazz")
    assert done.exit_code == 1
    assert "its audio cannot be read" in done.stderr
    assert "this file has not been scanned" in done.stderr
    assert done.stdout.startswith("Jazz")


def test_a_genre_or_its_removal_has_to_be_given(db: Path, tracks: list[Path]) -> None:
    assert genrekit(db, "correct", tracks[0]).exit_code == 2
    assert genrekit(db, "correct", tracks[0], "--genre", "Jazz", "--remove").exit_code == 2


def test_a_recording_that_is_not_there_cannot_be_corrected(
    connection: sqlite3.Connection,
) -> None:
    with pytest.raises(LibraryError, match="not in the library"):
        corrections.correct(connection, 10**6, ["Jazz"])
