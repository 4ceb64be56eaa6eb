"""Better spellings of genres that are there: planned, applied, undone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import mutagen
import pytest

import tag_files
from genrekit.library import database
from genrekit.tagging import applying, journal, normalising, plan_files
from genrekit.tagging.genre_map import GenreMap
from genrekit.tags import formats, profiles
from in_process import genrekit


@pytest.mark.parametrize(
    ("genres", "expected"),
    [
        (["hip hop"], ["Hip-Hop"]),
        (["HipHop"], ["Hip-Hop"]),
        (["Rock/Pop"], ["Rock", "Pop"]),
        (["ROCK", "Alternative"], ["Rock", "Alternative"]),
        (["drum & bass"], ["Drum and Bass"]),
        (["R&B"], ["R&B"]),
        (["Rap"], ["Rap"]),
        (["(17)"], ["Rock"]),
        (["AC/DC"], ["AC/DC"]),
        (["rock", "Rock"], ["Rock"]),
        (["Other"], ["Other"]),
    ],
)
def test_spellings_become_better_and_no_genre_another(
    genres: list[str], expected: list[str]
) -> None:
    assert list(normalising.normalised(genres)) == expected


def test_the_users_list_comes_first() -> None:
    own = GenreMap(genres={"Hip Hop/Rap": ("rap", "hiphop"), "ROCK": ()})
    assert normalising.normalised(["hip-hop", "Rock, Jazz", "rap"], own) == (
        "Hip Hop/Rap",
        "ROCK",
        "Jazz",
    )


def test_files_are_written_and_undone_as_by_any_plan(every_format: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for name in ("a.flac", "id3v23.mp3", "a.m4a"):
        shutil.copy(every_format / name, music)
    for name, genre in (("a.flac", "rock; hip hop"), ("a.m4a", "Jazz")):
        file = mutagen.File(music / name)
        file["genre" if name == "a.flac" else "\xa9gen"] = [genre]
        file.save()
    before = {path: path.read_bytes() for path in music.iterdir()}
    found = normalising.propose([music], profiles.find())
    assert [(Path(entry.path).name, entry.new) for entry in found.entries] == [
        ("a.flac", ("Rock", "Hip-Hop"))
    ]
    assert found.counts == {"to change": 1, "agrees": 1, "untagged": 1, "failed": 0}
    plan_files.write(tmp_path / "plan.jsonl", "standard", found.entries)
    with database.opened(tmp_path / "l.sqlite3") as connection:
        planned = plan_files.read(tmp_path / "plan.jsonl")
        assert applying.apply(connection, planned).failures == {}
        command = ["metaflac", "--show-tag=genre", str(music / "a.flac")]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert shown == "genre=Rock\ngenre=Hip-Hop\n"
        assert normalising.propose([music], profiles.find()).entries == []
        assert formats.read(music / "a.flac").raw_genres == ("Rock", "Hip-Hop")
        assert applying.undo(connection, journal.chosen(connection)).failures == {}
    assert {path: path.read_bytes() for path in music.iterdir()} == before


def test_genres_that_another_program_joined_again_are_divided_again(
    every_format: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(every_format / "a.flac", tmp_path))
    with database.opened(tmp_path / "l.sqlite3") as connection:
        for _ in range(2):  # the second time the file says already that genrekit wrote it
            file = mutagen.File(path)
            file["genre"] = ["Rock; Hip-Hop"]
            file.save()
            found = normalising.propose([path], profiles.find())
            plan_files.write(tmp_path / "plan.jsonl", "standard", found.entries)
            plan = plan_files.read(tmp_path / "plan.jsonl")
            assert applying.apply(connection, plan).failures == {}
            assert formats.read(path).raw_genres == ("Rock", "Hip-Hop")
            assert applying.verify(plan).failures == {}


def test_a_read_only_file_that_is_spelled_well_is_no_failure(
    every_format: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(every_format / "a.flac", tmp_path))
    for genre, code in (("Rock", 0), ("Other", 0), ("hip hop", 1)):
        path.chmod(0o644)
        tag_files.tag(path, [genre])
        path.chmod(0o444)
        done = genrekit("tag", "normalise", tmp_path)
        assert done.returncode == code
        assert ("is read-only" in done.stderr) == bool(code)
