"""Folders of images as datasets: layouts, GTZAN's names, segments, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from genrekit import datasets
from genrekit.datasets import gtzan
from genrekit.datasets.images import ImageSet
from genrekit.errors import DatasetError, RecipeError
from genrekit.features import image
from genrekit.training import data
from genrekit.training import recipe as recipes


def put(path: Path, size: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 60).save(path)
    return path


def put_audio(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800), 8000)


def opened(path: Path) -> ImageSet:
    dataset = datasets.open_dataset(path)
    assert isinstance(dataset, ImageSet)
    return dataset


def test_any_folders_of_images(tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        for name in ("a", "live/b"):
            put(tmp_path / genre / f"{name}.png")
        put(tmp_path / genre / ".hidden.png")
    dataset = opened(tmp_path)
    assert list(dataset.by_id) == ["polka/a", "polka/live/b", "ska/a", "ska/live/b"]
    assert dataset.split_kinds == ("track",)
    assert not dataset.has_audio
    assert not dataset.is_known


@pytest.mark.parametrize("form", ["{genre}{number:05d}", "{genre}.{number:05d}"])
def test_gtzans_names_bring_its_artists_and_its_split(tmp_path: Path, form: str) -> None:
    for genre in ("country", "metal"):
        for number in range(0, 100, 3):
            put(
                tmp_path
                / "images_original"
                / genre
                / f"{form.format(genre=genre, number=number)}.png"
            )
    dataset = opened(tmp_path)
    assert dataset.name == "gtzan-images"
    assert dataset.tracks[0].track_id == "country.00000"
    assert dataset.split_kinds == ("track", "artist", "fault-filtered")
    artists = gtzan.artist_groups()
    assert all(track.artist_group == artists.get(track.track_id) for track in dataset.tracks)
    assert "metal.00034" not in dataset.split("fault-filtered").assignment
    assert set(dataset.split("fault-filtered").assignment) <= set(gtzan.fault_filtered().assignment)


def test_one_other_name_and_it_is_not_gtzan(tmp_path: Path) -> None:
    put(tmp_path / "blues" / "blues00000.png")
    put(tmp_path / "jazz" / "blues00001.png")  # in the folder of another genre
    assert opened(tmp_path).split_kinds == ("track",)


def test_segments_of_a_track_are_one_track(tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        for index in range(12):
            put(tmp_path / genre / f"song.{index}.png")
        put(tmp_path / genre / "other.png")
        put(tmp_path / genre / "part.7.png")  # no first one: a name like any other
    dataset = opened(tmp_path)
    assert [track.track_id for track in dataset.tracks[:3]] == [
        "polka/other",
        "polka/part.7",
        "polka/song",
    ]
    assert dataset.n_segments["polka/song"] == 12
    assert dataset.n_segments["polka/other"] == 1
    split = dataset.segment_split(dataset.n_segments)
    assert len(split.assignment) == 28


def test_gtzans_segments_are_gtzans_tracks(tmp_path: Path) -> None:
    for genre in ("blues", "jazz"):
        for index in range(3):
            put(tmp_path / genre / f"{genre}.00001.{index}.png")
    dataset = opened(tmp_path)
    assert list(dataset.by_id) == ["blues.00001", "jazz.00001"]
    assert dataset.n_segments == {"blues.00001": 3, "jazz.00001": 3}


def test_covers_beside_audio_are_left_alone(tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        put(tmp_path / genre / "cover.png")
        put_audio(tmp_path / genre / "a.wav")
    assert datasets.open_dataset(tmp_path).has_audio


def test_genres_of_images_beside_genres_of_audio_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "polka" / "a.png")
    put_audio(tmp_path / "ska" / "a.wav")
    with pytest.raises(DatasetError, match="mixes images and audio: genre folder 'polka'"):
        datasets.open_dataset(tmp_path)


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "polka" / "a.png")
    put(tmp_path / "ska" / "a.png", (33, 24))
    with pytest.raises(DatasetError, match=r"is 32x24 pixels and .* is 33x24; all images"):
        datasets.open_dataset(tmp_path)


def test_an_empty_genre_and_a_single_one_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "polka" / "a.png")
    with pytest.raises(DatasetError, match="holds one genre only"):
        datasets.open_dataset(tmp_path)
    (tmp_path / "ska").mkdir()
    with pytest.raises(DatasetError, match=r"holds no \.png image; put some in"):
        datasets.open_dataset(tmp_path)


def test_what_is_only_called_an_image_is_skipped_and_named(tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        put(tmp_path / genre / "a.png")
    (tmp_path / "ska" / "b.png").write_text("no image")
    (problem,) = opened(tmp_path).problems
    assert problem.subject.endswith("b.png")
    assert "is not a PNG image" in problem.reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "has images, but model.backbone 'embedded:fast' takes audio"),
        (["model.backbone=cnn"], "has images, but model.backbone 'cnn' takes audio"),
        (["model.backbone=resnet18", "model.image=true"], "has images, but model.backbone"),
        (
            ["model.backbone=cnn", "model.image=published", "augmentation.random_crops=true"],
            "a teacher and augmentation.random_crops need audio",
        ),
    ],
)
def test_a_recipe_for_audio_is_refused(options: list[str], reason: str, tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        put(tmp_path / genre / "a.png")
    with pytest.raises(RecipeError, match=reason):
        data.open_source(recipes.load(None, options, str(tmp_path)))


@pytest.mark.untraced
def test_the_published_images_are_known_by_their_looks(shared_data: Path) -> None:
    dataset = opened(shared_data / "gtzan" / "images")
    assert dataset.is_known
    assert len(dataset.tracks) == 935
    assert dataset.split("fault-filtered").counts == {"train": 442, "validation": 197, "test": 226}


def test_a_known_image_has_a_note_or_the_published_form(tmp_path: Path) -> None:
    drawn = image.draw(np.random.default_rng(0).uniform(-60, 0, (128, 1292)))
    for genre in ("polka", "ska"):
        path = tmp_path / genre / "a.png"
        path.parent.mkdir()
        Image.fromarray(drawn).save(path)
    assert opened(tmp_path).is_known
