"""The tutorials, followed step by step in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import mutagen
import numpy as np
import pytest

import documents
import made_music
from genrekit.models import registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
needs_model = pytest.mark.skipif(
    not registry.embedded_folder().is_dir(), reason="no model is embedded in this checkout"
)


@needs_model
def test_a_library_is_tagged_as_the_tutorial_says(tmp_path: Path) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert documents.follow(DOCS / "tutorial-tag-a-library.md", tmp_path, **home) > 5


@needs_model
@pytest.mark.parametrize(
    ("left_out", "n_commands"),
    [(("train", "predict", "install"), 1), pytest.param((), 6, marks=pytest.mark.full)],
)
def test_own_genres_are_trained_as_the_tutorial_says(
    tmp_path: Path, left_out: tuple[str, ...], n_commands: int
) -> None:
    _own_songs(tmp_path)
    document = DOCS / "tutorial-own-genres.md"
    home = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert documents.follow(document, tmp_path, left_out, _without_bars, **home) == n_commands


def _own_songs(folder: Path) -> None:
    """Make four genres of 12 songs by 8 artists, which differ in speed and drums."""
    for index, genre in enumerate(("Calm", "Loud", "Party", "Porch")):
        for number in range(12):
            song = made_music.song(100 * index + number, 4.0, drums=genre in ("Loud", "Party"))
            if genre in ("Party", "Porch"):
                song = np.repeat(song, 2)[: song.size]  # an octave lower, half as fast
            path = made_music.write(folder / "MySongs" / genre / f"{number}.flac", song)
            tagged = mutagen.File(path, easy=True)
            tagged["artist"] = f"{genre} {number % 8}"
            tagged.save()
    made_music.write_mp3(folder / "new-song.mp3", made_music.song(999, 4.0, drums=True))


def _without_bars(printed: str) -> str:
    """Leave out which genres a song was predicted as."""
    return re.sub(r"^ ?(Calm|Loud|Party|Porch) BAR ?N %$\n?", "", printed, flags=re.MULTILINE)
