"""How a recipe's data are divided where it leaves that open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import tag_files
from genrekit.training import data, recipe
from made_music import write_tone


def songs(folder: Path, artists: Sequence[str]) -> Path:
    """Make a folder for each of two genres, with a song by each artist."""
    for genre in ("polka", "ska"):
        for number, artist in enumerate(artists):
            path = folder / genre / f"{number:02}.wav"
            write_tone(path)
            if artist:
                tag_files.tag(path, [], artist=f"{artist} of {genre}")
    return folder


@pytest.mark.parametrize(
    ("artists", "name", "split_reason"),
    [
        ([f"Artist {n // 2}" for n in range(12)], "artist", "split by artist: 12 are known"),
        ([""] * 12, "track", "split by track: no artists are known"),
        (["Artist"] * 12, "track", "split by track, which flatters the model; by artist: "),
    ],
    ids=["several", "none", "one"],
)
def test_artists_stay_together_where_tags_name_enough(
    tmp_path: Path, artists: list[str], name: str, split_reason: str
) -> None:
    source = songs(tmp_path, artists)
    prepared = data.prepare(recipe.load(None, [], str(source)))
    assert prepared.split.name == name
    assert prepared.split_reason.startswith(split_reason)
    assert len(prepared.train) > len(prepared.validation) > 0
    if name == "artist":
        groups = prepared.dataset.groups
        sides = [
            {groups[t.track_id] for t in part} for part in (prepared.train, prepared.validation)
        ]
        assert not sides[0] & sides[1]
        assert all(groups[f"ska/{n:02}"] == groups[f"ska/{n + 1:02}"] for n in range(0, 12, 2))
    stated = data.prepare(recipe.load(None, ["data.split=track"], str(source)))
    assert (stated.split.name, stated.split_reason) == ("track", "")


@pytest.mark.parametrize(
    ("validation", "described"),
    [
        ("given", "artist fold 4 of 5"),
        ("cut", "artist fold 4 of 5 (validation part chosen anew)"),
    ],
)
def test_a_sentence_can_name_the_split(tmp_path: Path, validation: str, described: str) -> None:
    source = songs(tmp_path, [f"Artist {n}" for n in range(12)])
    wanted = recipe.load(None, [f"data.validation={validation}"], str(source))
    fold = data.open_source(wanted).folds("artist", 5, validation=True)[3]
    assert data.prepare(wanted, fold).split.described == described
