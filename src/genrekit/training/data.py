"""The training and validation tracks of a recipe."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit import datasets
from genrekit.datasets import Dataset, SegmentSplit, Split, Track, stratify
from genrekit.datasets.images import ImageSet
from genrekit.errors import DatasetError, RecipeError
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe

# Ways to validate that train on all tracks.
JOINED = ("folds", "none")
# The way that selects by the test tracks: LEAKY.
ON_TEST = "test"
AUTO = "auto"


@dataclass(frozen=True)
class TrainingSet:
    """The tracks of a run, by part, and the split that divides them.

    ``is_joined``: the split's validation tracks are trained on too, so there is no validation part.
    ``n_first_only``: the number of tracks with several genres, of which only the first is learnt.
    ``split_reason``: how the split was chosen, if the recipe leaves that open.
    """

    dataset: Dataset
    split: Split
    labels: tuple[str, ...]
    train: tuple[Track, ...]
    validation: tuple[Track, ...]
    is_joined: bool = False
    n_first_only: int = 0
    split_reason: str = ""

    def targets(self, tracks: Sequence[Track]) -> NDArray[np.int64]:
        """Return the label index of each track's first genre. Shape (n_tracks,)."""
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[track.genre] for track in tracks], np.int64)

    def shares(self, tracks: Sequence[Track]) -> NDArray[np.float64]:
        """Return each track's share of every label: for two genres one half each.

        Returns:
            Rows that sum to one. Shape (n_tracks, n_labels).
        """
        found = [[(label in t.genres) / len(t.genres) for label in self.labels] for t in tracks]
        return np.array(found, np.float64)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return (genre, training tracks, validation tracks) for every genre."""
        train = Counter(genre for track in self.train for genre in track.genres)
        validation = Counter(genre for track in self.validation for genre in track.genres)
        return [(label, train[label], validation[label]) for label in self.labels]


def open_source(recipe: Recipe) -> Dataset:
    """Open the recipe's dataset, without excluded tracks and with only the genres to keep.

    Raises:
        RecipeError: the recipe names no data, or has a network for a table without audio.
        DatasetError: the dataset or the list of exclusions cannot be used, or a genre is missing.
    """
    if not recipe.data.source:
        raise RecipeError('the recipe names no data; write data.source = "FOLDER" or --data FOLDER')
    exclude = Path(recipe.data.exclude) if recipe.data.exclude else None
    dataset = datasets.open_dataset(recipe.data.source, exclude)
    if isinstance(dataset, ImageSet):
        _check_images(dataset, recipe)
    elif not (dataset.has_audio or recipe.model.is_tabular):
        raise RecipeError(
            f"{dataset.path} has hand-crafted features and no audio; model.backbone "
            f"{recipe.model.backbone!r} needs audio: give a folder of audio, or a tabular recipe"
        )
    return dataset.only(recipe.data.genres) if recipe.data.genres else dataset


def _check_images(dataset: ImageSet, recipe: Recipe) -> None:
    if recipe.model.image != "published":
        raise RecipeError(
            f"{dataset.path} has images, but model.backbone {recipe.model.backbone!r} takes audio: "
            'give a folder of it, or model.image = "published" and a backbone that takes images'
        )
    if recipe.teacher.model or recipe.augmentation.random_crops:
        raise RecipeError(
            f"{dataset.path} has images, but a teacher and augmentation.random_crops need audio"
        )


def prepare(recipe: Recipe, split: Split | SegmentSplit | None = None) -> TrainingSet:
    """Open the recipe's dataset and divide it.

    Args:
        recipe: names the data.
        split: the part of each track; None uses the recipe's split. Under the leaky split of
            segments, the parts of tracks count as tracks.

    Raises:
        RecipeError: the recipe names no data, or a teacher for a split of segments.
        DatasetError: the dataset or the split cannot be used: one genre only, a genre without
            training tracks, too few tracks to divide.
    """
    dataset, n_first_only = _learnable(open_source(recipe), recipe)
    if isinstance(split, SegmentSplit):
        if recipe.teacher.model:
            raise RecipeError(
                "a teacher predicts entire tracks; omit [teacher] or the split by segment"
            )
        dataset, split = dataset.parts_as_tracks(split)
    if split is None and recipe.data.split == AUTO:
        dataset, split, split_reason = _chosen(dataset, recipe.data)
    else:
        split, split_reason = _cut(dataset, split or _split(dataset, recipe.data), recipe.data), ""
    train = tuple(dataset.tracks_of(split, "train"))
    validation = tuple(dataset.tracks_of(split, "validation"))
    if recipe.data.validation == ON_TEST:
        train, validation = (*train, *validation), tuple(dataset.tracks_of(split, "test"))
    is_joined = recipe.data.validation in JOINED
    if is_joined:
        train, validation = (*train, *validation), ()
    prepared = TrainingSet(
        dataset, split, dataset.labels, train, validation, is_joined, n_first_only, split_reason
    )
    check(prepared)
    return prepared


def _learnable(dataset: Dataset, recipe: Recipe) -> tuple[Dataset, int]:
    """Keep only the first genre of tracks, unless the head learns several; count those tracks."""
    n_several = sum(bool(track.more_genres) for track in dataset.tracks)
    if not n_several or recipe.model.head == "logistic":
        return dataset, 0
    tracks = tuple(dataclasses.replace(track, more_genres=()) for track in dataset.tracks)
    return dataclasses.replace(dataset, tracks=tracks), n_several


def _chosen(dataset: Dataset, data: recipes.Data) -> tuple[Dataset, Split, str]:
    """Divide by artist if enough artists are known, else by track; return the reason too."""
    split_reason = "split by track: no artists are known"
    if dataset.has_artists:
        n_artists = len({track.artist_group for track in dataset.tracks} - {None})
        try:
            split = _cut(dataset, dataset.split("artist", data.seed), data)
        except DatasetError as error:
            split_reason = f"split by track, which flatters the model; by artist: {error}"
            tracks = (dataclasses.replace(each, artist_group=None) for each in dataset.tracks)
            dataset = dataclasses.replace(dataset, tracks=tuple(tracks))
        else:
            return dataset, split, f"split by artist: {n_artists} are known"
    return dataset, _cut(dataset, dataset.split("track", data.seed), data), split_reason


def _split(dataset: Dataset, data: recipes.Data) -> Split:
    if data.split.endswith(".tsv"):
        return Split.load(Path(data.split)).restricted_to(dataset.by_id)
    return dataset.split(data.split, data.seed)


def _cut(dataset: Dataset, split: Split, data: recipes.Data) -> Split:
    """Choose new validation tracks if the recipe requests it or the split has none."""
    if data.validation in (*JOINED, ON_TEST) or (data.validation == "given" and split.validation):
        return split
    pool = [
        track for track in dataset.tracks if split.assignment.get(track.track_id, "test") != "test"
    ]
    groups = dataset.groups
    shares = {"train": 1 - data.validation_fraction, "validation": data.validation_fraction}
    parts = stratify.hold_out(
        [track.genre for track in pool],
        [groups[track.track_id] for track in pool],
        shares,
        data.seed,
    )
    cut = {track.track_id: part for track, part in zip(pool, parts, strict=True)}
    return Split(f"{split.name} (validation part chosen anew)", {**split.assignment, **cut})


def check(prepared: TrainingSet) -> None:
    """Refuse data that cannot be trained on.

    Raises:
        DatasetError: one genre only, a genre without training tracks, or no validation track.
    """
    source = prepared.dataset.path
    if len(prepared.labels) < 2:
        raise DatasetError(
            f"{source} has only one genre, {prepared.labels[0]!r}; training needs at least two"
        )
    empty = [label for label, n_train, _ in prepared.rows() if not n_train]
    if empty:
        raise DatasetError(
            f"{source}: genre {empty[0]!r} has no training track in {prepared.split.described}; "
            "add tracks or leave the genre out"
        )
    if not prepared.validation and not prepared.is_joined:
        raise DatasetError(
            f"{source}: {prepared.split.described} has no validation track; write "
            'data.validation = "cut"'
        )
