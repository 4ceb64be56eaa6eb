"""The vote of an artist's other tracks: whose they are, what counts once, what the index says."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import made_library
import numpy as np
import pytest
from typer.testing import CliRunner

from genrekit.cli import main
from genrekit.library import artists, database, query, track_index
from genrekit.library.artists import ArtistVotes
from genrekit.library.mates import Mates
from genrekit.library_server import track_view

JAZZ, METAL, ROCK = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


def add(
    connection: sqlite3.Connection,
    name: str,
    probabilities: list[float],
    recording: str | None = None,
    genres: tuple[str, ...] = (),
    **columns: object,
) -> int:
    """Add a file; those of one recording hold the same audio."""
    audio_id = made_library.add_audio(connection, recording or name)
    made_library.add_prediction(connection, audio_id, probabilities)
    return made_library.add_file(connection, name, audio_id, genres, **columns)


def vote(connection: sqlite3.Connection, file_id: int) -> list[float] | None:
    """Return what the artist's others say of a file: by the list, which the index has to match."""
    track_index.refresh_all(connection)
    model = query.used_model(connection)
    path = connection.execute("SELECT path FROM files WHERE id = ?", (file_id,)).fetchone()[0]
    entry = query.entry_of(connection, model, database.decode_path(path))
    indexed = track_index.sources(connection, model, file_id)
    assert entry.agreement is not None
    assert indexed is not None
    assert indexed.to_dict() == entry.agreement.to_dict()
    found = entry.agreement.sources.get("artist")
    return None if found is None else found.round(4).tolist()


def agreements(connection: sqlite3.Connection) -> dict[int, str]:
    """Return the index after its refresh, which has to be that of a whole new one."""
    track_index.refresh_all(connection)
    kept = dict(connection.execute("SELECT file_id, agreement FROM track_index").fetchall())
    connection.execute("INSERT OR IGNORE INTO track_index_stale SELECT id FROM files")
    track_index.refresh_all(connection)
    assert kept == dict(connection.execute("SELECT file_id, agreement FROM track_index").fetchall())
    return kept


def test_the_artists_tracks_on_other_albums_vote(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Ann", album="A", album_artist="Ann")
    second = add(connection, "2.mp3", METAL, artist="Ann", album="A", album_artist="Ann")
    third = add(connection, "3.mp3", ROCK, artist="ANN", album="B", album_artist="Ann")
    single = add(connection, "4.mp3", ROCK, artist="ann")
    add(connection, "5.mp3", METAL, artist="Bob")
    assert vote(connection, first) == vote(connection, second) == ROCK  # both of the others
    of_third = (np.sum([JAZZ, METAL, ROCK], axis=0) / 3).round(4).tolist()
    assert vote(connection, third) == vote(connection, single) == of_third


def test_no_recording_counts_twice(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Ann", album="A")
    add(connection, "2.mp3", METAL, "two", artist="Ann", album="A")
    add(connection, "best/2.mp3", METAL, "two", artist="Ann", album="Best of")
    add(connection, "best/1.mp3", JAZZ, "1.mp3", artist="Ann", album="Best of")
    assert vote(connection, first) is None  # all that is on another album is on its own too
    other = add(connection, "3.mp3", ROCK, artist="Ann", album="B")
    assert vote(connection, first) == ROCK
    assert vote(connection, other) == [0.45, 0.45, 0.1]
    connection.execute("UPDATE files SET is_missing = 1 WHERE id = ?", (other,))
    assert vote(connection, first) is None
    assert vote(connection, other) == [0.45, 0.45, 0.1]


@pytest.mark.parametrize(
    "name", [None, "", " ", "Various Artists", "VA", "unknown artist", "Compilations", "-"]
)
def test_who_is_nobody_does_not_vote(connection: sqlite3.Connection, name: str | None) -> None:
    first = add(connection, "1.mp3", JAZZ, artist=name)
    add(connection, "2.mp3", ROCK, artist=name)
    assert vote(connection, first) is None


def test_one_spelling_of_composed_and_decomposed_letters(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Bjo\u0308rk")
    add(connection, "2.mp3", ROCK, artist="BJ\u00d6RK")
    assert vote(connection, first) == ROCK


def test_the_others_decide_where_a_track_is_unsure(connection: sqlite3.Connection) -> None:
    unsure = [0.4, 0.3, 0.3]
    first = add(connection, "1.mp3", unsure, genres=("Rock",), artist="Ann")
    assert agreements(connection) == {first: "disagrees"}
    second = add(connection, "2.mp3", ROCK, artist="ann")
    assert agreements(connection) == {first: "agrees", second: "untagged"}
    connection.execute("UPDATE files SET artist = 'Bob' WHERE id = ?", (second,))
    assert agreements(connection)[first] == "disagrees"
    connection.execute("UPDATE files SET artist = 'Ann' WHERE id = ?", (second,))
    assert agreements(connection)[first] == "agrees"
    connection.execute("UPDATE files SET artist = 'ANN' WHERE id = ?", (second,))
    agreements(connection)
    connection.execute("DELETE FROM files WHERE id = ?", (second,))
    assert agreements(connection) == {first: "disagrees"}


def test_a_tag_of_the_others_does_not_vote(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Ann", genres=("Rock",))
    add(connection, "2.mp3", JAZZ, artist="Ann", genres=("Rock",))
    assert agreements(connection)[first] == "disagrees"


def test_of_many_tracks_the_first_vote(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("artists", "mates"):
        monkeypatch.setattr(f"genrekit.library.{module}.MAX_VOTERS", 5)
    random = np.random.default_rng(0)
    ids = [
        add(connection, f"{n}.mp3", random.dirichlet([1, 1, 1]).tolist(), genres=("Rock",),
            artist="Ann", album=f"album {n % 4}" if n % 3 else None)
        for n in range(30)
    ]  # fmt: skip
    agreements(connection)
    late = add(connection, "late.mp3", ROCK, artist="Ann")
    before = vote(connection, ids[20])
    connection.execute("DELETE FROM track_index_stale WHERE file_id <> ?", (late,))
    assert track_index.refresh(connection) == 0
    assert vote(connection, ids[20]) == before
    for change in (
        "UPDATE files SET is_missing = 1 WHERE id = 3",
        "UPDATE files SET artist = 'Bob' WHERE id IN (1, 7)",
        "DELETE FROM files WHERE id = 2",
        "UPDATE files SET album = 'album 1' WHERE id IN (4, 5, 25)",
        "UPDATE files SET artist = 'ANN' WHERE id IN (1, 9)",
        "DELETE FROM files WHERE id IN (4, 5, 8)",
    ):
        connection.execute(change)
        agreements(connection)
        assert vote(connection, ids[20]) is not None


@pytest.mark.untraced
def test_what_changes_in_many_ways_is_what_a_new_index_says(
    connection: sqlite3.Connection,
) -> None:
    random = np.random.default_rng(1)
    names = ["Ann", "ANN", "Bob", "bob", "Various Artists", None]
    albums = ["A", "a", "B", None]
    for number in range(60):
        genres = ("Rock",) if number % 2 else ("Jazz",)
        add(connection, f"{number}.mp3", random.dirichlet([1, 1, 1]).tolist(),
            f"recording {number % 50}", genres, artist=names[number % 6],
            album=albums[number % 4], album_artist=names[number % 3])  # fmt: skip
    agreements(connection)
    for _ in range(30):
        file = int(random.integers(1, 61))
        column = ("artist", "album", "is_missing")[int(random.integers(3))]
        values: Any = {"artist": names, "album": albums, "is_missing": [0, 1]}[column]
        value = values[int(random.integers(len(values)))]
        connection.execute(f"UPDATE files SET {column} = ? WHERE id = ?", (value, file))  # noqa: S608
        agreements(connection)
    model = query.used_model(connection)
    listed = {
        entry.path.name: entry.agreement.disagrees
        for entry in query.entries(connection, model)
        if entry.agreement
    }
    rows = connection.execute("SELECT id, path FROM files").fetchall()
    kept = agreements(connection)
    for row in rows:
        assert (kept[row["id"]] == "disagrees") == listed[Path(row["path"].decode()).name]


def test_show_and_the_page_say_who_votes_with_which_weight(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Ann")
    add(connection, "2.mp3", ROCK, artist="Ann")
    db = ["--db", str(tmp_path / "library.sqlite3")]
    shown = CliRunner().invoke(main.build(), ["library", "show", "/music/1.mp3", *db]).stdout
    assert ["artist", "1", "rock", "80.0", "%"] in [line.split() for line in shown.splitlines()]
    verb = ["library", "show", "/music/1.mp3", "--json", *db]
    fields = json.loads(CliRunner().invoke(main.build(), verb).stdout)
    expected = {"weight": 1.0, "labels": ["rock"], "probability": 0.8}
    assert fields["agreement"]["sources"]["artist"] == expected
    track_index.refresh_all(connection)
    track = track_view.details(connection, query.used_model(connection), first)
    sources = {its.source: its.model_dump(exclude={"source"}) for its in track.sources}
    assert sources["artist"] == expected


def test_a_tag_that_the_model_does_not_know_is_shown_without_a_probability(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    folk = add(connection, "1.mp3", JAZZ, genres=("Folk", "Sea [Shanty]"))
    other = add(connection, "2.mp3", JAZZ, genres=("Other",))
    db = ["--db", str(tmp_path / "library.sqlite3")]
    shown = [
        CliRunner().invoke(main.build(), ["library", "show", path, *db]).stdout
        for path in ("/music/1.mp3", "/music/2.mp3")
    ]
    assert ["tag", "-", "Folk;", "Sea", "[Shanty]", "-"] in [
        line.split() for line in shown[0].splitlines()
    ]
    assert "they disagree" in shown[0]
    assert not any(line.startswith("tag ") for line in shown[1].splitlines())
    track_index.refresh_all(connection)
    model = query.used_model(connection)
    (found,) = [its for its in track_view.details(connection, model, folk).sources[1:]]
    said = (found.source, found.weight, found.labels, found.probability)
    assert said == ("tag", None, ["Folk", "Sea [Shanty]"], None)
    assert [its.source for its in track_view.details(connection, model, other).sources] == ["audio"]


def test_a_refresh_reads_the_files_of_an_artist_once(connection: sqlite3.Connection) -> None:
    for number in range(3):
        add(connection, f"{number}.mp3", JAZZ, artist="Ann", album=f"{number}")
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    track_index.refresh(connection)
    connection.set_trace_callback(None)
    assert sum("FROM files WHERE artist IN" in statement for statement in statements) == 1


def test_files_of_a_spelling_that_comes_later_are_read_too(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", JAZZ, artist="Ann")
    second = add(connection, "2.mp3", ROCK, artist="ANN")  # neither is in the index yet
    mates = Mates(connection, query.used_model(connection).id)
    assert mates.affected([first]) == {first}
    assert mates.needed([first, second]) == {first, second}
    assert mates.needed([first]) == {first, second}


def test_an_artist_of_many_tracks_costs_what_its_voters_cost() -> None:
    found = ArtistVotes()
    for number in range(5000):
        found.add("ann", None, number, np.array([1.0, 0.0] if number < 100 else [0.0, 1.0]))
    assert artists.MAX_VOTERS == 100
    mean = found.mean("ann", None, 4999)
    assert mean is not None
    assert mean.tolist() == [1.0, 0.0]
    assert found.mean("bob", None, 0) is None
