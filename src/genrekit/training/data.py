"""Which tracks train and which validate; what a recipe's data come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit import datasets
from genrekit.datasets import Dataset, Split, Track, stratify
from genrekit.errors import DatasetError, RecipeError
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingSet:
    """The tracks of a run, by part, and the split that says so.

    ``by_folds``: there is no validation part; every training track is validated out of fold.
    """

    dataset: Dataset
    split: Split
    labels: tuple[str, ...]
    train: tuple[Track, ...]
    validation: tuple[Track, ...]
    by_folds: bool = False

    def targets(self, tracks: Sequence[Track]) -> NDArray[np.int64]:
        """Return each track's label index. Shape (n_tracks,)."""
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[track.genre] for track in tracks], np.int64)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return (genre, training tracks, validation tracks) for every genre."""
        train = Counter(track.genre for track in self.train)
        validation = Counter(track.genre for track in self.validation)
        return [(label, train[label], validation[label]) for label in self.labels]


def prepare(recipe: Recipe) -> TrainingSet:
    """Open the recipe's dataset and divide it.

    Raises:
        RecipeError: the recipe names no data.
        DatasetError: the dataset or the split cannot be used: one genre only, a genre without
            training tracks, too few tracks to divide.
    """
    if not recipe.data.source:
        raise RecipeError('the recipe names no data; write data.source = "FOLDER" or --data FOLDER')
    dataset = datasets.open_dataset(recipe.data.source)
    split = _cut(dataset, _split(dataset, recipe.data), recipe.data)
    train = tuple(dataset.tracks_of(split, "train"))
    validation = tuple(dataset.tracks_of(split, "validation"))
    by_folds = recipe.data.validation == "folds"
    if by_folds:
        train, validation = (*train, *validation), ()
    prepared = TrainingSet(dataset, split, dataset.labels, train, validation, by_folds)
    check(prepared)
    return prepared


def _split(dataset: Dataset, data: recipes.Data) -> Split:
    if data.split == "auto":
        return dataset.split("artist" if dataset.has_artists else "track", data.seed)
    if data.split.endswith(".tsv"):
        return Split.load(Path(data.split)).restricted_to(dataset.by_id)
    return dataset.split(data.split, data.seed)


def _cut(dataset: Dataset, split: Split, data: recipes.Data) -> Split:
    """Cut validation tracks anew where the recipe asks for it or the split has none."""
    if data.validation == "folds" or (data.validation == "given" and split.validation):
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
    return Split(f"{split.name}, validation cut anew", {**split.assignment, **cut})


def check(prepared: TrainingSet) -> None:
    """Refuse data that cannot train.

    Raises:
        DatasetError: one genre only, a genre without training tracks, or no validation track.
    """
    source = prepared.dataset.path
    if len(prepared.labels) < 2:
        raise DatasetError(
            f"{source} holds one genre, {prepared.labels[0]!r}; training needs two or more"
        )
    empty = [label for label, n_train, _ in prepared.rows() if not n_train]
    if empty:
        raise DatasetError(
            f"{source}: genre {empty[0]!r} has no training track in the {prepared.split.name} "
            "split; add tracks or leave the genre out"
        )
    if not prepared.validation and not prepared.by_folds:
        raise DatasetError(
            f"{source}: the {prepared.split.name} split has no validation track; write "
            'data.validation = "cut"'
        )
