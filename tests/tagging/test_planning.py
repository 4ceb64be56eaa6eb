"""Planning from what was predicted: each track for itself, or albums as one."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import mutagen
import numpy as np
import soundfile

from genrekit.batch.engines import InProcessEngine
from genrekit.library import database, query, scan, store, track_index
from genrekit.library.analysis import Analysis, Identity
from genrekit.library.track_query import TrackQuery
from genrekit.library.track_search import TrackTable
from genrekit.library.walk import Found
from genrekit.models import registry
from genrekit.tagging import planning
from genrekit.tagging.plan_files import StyleChange
from genrekit.tagging.policy import Policy
from genrekit.tags import profiles
from genrekit.tags.formats.contents import TagContents

CARD = registry.read(Path(__file__).parents[1] / "golden" / "tiny").card


def add(connection: sqlite3.Connection, path: Path, album: str | None, **predicted: float) -> None:
    """Write a file without tags, and remember what was predicted for it."""
    soundfile.write(path, np.zeros(100), 8000)
    model = store.save_model(connection, registry.read(Path(__file__).parents[1] / "golden/tiny"))
    found = Found(os.fsencode(path), path.stat().st_size, path.stat().st_mtime_ns)
    digest = hashlib.sha256(path.stem.encode()).hexdigest()
    store.save_identity(connection, Identity(found, digest, TagContents(album=album)))
    audio = connection.execute("SELECT id FROM audio WHERE digest = ?", (digest,)).fetchone()["id"]
    probabilities = np.array([predicted.get(label, 0) for label in CARD.labels], "<f4").tobytes()
    store.save_prediction(connection, model, Analysis(audio, probabilities, None, 30.0, ()))


def proposed(folder: Path, policy: Policy) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the genres and the reason for each file that would change."""
    with database.opened(":memory:") as connection:
        add(connection, folder / "a1.flac", "A", jazz=0.9, blues=0.1)
        add(connection, folder / "a2.flac", "A", jazz=0.4, rock=0.598, pop=0.002)
        add(connection, folder / "a3.flac", "A", jazz=0.5, blues=0.5)
        add(connection, folder / "b1.flac", "B", rock=1.0)
        add(connection, folder / "c1.flac", None, metal=1.0)
        plan = planning.propose(connection, [folder], CARD, policy, profiles.find("standard"))
    assert (plan.stays, plan.failures) == ({}, {})
    return {Path(entry.path).stem: (entry.new, entry.why) for entry in plan.entries}


def test_each_track_for_itself(tmp_path: Path) -> None:
    found = proposed(tmp_path, Policy())
    assert found["a2"] == (("Rock",), "predicted rock 59.8 %, jazz 40.0 %, pop 0.2 %")
    assert found["a1"][0] == ("Jazz",)


def test_an_album_as_one(tmp_path: Path) -> None:
    found = proposed(tmp_path, Policy(by_album=True))
    assert {name: genres for name, (genres, _) in found.items()} == {
        **dict.fromkeys(["a1", "a2", "a3"], ("Jazz",)),
        "b1": ("Rock",),
        "c1": ("Metal",),
    }
    said = "predicted rock 59.8 %, jazz 40.0 %, pop 0.2 %; its album jazz 60.0 %, blues 20.0 %, "
    assert found["a2"][1] == f"{said}rock 19.9 %"


def test_formats_without_tags_are_no_failures(tmp_path: Path) -> None:
    with database.opened(":memory:") as connection:
        for name, content in (("a.mka", b"\x1aE\xdf\xa3"), ("b.aac", b"\xff\xf1\x50\x80")):
            add(connection, tmp_path / f"{name}.flac", None, jazz=1.0)
            (tmp_path / f"{name}.flac").write_bytes(content * 10)
        plan = planning.propose(connection, [tmp_path], CARD, Policy(), profiles.find())
    assert (plan.entries, plan.stays, plan.failures) == ([], {}, {})
    assert sorted(plan.untagged.values()) == ["Matroska or WebM", "raw AAC"]
    assert plan.to_dict()["untagged"] == plan.untagged


def test_styles_in_a_field_of_their_own(tmp_path: Path) -> None:
    rules = Policy(style_field="STYLE", min_probability=0.5)
    with database.opened(":memory:") as connection:
        for name, genres, styles, predicted in STYLED:
            add(connection, tmp_path / f"{name}.flac", None, **predicted)
            file = mutagen.File(tmp_path / f"{name}.flac")
            file["genre"], file["style"] = genres, styles
            file.save()
        profile = profiles.find("standard")
        plan = planning.propose(connection, [tmp_path], CARD, rules, profile)
    found = {Path(entry.path).stem: entry for entry in plan.entries}
    assert {name: (entry.new, entry.style) for name, entry in found.items()} == {
        "empty": (("Rock",), StyleChange(field="STYLE", old=(), new=("Metal",))),
        "jazz": (("Jazz",), None),
        "rock": (("Rock",), StyleChange(field="STYLE", old=(), new=("Metal",))),
        "styled": (("Rock",), None),
    }
    assert json.loads(found["empty"].provenance)["genres"] == {"Rock": 0.95, "Metal": 0.9}
    assert {Path(path).stem: stay.kind for path, stay in plan.stays.items()} == {
        "both": "agrees",
        "narrower": "agrees",
        "other": "tagged",
        "punk": "tagged",
    }
    assert "has another style: Rock, Punk" in plan.stays[str(tmp_path / "punk.flac")].reason


def test_a_program_of_one_genre_gets_no_line_that_would_change_nothing(tmp_path: Path) -> None:
    rules = Policy("append", style_field="STYLE")
    with database.opened(":memory:") as connection:
        add(connection, tmp_path / "a.flac", None, blues=1.0)
        file = mutagen.File(tmp_path / "a.flac")
        file["genre"] = ["Jazz"]
        file.save()
        plan = planning.propose(connection, [tmp_path], CARD, rules, profiles.find("itunes"))
    assert plan.entries == []
    assert [stay.kind for stay in plan.stays.values()] == ["tagged"]


METAL = {"metal": 0.9, "rock": 0.05, "jazz": 0.05}
STYLED: list[tuple[str, list[str], list[str], dict[str, float]]] = [
    ("empty", [], [], METAL),
    ("jazz", [], [], {"jazz": 1.0}),
    ("rock", ["Rock"], [], METAL),
    ("both", ["rock"], ["Thrash Metal"], METAL),
    ("narrower", ["Thrash Metal"], [], METAL),
    ("other", ["Jazz"], [], METAL),
    ("punk", ["Rock"], ["Punk"], METAL),
    ("styled", [], ["Punk"], METAL),
]


def test_what_is_no_music_is_left_apart(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    hiss = 0.1 * np.random.default_rng(0).normal(size=8 * 16_000)
    soundfile.write(tmp_path / "music" / "rain.flac", hiss, 16_000)
    with database.opened(tmp_path / "library.sqlite3") as connection:
        planned = scan.plan(connection, [tmp_path / "music"])
        scan.run(connection, planned, InProcessEngine())
        card = planned.model.card
        plan = planning.propose(
            connection, [tmp_path], card, Policy("replace"), profiles.find("standard")
        )
        assert plan.counts == {"to change": 0, "not music": 1, "failed": 0}
        [stay] = plan.stays.values()
        assert stay.reason.startswith("not music: 100.0 % of its segments sound like")
        model = query.used_model(connection)
        track_index.refresh_all(connection)
        table = TrackTable(model, 0.0)
        assert len(table.ids(connection, TrackQuery(filter="not_music"))) == 1
