"""Reading a library: filters, agreement, similar tracks, exports."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from genrekit import files
from genrekit.cli import main
from genrekit.errors import LibraryError
from genrekit.library import database, embeddings, exporting, query, store, summary
from genrekit.library.agreement import Agreement, AgreementBuilder
from genrekit.library.analysis import Analysis, Identity
from genrekit.library.query import Filters
from genrekit.library.walk import Found
from genrekit.models import registry
from genrekit.tags.formats.contents import TagContents

TINY = Path(__file__).parents[1] / "golden" / "tiny"
LABELS = registry.read(TINY).card.labels
Connection = sqlite3.Connection


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A library of made predictions: with a label, a probability, a folder and tags."""
    with database.opened(tmp_path / "l.sqlite3") as connection:
        model = store.save_model(connection, registry.read(TINY))
        add(connection, model, b"/m/rock/a/1.mp3", "rock", 0.9, TagContents(("Rock",), album="A"))
        add(connection, model, b"/m/rock/a/2.mp3", "pop", 0.4, TagContents(album="a"))
        add(connection, model, b"/m/rock/a/3.mp3", "rock", 0.8, TagContents(("Trance",), album="A"))
        add(connection, model, b"/m/caf\xe9\n.mp3", "hiphop", 0.7, TagContents(("Rap", "Pop")))
        add(connection, model, b"/m/x.mp3", "jazz", 0.95, TagContents(("Metal",), artist="Ann"))
        store.save_file_error(connection, Found(b"/m/bad.mp3", 1, 1), "/m/bad.mp3: broken", False)
        store.save_file_error(connection, Found(b"/m/hang.mp3", 1, 1), "took too long", True)
        add(connection, model, b"/m/gone.mp3", "disco", 0.9, TagContents())
        store.start_walk(connection)
        store.mark_missing(connection, [b"/m/gone.mp3"])
        yield connection


def test_duplicates_are_files_of_one_audio_but_not_names_of_one_file(
    connection: Connection, tmp_path: Path
) -> None:
    places = [tmp_path / name for name in ("a.mp3", "b.mp3", "c.mp3")]
    places[0].write_bytes(b"1")
    places[1].write_bytes(b"2")
    places[2].hardlink_to(places[0])
    for path, digest in zip(
        [*places, "/away/a.mp3"], ["same", "same", "same", "other"], strict=True
    ):
        found = Found(os.fsencode(path), 1000, 1)
        store.save_identity(connection, Identity(found, digest, TagContents()))
    assert list(summary.duplicates(connection)) == [{places[0]: 1000, places[1]: 1000}]
    verb = ["library", "duplicates", "--db", str(tmp_path / "l.sqlite3")]
    shown = CliRunner().invoke(main.build(), verb).stdout.splitlines()
    assert shown[:3] == [*map(str, places[:2]), ""]
    assert shown[3:] == ["recordings with copies: 1; surplus files: 1, 0.0 MB"]


def add(
    connection: Connection,
    model: int,
    path: bytes,
    label: str,
    probability: float,
    tags: TagContents,
) -> None:
    store.save_identity(connection, Identity(Found(path, 1, 1), path.hex(), tags))
    row = connection.execute("SELECT id FROM audio WHERE digest = ?", (path.hex(),)).fetchone()
    spread = vector(label, probability)
    embedding = np.append(spread, len(path)).astype("<f2").tobytes()
    analysis = Analysis(row["id"], spread.astype("<f4").tobytes(), embedding, 30.0, ("quiet",))
    store.save_prediction(connection, model, analysis)


def vector(label: str, probability: float) -> np.ndarray:
    others = (1 - probability) / (len(LABELS) - 1)
    return np.array([probability if name == label else others for name in LABELS])


def names(connection: Connection, **filters: object) -> list[str]:
    used = query.used_model(connection)
    return [entry.path.name for entry in query.entries(connection, used, Filters(**filters))]


CAFE = os.fsdecode(b"caf\xe9\n.mp3")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [CAFE, "1.mp3", "2.mp3", "3.mp3", "x.mp3"]),
        ({"genre": "rock"}, ["1.mp3", "3.mp3"]),
        ({"genre": "rock", "min_probability": 0.85}, ["1.mp3"]),
        ({"missing_tag": True}, ["2.mp3"]),
        ({"disagrees": True}, ["3.mp3", "x.mp3"]),  # the model knows no Trance
        ({"disagrees": True, "genre": "jazz"}, ["x.mp3"]),
        ({"placeholder": True}, []),
        ({"failed": True}, ["bad.mp3", "hang.mp3"]),
        ({"quarantined": True}, ["hang.mp3"]),
        ({"missing": True}, ["gone.mp3"]),
    ],
)
def test_filters(connection: Connection, filters: dict[str, object], expected: list[str]) -> None:
    assert names(connection, **filters) == expected


def test_an_entry_holds_all_that_is_known(connection: Connection) -> None:
    used = query.used_model(connection, "tiny")
    entry = query.entry_of(connection, used, Path("/m/x.mp3"))
    assert (entry.label, entry.probability, entry.duration_seconds) == ("jazz", 0.95, 30.0)
    assert (entry.genres, entry.tags["artist"], entry.warnings) == (("Metal",), "Ann", ("quiet",))
    fields = json.loads(json.dumps(entry.to_dict()))
    assert fields["agreement"]["sources"]["tag"] == {
        "weight": 1.0,
        "labels": ["metal"],
        "probability": 1.0,
    }
    with pytest.raises(LibraryError, match="this file has not been scanned"):
        query.entry_of(connection, used, Path("/m/absent.mp3"))


def test_the_tracks_of_an_album_count_together(connection: Connection) -> None:
    used = query.used_model(connection)
    entry = query.entry_of(connection, used, Path("/m/rock/a/2.mp3"))
    assert entry.label == "pop"
    assert entry.agreement is not None
    assert entry.agreement.predicted_label == "rock"  # as its album's other two tracks
    mean = np.mean([vector("rock", 0.9), vector("pop", 0.4), vector("rock", 0.8)], axis=0)
    assert np.allclose(entry.agreement.sources["album"], mean, atol=1e-6)


def test_files_that_are_gone_and_second_copies_do_not_count(connection: Connection) -> None:
    used = query.used_model(connection)
    before = query.votes(connection, used.id).albums
    gone = b"/m/rock/a/gone.mp3"
    add(connection, used.id, gone, "disco", 0.9, TagContents(album="A"))
    with_guest = query.votes(connection, used.id).albums
    store.mark_missing(connection, [gone])
    copy = Found(b"/m/rock/a/copy.mp3", 1, 1)
    of_second = b"/m/rock/a/2.mp3".hex()
    store.save_identity(connection, Identity(copy, of_second, TagContents(album="A")))
    album = ("a", Path("/m/rock/a"))
    assert not np.allclose(with_guest.mean(album), before.mean(album))
    assert np.allclose(query.votes(connection, used.id).albums.mean(album), before.mean(album))


def agreement(audio: str, genres: Sequence[str], path: str = "/m/a.mp3") -> Agreement:
    return AgreementBuilder(LABELS).build(vector(audio, 0.8), None, None, genres, Path(path))


@pytest.mark.parametrize(
    ("genres", "path", "disagrees"),
    [
        ([], "/m/a.mp3", False),
        (["ROCK"], "/m/a.mp3", False),
        (["Pop", "rock"], "/m/a.mp3", False),
        (["Pop"], "/m/a.mp3", True),
        (["Dub Techno"], "/m/a.mp3", True),  # no label of the model
        (["Electronic"], "/m/a.mp3", True),
        (["Electronic"], "/m/Rock/a.mp3", True),
        (["Electronic", "Other"], "/m/a.mp3", True),
        (["(52)"], "/m/a.mp3", True),  # ID3's number of Electronic
        (["(17)"], "/m/a.mp3", False),  # of Rock
        (["79"], "/m/a.mp3", False),  # of Hard Rock
        (["Other"], "/m/a.mp3", False),  # says nothing
        (["Garage Rock"], "/m/a.mp3", False),  # a narrower name of a label
        (["Reggae - Dub"], "/m/a.mp3", True),
        (["Pop/Rock"], "/m/a.mp3", False),
        ([], "/m/Jazz/Ann/a.mp3", True),
        (["rock"], "/m/Jazz/Ann/a.mp3", True),
        (["rock"], "/jazz/Rock/Ann/a.mp3", False),  # the nearest folder counts
        (["Hip-Hop"], "/m/Rap/a.mp3", True),
    ],
)
def test_disagreement(genres: list[str], path: str, disagrees: bool) -> None:
    assert agreement("rock", genres, path).disagrees is disagrees


@pytest.mark.parametrize(
    ("predicted", "genre", "disagrees"),
    [
        ("blues", "Electronic", True),
        ("house", "Electronic", False),  # house is electronic
        ("house", "Dance", False),  # another name of that
        ("bebop", "Jazz", False),
        ("bebop", "Electronic / Jazz", False),
        ("bebop", "Rock", True),
        ("house", "Zouk", True),
    ],
)
def test_a_tag_that_is_wider_than_the_prediction_does_not_disagree(
    predicted: str, genre: str, disagrees: bool
) -> None:
    names = ("blues", "house", "bebop")
    audio = np.array([0.8 if name == predicted else 0.1 for name in names])
    found = AgreementBuilder(names).build(audio, None, None, [genre], Path("/m/a.mp3"))
    assert found.labels_of("tag") == ()
    assert found.disagrees is disagrees


def test_the_mean_of_all_sources_is_weighted() -> None:
    found = agreement("rock", ["pop", "jazz"], "/m/Jazz/a.mp3")
    total = vector("rock", 0.8)
    total = total + np.array([0.5 * (name in ("pop", "jazz")) for name in LABELS])
    total = total + 0.5 * np.array([name == "jazz" for name in LABELS])
    assert np.allclose(found.mean(), total / 2.5)
    assert found.label == "jazz"
    assert found.labels_of("tag") == ("jazz", "pop")
    assert found.labels_of("album") == ()


def test_a_model_is_found_by_name_and_digits_and_an_unknown_one_refused(
    connection: Connection, tmp_path: Path
) -> None:
    sha256 = registry.read(TINY).card.onnx_sha256
    assert query.used_model(connection, sha256[:8]) == query.used_model(connection, "tiny")
    with pytest.raises(LibraryError, match="unknown model of this library 'tinny'; did you mean"):
        query.used_model(connection, "tinny")
    with (
        database.opened(tmp_path / "new.sqlite3") as empty,
        pytest.raises(LibraryError, match="nothing has been scanned yet"),
    ):
        query.used_model(empty)


def test_a_genre_may_be_spelled_anyhow_and_an_unknown_one_is_refused(
    connection: Connection,
) -> None:
    used = query.used_model(connection)
    assert query.label_of(used, "Hip Hop") == query.label_of(used, "RAP") == "hiphop"
    with pytest.raises(LibraryError, match="unknown genre of model 'tiny' 'roc'; did you mean"):
        query.label_of(used, "roc")


def test_similar_tracks_come_by_cosine(connection: Connection) -> None:
    used = query.used_model(connection)
    found = embeddings.similar(connection, used, Path("/m/rock/a/1.mp3"), top=2)
    assert found[0][0].name == "3.mp3"
    assert len(found) == 2
    assert 1 >= found[0][1] > found[1][1]
    everything = embeddings.similar(connection, used, Path("/m/rock/a/1.mp3"), top=99)
    assert {path.name for path, _ in everything} == {CAFE, "2.mp3", "3.mp3", "x.mp3"}


def test_counts(connection: Connection) -> None:
    found = summary.summarise(connection)
    assert (found.n_files, found.n_audio, found.n_missing) == (7, 5, 1)
    assert (found.n_failed, found.n_quarantined, found.n_untagged) == (2, 1, 3)
    assert list(found.n_analysed_by_model.values()) == [5]
    assert found.n_files_by_genre == {"rock": 2, "hiphop": 1, "pop": 1, "jazz": 1}


def export(connection: Connection, kind: str, target: Path) -> tuple[int, list[Path]]:
    used = query.used_model(connection)
    entries = query.entries(connection, used, Filters())
    return exporting.write(kind, entries, used.labels, target)


def test_csv_and_parquet_have_a_column_for_each_label(
    connection: Connection, tmp_path: Path
) -> None:
    assert export(connection, "csv", tmp_path / "l.csv") == (5, [])
    with (tmp_path / "l.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert export(connection, "parquet", tmp_path / "l.parquet") == (5, [])
    table = parquet.read_table(tmp_path / "l.parquet").to_pylist()
    assert [row["label"] for row in rows] == [row["label"] for row in table]
    for row, other in zip(rows, table, strict=True):
        assert row["path"] == other["path"]
        assert float(row["jazz"]) == pytest.approx(other["jazz"])
    assert rows[0]["path"] == "/m/caf\\udce9\n.mp3"
    assert (rows[4]["genres"], rows[4]["disagrees"], table[4]["disagrees"]) == (
        "Metal",
        "True",
        True,
    )


@pytest.mark.parametrize("title", ["=1+1", "+x", "-x", "@x", "\tx"])
def test_a_spreadsheet_takes_no_text_for_a_formula(
    connection: Connection, tmp_path: Path, title: str
) -> None:
    connection.execute("UPDATE files SET title = ?", (title,))
    export(connection, "csv", tmp_path / "l.csv")
    with (tmp_path / "l.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["title"] for row in csv.DictReader(stream)} == {"'" + title}


def test_json_lines_bring_the_names_back(connection: Connection, tmp_path: Path) -> None:
    export(connection, "jsonl", tmp_path / "l.jsonl")
    fields = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert os.fsencode(fields[0]["path"]) == b"/m/caf\xe9\n.mp3"


def test_a_playlist_is_read_back_as_it_was_written(connection: Connection, tmp_path: Path) -> None:
    n_written, left_out = export(connection, "playlist", tmp_path / "all.m3u8")
    assert (n_written, [path.name for path in left_out]) == (4, [CAFE])
    assert "#EXTINF:30,Ann - x\n" in (tmp_path / "all.m3u8").read_text()
    names = ["/m/rock/a/1.mp3", "/m/rock/a/2.mp3", "/m/rock/a/3.mp3", "/m/x.mp3"]
    assert files.playlist(tmp_path / "all.m3u8") == list(map(Path, names))


def test_playlists_are_one_for_each_genre(connection: Connection, tmp_path: Path) -> None:
    n_written, left_out = export(connection, "m3u", tmp_path / "lists")
    assert (n_written, [path.name for path in left_out]) == (4, [CAFE])
    assert (tmp_path / "lists" / "rock.m3u8").read_bytes() == (
        b"#EXTM3U\n#EXTINF:30,1\n/m/rock/a/1.mp3\n#EXTINF:30,3\n/m/rock/a/3.mp3\n"
    )
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {
        "rock.m3u8",
        "pop.m3u8",
        "jazz.m3u8",
    }


def test_a_collection_of_rekordbox_holds_every_file_and_a_playlist_a_genre(
    connection: Connection, tmp_path: Path
) -> None:
    connection.execute(
        "UPDATE files SET title = ? WHERE artist = 'Ann'", ('<b>"&\x01\n\U0001f3b5',)
    )
    assert export(connection, "rekordbox", tmp_path / "l.xml") == (5, [])
    root = ElementTree.parse(tmp_path / "l.xml").getroot()  # noqa: S314 - written just now
    tracks = root.findall("COLLECTION/TRACK")
    assert root.find("COLLECTION").attrib == {"Entries": "5"}
    by_number = {track.get("TrackID"): track.attrib for track in tracks}
    prefix = "file://localhost/"
    paths = {unquote_to_bytes(its["Location"].removeprefix(prefix)) for its in by_number.values()}
    assert b"m/caf\xe9\n.mp3" in paths
    assert b"m/rock/a/1.mp3" in paths
    (ann,) = (its for its in by_number.values() if its.get("Artist") == "Ann")
    assert ann["Name"] == '<b>"&\ufffd\n\U0001f3b5'
    assert (ann["Genre"], ann["TotalTime"]) == ("Jazz", "30")
    lists = root.findall("PLAYLISTS/NODE[@Name='ROOT']/NODE")
    assert [its.get("Name") for its in lists] == ["Hip-Hop", "Jazz", "Pop", "Rock"]
    for its in lists:
        keys = [track.get("Key") for track in its.findall("TRACK")]
        assert its.get("Entries") == str(len(keys))
        assert {by_number[key]["Genre"] for key in keys} == {its.get("Name")}
    assert sum(len(its) for its in lists) == 5
