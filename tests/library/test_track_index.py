"""The index that a table of the library is read from: always as the library itself says."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import made_library
import numpy as np
import pytest

from genrekit.cli import library
from genrekit.library import database, embedding_map, query, track_index
from genrekit.library.track_query import TrackQuery
from genrekit.library.track_search import CONDITIONS, TrackTable


def add(
    connection: sqlite3.Connection,
    name: str,
    probabilities: list[float] | None,
    genres: tuple[str, ...] = (),
    **columns: object,
) -> int:
    """Add a file with audio of its own; return its id."""
    audio_id = made_library.add_audio(connection, name)
    if probabilities:
        embedding = np.random.default_rng(audio_id).standard_normal(40).tolist()
        made_library.add_prediction(connection, audio_id, probabilities, embedding)
    return made_library.add_file(connection, name, audio_id, genres, **columns)


def found(connection: sqlite3.Connection, **wanted: object) -> list[int]:
    track_index.refresh_all(connection)
    table = TrackTable(query.used_model(connection), 0.5)
    return table.ids(connection, TrackQuery(**wanted)).tolist()


def agreements(connection: sqlite3.Connection) -> dict[int, str]:
    track_index.refresh_all(connection)
    return dict(connection.execute("SELECT file_id, agreement FROM track_index").fetchall())


def test_the_filters_and_orders(connection: sqlite3.Connection) -> None:
    a = add(connection, "b.mp3", [0.1, 0.8, 0.1], ("Rock",), artist="zz", title="Émile")
    b = add(connection, "a.mp3", [0.4, 0.3, 0.3], artist="Aa", title="émile live")
    c = add(connection, "c.mp3", None, error="cannot be read")
    d = add(connection, "d.mp3", [0.1, 0.2, 0.7], ("Jazz",), is_missing=1)
    e = add(connection, "e.mp3", [0.05, 0.05, 0.9], ("Jazz",))
    assert found(connection) == [b, a, c, e]
    assert found(connection, sort="artist") == [b, a, c, e]
    assert found(connection, sort="artist", descending=True)[:2] == [a, b]  # nobody comes last
    assert found(connection, sort="probability", descending=True) == [e, a, b, c]
    assert found(connection, sort="agreement") == [a, e, b, c]  # alike ones by their paths
    assert found(connection, sort="agreement", descending=True) == [b, a, e, c]
    assert found(connection, sort="path", descending=True) == [e, c, a, b]
    assert found(connection, filter="disagrees") == [a, e]  # "Rock" is not "metal"
    assert found(connection, filter="missing") == [b, c]
    f = add(connection, "f.mp3", None, ("Other", "12"))
    assert found(connection, filter="placeholder") == [f]
    connection.execute("DELETE FROM files WHERE id = ?", (f,))
    assert found(connection, filter="below") == [b]
    assert found(connection, filter="failed") == [c]
    assert found(connection, filter="gone") == [d]
    assert found(connection, genre="rock") == [a, e]  # metal is rock too
    assert found(connection, search="EMILE") == []
    assert found(connection, search="live e\u0301mile") == [b]
    assert found(connection, min_probability=0.5, max_probability=0.85) == [a]
    table = TrackTable(query.used_model(connection), 0.5)
    assert table.counts(connection) == {
        name: len(found(connection, filter=name)) for name in CONDITIONS
    }
    assert table.window(connection, TrackQuery(), 1, 2).ids == [a, c]


def test_every_change_is_seen_whoever_makes_it(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", [0.4, 0.3, 0.3], ("Jazz",), album="x", album_artist="y")
    assert agreements(connection) == {first: "agrees"}
    second = add(connection, "2.mp3", [0.1, 0.1, 0.8], ("Rock",), album="x", album_artist="y")
    assert agreements(connection) == {first: "disagrees", second: "agrees"}  # the album is rock
    connection.execute("UPDATE files SET album = 'other' WHERE id = ?", (second,))
    assert agreements(connection) == {first: "agrees", second: "agrees"}
    connection.execute("UPDATE files SET genres = '[]' WHERE id = ?", (first,))
    assert agreements(connection)[first] == "untagged"
    connection.execute("DELETE FROM files WHERE id = ?", (second,))
    assert agreements(connection) == {first: "untagged"}
    assert track_index.n_stale(connection) == 0


def test_an_album_that_two_files_spell_differently_is_one(connection: sqlite3.Connection) -> None:
    first = add(connection, "1.mp3", [0.4, 0.3, 0.3], ("Jazz",), album="Über", album_artist="y")
    assert agreements(connection) == {first: "agrees"}
    second = add(connection, "2.mp3", [0.1, 0.1, 0.8], ("Rock",), album="über", album_artist="Y")
    assert agreements(connection) == {first: "disagrees", second: "agrees"}
    model = query.used_model(connection)
    assert [e.agreement.disagrees for e in query.entries(connection, model)] == [True, False]


def test_a_number_and_a_placeholder_are_what_the_list_takes_them_for(
    connection: sqlite3.Connection,
) -> None:
    rock = add(connection, "1.mp3", [0.1, 0.1, 0.8], ("(17)",))  # ID3's number of Rock
    other = add(connection, "2.mp3", [0.1, 0.1, 0.8], ("(12)",))  # of Other
    model = query.used_model(connection)
    listed = [entry.is_placeholder for entry in query.entries(connection, model)]
    assert listed == [False, True]
    assert found(connection, filter="placeholder") == [other]
    assert agreements(connection) == {rock: "agrees", other: "untagged"}


def test_a_tag_that_the_model_does_not_know_disagrees_in_the_table_and_the_list(
    connection: sqlite3.Connection,
) -> None:
    names = json.dumps(["blues", "house", "rock"])
    connection.execute("UPDATE models SET labels = ?", (names,))
    blues = add(connection, "1.mp3", [0.8, 0.1, 0.1], ("Electronic",))
    house = add(connection, "2.mp3", [0.1, 0.8, 0.1], ("Electronic",))
    assert agreements(connection) == {blues: "disagrees", house: "agrees"}
    model = query.used_model(connection)
    marks = [library.line(entry).split()[3] for entry in query.entries(connection, model)]
    assert marks == ["≠", "Electronic"]


def test_what_is_no_music_is_found(connection: sqlite3.Connection) -> None:
    names = json.dumps(["jazz", "rock", "speech"])
    connection.execute("UPDATE models SET labels = ?", (names,))
    add(connection, "song.mp3", [0.1, 0.8, 0.1])
    talk = add(connection, "talk.mp3", [0.1, 0.1, 0.8])
    assert found(connection, filter="not_music") == [talk]


def test_what_the_index_says_is_what_the_query_says(connection: sqlite3.Connection) -> None:
    random = np.random.default_rng(0)
    for number in range(60):
        genres = ("Rock",) if number % 3 == 0 else ("Jazz",) if number % 3 == 1 else ()
        album = f"album {number % 7}" if number % 2 else None
        add(connection, f"{number}.mp3", random.dirichlet([1, 1, 1]).tolist(), genres, album=album)
    model = query.used_model(connection)
    disagreeing = {
        str(entry.path) for entry in query.entries(connection, model, query.Filters(disagrees=True))
    }
    ids = found(connection, filter="disagrees")
    paths = dict(connection.execute("SELECT id, path FROM files").fetchall())
    assert {paths[id].decode() for id in ids} == disagreeing
    assert 0 < len(ids) < 60


def test_an_older_database_gets_its_index(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with sqlite3.connect(path) as old:
        old.executescript(database.SCHEMA[0] + database.SCHEMA[1])
        old.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        old.execute("PRAGMA user_version = 2")
        made_library.add_model(old)
        add(old, "1.mp3", [0.4, 0.3, 0.3])
    old.close()
    with database.opened(path) as connection:
        assert found(connection) == [1]
        assert embedding_map.update(connection, query.used_model(connection)) == 1


def test_the_map_finds_what_all_embeddings_give(connection: sqlite3.Connection) -> None:
    ids = [add(connection, f"{number}.mp3", [0.4, 0.3, 0.3]) for number in range(300)]
    model = query.used_model(connection)
    assert embedding_map.update(connection, model) == 300
    assert embedding_map.update(connection, model) == 0
    points = embedding_map.points(connection, model)
    assert points.file_ids.tolist() == ids
    places = points.places()
    assert np.abs(places).max() <= 1
    assert places.std(axis=0).min() > 0.1
    vectors = np.stack(
        [
            np.frombuffer(row[0], "<f2")
            for row in connection.execute("SELECT embedding FROM predictions ORDER BY audio_id")
        ]
    ).astype(np.float64)
    whole = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    cosines = whole @ whole[7]
    order = [ids[i] for i in np.argsort(-cosines) if i != 7][:5]
    pairs = embedding_map.similar(connection, model, points, ids[7], 5)
    assert [id for id, _ in pairs] == order
    assert pairs[0][1] == pytest.approx(np.sort(cosines)[-2], abs=1e-4)
    new = add(connection, "new.mp3", [0.4, 0.3, 0.3])
    assert embedding_map.update(connection, model) == 1
    assert embedding_map.points(connection, model).file_ids.tolist() == [*ids, new]


def test_a_map_is_fitted_on_no_more_recordings_than_its_maximum(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_map, "MAX_FITTED", 50)
    for number in range(99):
        add(connection, f"{number}.mp3", [0.4, 0.3, 0.3])
    connection.execute("DELETE FROM predictions WHERE audio_id % 2")  # ids need not be dense
    for number in range(99, 150):
        add(connection, f"{number}.mp3", [0.4, 0.3, 0.3])
    model = query.used_model(connection)
    assert embedding_map.update(connection, model) == 100
    fitted = connection.execute("SELECT n_fitted, mean FROM embedding_maps").fetchone()
    assert fitted["n_fitted"] == 50
    query_vectors = "SELECT audio_id, embedding FROM predictions ORDER BY audio_id"
    rows = [np.frombuffer(row[1], "<f2") for row in connection.execute(query_vectors)]
    chosen = np.linspace(0, 99, 50).round().astype(int)
    expected = np.mean([rows[place] for place in chosen], axis=0, dtype=np.float64)
    assert np.allclose(np.frombuffer(fitted["mean"], "<f4"), expected, atol=1e-6)
    add(connection, "one more.mp3", [0.4, 0.3, 0.3])
    assert embedding_map.update(connection, model) == 1  # the others keep their points
