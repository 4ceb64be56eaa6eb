"""The lists of genres that come with genrekit."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrekit import labels
from genrekit.errors import LibraryError
from genrekit.tagging import genre_map
from genrekit.tagging.policy import Policy


@pytest.mark.parametrize("name", genre_map.names())
def test_every_list_has_a_place_for_the_genres_of_gtzan(name: str) -> None:
    found = genre_map.read_map(Path(name))
    found.check(())
    for label in labels.label_set("gtzan").labels:
        assert found.chain(label), label


def test_what_a_list_calls_a_genre() -> None:
    lists = {name: genre_map.read_map(Path(name)) for name in genre_map.names()}
    assert lists["discogs"].chain("soul")[0] == "Funk / Soul"
    assert lists["ten-genres"].chain("metal") == ("Pop/Rock",)
    assert lists["id3v1"].chain("thrash metal") == ("Thrash Metal", "Metal", "Rock")
    assert lists["beets"].chain("thrash metal") == ("Thrash Metal", "Heavy Metal", "Rock")
    assert lists["beets"].chain("Grindcore")[0] == "Grindcore"


def test_the_depth_counts_in_the_list_of_the_user() -> None:
    beets = genre_map.read_map(Path("beets"))
    predicted = {"thrash metal": 0.6, "disco": 0.4}
    assert Policy(genre_map=beets, depth=1).chosen(predicted) == {"Rock": 0.6}
    assert Policy(genre_map=beets, depth=2).chosen(predicted) == {"Heavy Metal": 0.6}


def test_an_unknown_list_names_the_nearest() -> None:
    with pytest.raises(LibraryError, match="unknown mapping 'discog'; did you mean 'discogs'"):
        genre_map.read_map(Path("discog"))
