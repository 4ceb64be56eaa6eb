"""The leak meter: one recipe under one split after another, from the leaky to the honest."""

from __future__ import annotations

from collections.abc import Mapping

from genrekit.datasets import Dataset
from genrekit.datasets.dataset import SEGMENT
from genrekit.errors import DatasetError
from genrekit.evaluation import comparison
from genrekit.evaluation.result import EvaluationResult
from genrekit.models.card import LeakMeter, LeakRow

ORDER = (SEGMENT, "track", "artist")


def kinds(dataset: Dataset) -> tuple[str, ...]:
    """Return the splits that the meter measures, the honest one last.

    Raises:
        DatasetError: the dataset names no artists, so that no honest split can be made.
    """
    if not dataset.has_artists:
        raise DatasetError(
            f"{dataset.path} names no artists, so the leak cannot be measured; add a column "
            "`artist` to a manifest"
        )
    return (*ORDER, *(kind for kind in dataset.split_kinds if kind not in ORDER))


def meter(recipe: str, results: Mapping[str, EvaluationResult]) -> LeakMeter:
    """Put evaluations of one recipe side by side.

    Args:
        recipe: its name.
        results: by the kind of split, the honest one last.

    Returns:
        Accuracies at the recipe's own level, and how much each differs from the honest one.
        Splits differ in their test tracks too; the interval of a difference counts that in.
    """
    *_, (honest, reference) = results.items()
    rows = [
        LeakRow(
            split=result.split_title.replace(" test", ""),
            n_tracks=result.n_tracks,
            n_artist_groups=result.n_artist_groups,
            segment_accuracy=result.levels["segment"].accuracy,
            accuracy=result.product.accuracy,
            difference=None
            if kind == honest
            else comparison.difference(result.tracks, reference.tracks),
        )
        for kind, result in results.items()
    ]
    return LeakMeter(data=reference.data, recipe=recipe, honest=honest, rows=tuple(rows))
