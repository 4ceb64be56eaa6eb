"""From probabilities to the genres that a file should hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrekit.errors import LibraryError
from genrekit.prediction import ModelReference
from genrekit.tagging import policy
from genrekit.tagging.policy import GenreMap, Policy

HEARD = {"metal": 0.5, "rock": 0.3, "jazz": 0.15, "disco": 0.05}


def test_the_most_probable_genres_come_first_and_improbable_ones_not_at_all() -> None:
    assert Policy().chosen(HEARD) == {"metal": 0.5}
    assert list(Policy(top=3).chosen(HEARD)) == ["metal", "rock"]
    assert Policy(min_probability=0.6).chosen(HEARD) == {}


@pytest.mark.parametrize(
    ("mode", "present", "expected"),
    [
        ("fill-missing", ["Blues"], ()),
        ("fill-missing", [], ("jazz",)),
        ("append", ["Blues"], ("Blues", "jazz")),
        ("append", ["JAZZ"], ()),
        ("append", [], ("jazz",)),
        ("replace", ["Blues"], ("jazz",)),
        ("replace", ["jazz"], ()),
        ("replace", ["Jazz"], ("jazz",)),
    ],
)
def test_what_becomes_of_the_genres_that_are_there(
    mode: policy.Mode, present: list[str], expected: tuple[str, ...]
) -> None:
    assert Policy(mode).wanted(present, ["jazz"]) == expected


def test_many_labels_become_one_name_with_the_sum_of_their_probabilities() -> None:
    own = GenreMap(genres={"Heavy": ("metal", "rock"), "Jazz": ()})
    assert own.rolled_up(HEARD) == {"Heavy": pytest.approx(0.8), "Jazz": 0.15}


def test_a_label_counts_for_its_nearest_wider_genre() -> None:
    own = GenreMap(genres={"Rock": (), "Electronic": ()})
    expected = {"Rock": pytest.approx(0.8), "Electronic": 0.05}
    assert own.rolled_up(HEARD) == expected
    assert own.name("thrash metal") == "Rock"
    nearer = GenreMap(genres={"Rock": (), "Metal": ()})
    assert nearer.name("thrash metal") == "Metal"
    assert GenreMap(genres={"Rock": ()}, roll_up=False).name("metal") is None


def test_what_has_no_name_is_dropped_or_kept() -> None:
    assert GenreMap(genres={"Rock": ()}).name("jazz") is None
    assert GenreMap(genres={"Rock": ()}, keep_others=True).name("jazz") == "jazz"
    dropping = GenreMap(genres={"Rock": ()}, drop=("metal",), keep_others=True)
    assert dropping.rolled_up(HEARD) == {"Rock": 0.3, "jazz": 0.15, "disco": 0.05}


def test_a_name_is_not_written_where_something_without_a_name_is_more_probable() -> None:
    own = GenreMap(genres={"Jazz": (), "Rock": ()}, roll_up=False)
    heard = {"metal": 0.45, "rock": 0.4, "jazz": 0.15}
    assert Policy(genre_map=own).chosen(heard) == {}
    assert Policy(genre_map=own, top=2).chosen(heard) == {"Rock": 0.4}


@given(st.dictionaries(st.sampled_from([*HEARD, "blues", "pop"]), st.floats(0, 1), min_size=1))
def test_rolling_up_neither_makes_nor_loses_probability(probabilities: dict[str, float]) -> None:
    own = GenreMap(genres={"Rock": (), "Other": ("jazz", "pop")}, keep_others=True)
    assert sum(own.rolled_up(probabilities).values()) == pytest.approx(sum(probabilities.values()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[genres]\nRock = ['rokc']", "unknown label 'rokc'; did you mean 'rock'"),
        ("drop = ['jaz']\n[genres]\nRock = []", "unknown label 'jaz'; did you mean 'jazz'"),
        ("[genres]\nRock = ['metal']\nMetal = []", "'Metal' belongs to both 'Rock' and 'Metal'"),
        ("[genres]\nRock = 'metal'", "is not a mapping"),
        ("colour = 1\n[genres]", "colour"),
        ("genres = [", "not a TOML file"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(content)
    with pytest.raises(LibraryError, match=message):
        policy.read_map(path).check(HEARD)


def test_provenance_says_who_and_how_sure() -> None:
    model = ModelReference(name="fast", version="1", sha256="ab" * 32)
    said = json.loads(policy.provenance(model, {"Rock & Pöp": 0.83456}))
    assert said == {
        "model": "fast",
        "version": "1",
        "sha256": "abababababab",
        "genres": {"Rock & Pöp": 0.835},
    }
