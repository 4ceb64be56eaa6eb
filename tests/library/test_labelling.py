"""A library's own tags as labels: which files count, and which belong together."""

from __future__ import annotations

import csv
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

from genrekit import datasets
from genrekit.errors import DatasetError
from genrekit.library import labelling


def write(path: Path, **tags: str | list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(str(path).encode()[-8:])
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 2000), 16000)
    file = mutagen.flac.FLAC(path)
    file.update(tags)
    file.save()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    write(folder / "1.flac", genre="Rap", artist="Ann", album="One")
    write(folder / "2.flac", genre="hip-hop", artist="ANN", album="Two")
    write(folder / "3.flac", genre="Hip Hop", artist="Bob", album="two")
    write(folder / "4.flac", genre="Rock", artist="Various Artists")
    write(folder / "5.flac", genre="ROCK", artist="Various Artists")
    write(folder / "6.flac", genre=["Rock", "Jazz"], artist="Cid")
    write(folder / "7.flac", artist="Dan")
    write(folder / "8.flac", genre="Jazz", artist="Eve")
    write(folder / "other" / "9.flac", genre="rock", artist="Fay", album="Two")
    (folder / "other" / "9 again.flac").write_bytes((folder / "other" / "9.flac").read_bytes())
    (folder / "text.mp3").write_text("no music")
    return folder


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {Path(row["path"]).stem: row for row in csv.DictReader(stream)}


def test_genre_tags_become_tracks(music: Path, tmp_path: Path) -> None:
    target = tmp_path / "tags.csv"
    labelled = labelling.write_manifest(music, target, min_per_genre=3)
    assert labelled.n_tracks == {"rock": 4, "hiphop": 3}
    assert (labelled.n_files, labelled.n_several) == (7, 0)
    assert labelled.left_out == {
        "no tags that can be read": 1,
        "no genre": 1,
        "the same audio as another file": 1,
        "of a genre with too few tracks": 1,
    }
    dataset = datasets.open_dataset(target)
    assert dataset.counts == {"hiphop": 3, "rock": 4}
    assert not dataset.problems


def test_a_file_of_several_genres_has_all_that_count(music: Path, tmp_path: Path) -> None:
    write(music / "10.flac", genre=["Jazz", "Other", "Rare", "Rap", "hip hop"], artist="Gil")
    write(music / "11.flac", genre=["Misc"], artist="Hal")
    labelled = labelling.write_manifest(music, tmp_path / "tags.csv", min_per_genre=2)
    assert labelled.n_tracks == {"hiphop": 4, "rock": 4, "jazz": 3}
    assert (labelled.n_files, labelled.n_several) == (9, 2)
    assert labelled.left_out["no genre"] == 2
    tracks = {
        track.path.stem: track for track in datasets.open_dataset(tmp_path / "tags.csv").tracks
    }
    assert tracks["6"].genres == ("rock", "jazz")
    assert tracks["10"].genres == ("jazz", "hiphop")
    assert tracks["1"].genres == ("hiphop",)


def test_one_artist_or_album_is_one_group(music: Path, tmp_path: Path) -> None:
    labelling.write_manifest(music, tmp_path / "tags.csv", min_per_genre=3)
    group = {name[0]: row["artist"] for name, row in rows(tmp_path / "tags.csv").items()}
    assert group["1"] == group["2"]  # the artist
    assert group["2"] == group["3"]  # the album
    assert group["4"] != group["5"]  # "various artists" is nobody
    assert len(set(group.values())) == 5


def test_a_mapping_says_which_genres_there_are(music: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('name = "mine"\n[aliases]\nloud = ["rock"]\nspoken = ["rap", "hip hop"]\n')
    labelled = labelling.write_manifest(music, tmp_path / "t.csv", mapping, min_per_genre=2)
    assert labelled.n_tracks == {"loud": 4, "spoken": 3}  # [rock, jazz]: jazz is not in it


def test_too_few_genres_are_refused_with_what_was_found(music: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"0 genres have 10 .* found rock \(4\), hiphop \(3\)"):
        labelling.write_manifest(music, tmp_path / "tags.csv")
    assert not (tmp_path / "tags.csv").exists()
