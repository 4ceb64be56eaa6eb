"""What would teach most: uncertain tracks that differ, one of each album."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import made_library
import numpy as np
import pytest
from typer.testing import CliRunner

from genrekit.cli import main
from genrekit.errors import LibraryError
from genrekit.library import corrections, query, uncertainty

EAST, NORTH, WEST = ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0])


def add(
    connection: sqlite3.Connection,
    name: str,
    probabilities: list[float],
    embedding: list[float] | None = None,
    genres: tuple[str, ...] = (),
    **columns: object,
) -> int:
    """Add a file with audio of its own; return the audio's id."""
    audio_id = made_library.add_audio(connection, name)
    made_library.add_prediction(connection, audio_id, probabilities, embedding)
    made_library.add_file(connection, name, audio_id, genres, **columns)
    return audio_id


def names(connection: sqlite3.Connection, top: int = 14) -> list[str]:
    found = uncertainty.uncertain(connection, query.used_model(connection), top)
    return [suggestion.path.name for suggestion in found]


def test_an_uncertain_track_comes_before_a_certain_one(connection: sqlite3.Connection) -> None:
    add(connection, "sure", [0.9, 0.06, 0.04], EAST)
    add(connection, "unsure", [0.4, 0.35, 0.25], NORTH)
    assert names(connection) == ["unsure", "sure"]
    (first, _) = uncertainty.uncertain(connection, query.used_model(connection))
    assert first.why == "no genre yet, and Jazz at 40.0 % or Metal at 35.0 %"


def test_a_tag_that_the_model_does_not_know_is_named(connection: sqlite3.Connection) -> None:
    add(connection, "other", [0.4, 0.35, 0.25], EAST, ("Other",))
    add(connection, "zouk", [0.4, 0.35, 0.25], NORTH, ("Zouk", "Other"))
    whys = {
        suggestion.path.name: suggestion.why
        for suggestion in uncertainty.uncertain(connection, query.used_model(connection))
    }
    assert whys == {
        "other": "no genre yet, and Jazz at 40.0 % or Metal at 35.0 %",
        "zouk": "its tag says Zouk, which the model does not know, "
        "and Jazz at 40.0 % or Metal at 35.0 %",
    }


def test_a_track_unlike_those_chosen_comes_before_a_more_uncertain_one_like_them(
    connection: sqlite3.Connection,
) -> None:
    add(connection, "first", [0.4, 0.4, 0.2], EAST)
    add(connection, "twin", [0.4, 0.39, 0.21], EAST)
    add(connection, "other", [0.6, 0.3, 0.1], WEST)
    assert names(connection) == ["first", "other", "twin"]


def test_a_correction_leaves_its_track_out_and_puts_those_like_it_behind(
    connection: sqlite3.Connection,
) -> None:
    known = add(connection, "known", [0.4, 0.4, 0.2], EAST)
    add(connection, "twin", [0.4, 0.39, 0.21], EAST)
    add(connection, "other", [0.6, 0.3, 0.1], WEST)
    corrections.correct(connection, known, ["Jazz"])
    assert names(connection) == ["other", "twin"]


def test_one_track_of_an_album_and_every_one_without(connection: sqlite3.Connection) -> None:
    for index in range(4):
        place = [np.cos(index), np.sin(index)]
        add(connection, f"lp{index}", [0.4, 0.39, 0.21], place, album="LP", album_artist="Ann")
        add(connection, f"free{index}", [0.4, 0.39, 0.21], place)
    found = names(connection)
    assert len(found) == 5
    assert sum(name.startswith("lp") for name in found) == 1


def test_a_tag_that_agrees_leaves_out_and_one_that_does_not_is_the_reason(
    connection: sqlite3.Connection,
) -> None:
    add(connection, "agrees", [0.4, 0.35, 0.25], EAST, ("Jazz",))
    add(connection, "means something else", [0.9, 0.06, 0.04], NORTH, ("Thrash Metal",))
    add(connection, "no known genre", [0.4, 0.35, 0.25], WEST, ("Other",))
    add(connection, "silent", [1 / 3, 1 / 3, 1 / 3], EAST)
    add(connection, "gone", [0.4, 0.35, 0.25], EAST, is_missing=1)
    found = uncertainty.uncertain(connection, query.used_model(connection))
    why = {suggestion.path.name: suggestion.why for suggestion in found}
    assert list(why) == ["no known genre", "means something else"]
    assert why["means something else"] == "its tag says Metal, the audio Jazz at 90.0 %"


def test_no_more_than_requested_and_nothing_twice(connection: sqlite3.Connection) -> None:
    rng = np.random.default_rng(0)
    for index in range(1200):
        add(connection, f"{index}", rng.dirichlet(np.ones(3)).tolist(), rng.normal(size=8).tolist())
    found = names(connection, 30)
    assert len(found) == len(set(found)) == 30


def test_a_library_without_embeddings_is_named(connection: sqlite3.Connection) -> None:
    add(connection, "a", [0.4, 0.35, 0.25])
    with pytest.raises(LibraryError, match="no embeddings by model 'made'"):
        names(connection)


def test_the_verb_writes_a_reason_for_each(connection: sqlite3.Connection, tmp_path: Path) -> None:
    add(connection, "unsure.mp3", [0.4, 0.35, 0.25], EAST)
    words = ["library", "uncertain", "--db", str(tmp_path / "library.sqlite3")]
    shown = CliRunner().invoke(main.build(), words).stdout
    assert shown.split("\n    ") == [
        "/music/unsure.mp3",
        "no genre yet, and Jazz at 40.0 % or Metal at 35.0 %\n",
    ]
    (line,) = CliRunner().invoke(main.build(), [*words, "--json"]).stdout.splitlines()
    assert json.loads(line)["label"] == "jazz"
