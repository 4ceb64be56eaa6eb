"""Compare evaluations: paired differences, whether they are noise, and the effect of leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from genrekit import metrics
from genrekit.datasets.dataset import SEGMENT
from genrekit.errors import DatasetError
from genrekit.evaluation import scoring
from genrekit.evaluation.result import EvaluationResult, TrackResult
from genrekit.models.card import Interval, LeakMeter, LeakRow
from genrekit.strict import StrictModel

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset

SIGNIFICANT = 0.05
LEAKIEST_FIRST = (SEGMENT, "track", "artist")


class Comparison(StrictModel):
    """Two evaluations on the tracks they share; differences are first minus second."""

    first: str
    second: str
    n_tracks: int
    n_artist_groups: int
    first_accuracy: float
    second_accuracy: float
    difference: Interval
    n_only_first: int
    n_only_second: int
    p_value: float

    @property
    def is_noise(self) -> bool:
        """Whether the interval of the difference contains 0, or McNemar's p is 0.05 or more."""
        holds_zero = self.difference.low <= 0 <= self.difference.high
        return holds_zero or self.p_value >= SIGNIFICANT

    @property
    def caution(self) -> str | None:
        """Say that the interval means little, where it comes of few artist groups."""
        return metrics.caution(self.n_tracks, self.n_artist_groups)

    @property
    def sentence(self) -> str:
        """Return the result in words."""
        points, low, high = (100 * value for value in self.difference.model_dump().values())
        found = (
            f"{points:+.1f} points [{low:+.1f}, {high:+.1f}], McNemar p = {self.p_value:.2g}, "
            f"n = {self.n_tracks} tracks of {self.n_artist_groups} artist groups"
        )
        if self.is_noise:
            return (
                f"The difference between {self.first} and {self.second} is within the noise: "
                f"{found}."
            )
        better, worse = (self.first, self.second) if points > 0 else (self.second, self.first)
        return f"{better} is better than {worse} by more than noise: {found}."


def compare_all(results: Sequence[tuple[str, EvaluationResult]]) -> list[Comparison]:
    """Compare every pair of several named evaluations; see compare."""
    return [
        compare(first, second, (name, other))
        for (name, first), (other, second) in combinations(results, 2)
    ]


def compare(
    first: EvaluationResult, second: EvaluationResult, names: tuple[str, str] = ("first", "second")
) -> Comparison:
    """Compare two evaluations on the tracks that both predicted.

    McNemar's exact test assumes independent tracks; the interval resamples artist groups, and so
    is more conservative.

    Raises:
        DatasetError: they share no tracks, or pool several predictions of one track.
    """
    one, other = _by_id(first, names[0]), _by_id(second, names[1])
    shared = [track_id for track_id in one if track_id in other]
    if not shared:
        raise DatasetError(
            f"{names[0]} and {names[1]} share no tracks, so they cannot be compared; evaluate both "
            "on the same data and split"
        )
    mine, theirs = ([its[track_id] for track_id in shared] for its in (one, other))
    n_first = sum(a.correct and not b.correct for a, b in zip(mine, theirs, strict=True))
    n_second = sum(b.correct and not a.correct for a, b in zip(mine, theirs, strict=True))
    return Comparison(
        first=names[0],
        second=names[1],
        n_tracks=len(shared),
        n_artist_groups=len({track.group for track in mine}),
        first_accuracy=sum(track.correct for track in mine) / len(shared),
        second_accuracy=sum(track.correct for track in theirs) / len(shared),
        difference=difference(mine, theirs),
        n_only_first=n_first,
        n_only_second=n_second,
        p_value=metrics.mcnemar(n_first, n_second),
    )


def difference(first: Sequence[TrackResult], second: Sequence[TrackResult]) -> Interval:
    """Return the accuracy of the first results minus that of the second, with its interval.

    Artist groups are resampled once for both, so that shared variation cancels out; the tracks
    need not be the same.

    Args:
        first: results; the tracks of one group are resampled together.
        second: results.
    """
    items = np.array(
        [[track.correct, 1, 0, 0] for track in first]
        + [[0, 0, track.correct, 1] for track in second]
    )
    groups = [track.group for track in (*first, *second)]
    # NaN, and left out, if a resample has no tracks of one side.
    return scoring.interval(
        metrics.Resamples(items, groups),
        lambda sums: scoring.mean(sums[:, :2]) - scoring.mean(sums[:, 2:]),
    )


def _by_id(result: EvaluationResult, name: str) -> dict[str, TrackResult]:
    by_id = {track.track_id: track for track in result.tracks}
    if len(by_id) < len(result.tracks):
        raise DatasetError(
            f"{name} pools several predictions of one track; compare evaluations with one seed each"
        )
    return by_id


def leak_meter_kinds(dataset: Dataset) -> tuple[str, ...]:
    """Return the splits that the leak meter measures, the honest one last.

    Raises:
        DatasetError: the dataset names no artists, so an honest split is impossible.
    """
    if not dataset.has_artists:
        raise DatasetError(
            f"{dataset.path} names no artists, so the leak cannot be measured; give a manifest "
            "with a column `artist`"
        )
    others = (kind for kind in dataset.split_kinds if kind not in LEAKIEST_FIRST)
    return (*LEAKIEST_FIRST, *others)


def leak_meter(recipe: str, results: Mapping[str, EvaluationResult]) -> LeakMeter:
    """Compare evaluations of one recipe under several splits.

    Args:
        recipe: its name.
        results: by the kind of split, the honest one last.

    Returns:
        Accuracies at the recipe's level, and the difference of each from the honest one. Splits
        also differ in their test tracks; the interval of a difference accounts for that.
    """
    *_, (honest, reference) = results.items()
    rows = [
        LeakRow(
            split=result.split_title.replace(" test", ""),
            n_tracks=result.n_tracks,
            n_artist_groups=result.n_artist_groups,
            segment_accuracy=result.levels["segment"].accuracy,
            accuracy=result.product.accuracy,
            difference=None if kind == honest else difference(result.tracks, reference.tracks),
        )
        for kind, result in results.items()
    ]
    return LeakMeter(data=reference.data, recipe=recipe, honest=honest, rows=tuple(rows))
