"""Divide a dataset by the name of a split: once, or into folds."""

from __future__ import annotations

from collections.abc import Sequence

from genrekit.datasets import Dataset
from genrekit.datasets.dataset import SEGMENT
from genrekit.evaluation.selection import AnySplit


def divide(
    dataset: Dataset, kind: str, n_folds: int | None = None, seed: int = 0
) -> Sequence[AnySplit]:
    """Return the splits of a kind.

    Args:
        dataset: the tracks.
        kind: "segment" (LEAKY), or what Dataset.split takes.
        n_folds: divide into folds, each of which is the test part of one split; None divides once.
        seed: of the kinds that are drawn.

    Raises:
        DatasetError: an unknown kind, or one that these tracks cannot have.
    """
    if kind == SEGMENT:
        if n_folds is None:
            return [dataset.segment_split(dataset.n_segments, seed)]
        return dataset.segment_folds(dataset.n_segments, n_folds, seed)
    return [dataset.split(kind, seed)] if n_folds is None else dataset.folds(kind, n_folds, seed)


def title(kind: str, n_folds: int | None = None, n_seeds: int = 1) -> str:
    """Return what to call the splits of a kind together.

    >>> title("artist", 5, 2)
    'artist, 5 folds, 2 seeds'
    """
    folds = f", {n_folds} folds" if n_folds else ""
    seeds = f", {n_seeds} seeds" if n_seeds > 1 else ""
    return f"{kind}{folds}{seeds}"
