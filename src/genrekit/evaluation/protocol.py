"""The protocol: predict one part of a split and score it at three levels.

Probabilities come from ``genrekit.inference.classifier.Classifier.predict_files``, so the results
are those of ``genrekit predict``. Intervals resample the dataset's groups: the tracks of one artist
or of one repeated recording; any other track is a separate group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genrekit.datasets.split import SegmentSplit
from genrekit.errors import DatasetError, ModelError
from genrekit.evaluation import predictions, scoring
from genrekit.evaluation.predictions import PooledPredictions, TrackPredictions
from genrekit.evaluation.result import EvaluationResult, Level, RunScore, Scores, Uncalibrated
from genrekit.evaluation.selection import AnySplit, Selection, select
from genrekit.files import joined_sha256
from genrekit.inference.aggregation import track_probabilities
from genrekit.models.card import Abstention, ModelCard, threshold_for
from genrekit.prediction import ModelReference

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset
    from genrekit.inference.classifier import Classifier

# Precisions whose thresholds are measured, and a threshold that no probability reaches.
PROMISES = (0.8, 0.85, 0.9, 0.95)
NEVER = 2.0
TRACK_LEVELS: tuple[Level, ...] = ("majority_vote", "mean_probability")


class Measured(NamedTuple):
    """One model's predictions of one part of one split, with a seed if several were trained."""

    card: ModelCard
    selection: Selection
    predicted: TrackPredictions
    seed: int | None = None


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    split: AnySplit,
    part: str = "test",
    *,
    include_training_tracks: bool = False,
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> EvaluationResult:
    """Measure a model on one part of a split.

    Args:
        classifier: the model; its threshold for abstaining is not applied to the scores.
        dataset: the tracks.
        split: the part of each track.
        part: "test", "validation" or "train".
        include_training_tracks: keep tracks that the card lists as training tracks.
        jobs: worker processes; None is one per core.
        advance: called once for every track.

    Returns:
        Scores of the tracks that could be decoded. Failures are listed and left out.

    Raises:
        DatasetError: the part has no track left to measure, or none of them can be decoded.
    """
    selection = select(classifier.card, dataset, split, part, include_training_tracks)
    predicted = predictions.predict_tracks(classifier, dataset, selection.tracks, jobs, advance)
    return measure([Measured(classifier.card, selection, predicted)])


def measure(measured: Sequence[Measured], split: str | None = None) -> EvaluationResult:
    """Score the predictions of one model, or of several that held out different folds.

    The predictions of all models are pooled: a track counts once for each model that predicted it,
    and is resampled with its artist's other tracks. If LEAKY folds held out different parts of a
    track, all its parts are aggregated together; calibration and abstention are still those of
    each model's own predictions.

    Args:
        measured: one entry per model; all have the labels and the aggregation of the first.
        split: a name for all splits together; None is the name of the first.

    Raises:
        DatasetError: no track could be decoded.
    """
    card, first = measured[0].card, measured[0].selection
    failures = [failure for its in measured for failure in its.predicted.failures]
    pooled = PooledPredictions(
        card.labels,
        [track for its in measured for track in its.predicted.tracks],
        [prediction for its in measured for prediction in its.predicted.predictions],
    )
    if not pooled.tracks:
        raise DatasetError(
            f"none of the {len(failures)} {first.part} tracks of {first.data} can be decoded; the "
            f"first: {failures[0].path}: {failures[0].error}"
        )
    curve = card.precision_curve if len(measured) == 1 else ()
    selections = [its.selection for its in measured]
    joined = predictions.join_parts(card, pooled)
    results = joined.results()
    return EvaluationResult(
        model=_reference([its.card for its in measured]),
        runs=tuple(map(_run, measured)),
        data=first.data,
        split=split or first.split.name,
        split_sha256=joined_sha256([its.split.sha256 for its in selections]),
        split_is_leaky=isinstance(first.split, SegmentSplit),
        part=first.part,
        labels=card.labels,
        composition=first.composition,
        n_tracks=len({track.track_id for track in pooled.tracks}),
        n_artist_groups=len(set(pooled.groups)),
        product_level=card.aggregation,
        levels=_levels(card, joined),
        uncalibrated=_uncalibrated(pooled),
        coverage=scoring.coverage(curve, pooled.of_tracks, pooled.true, pooled.groups),
        abstention=_abstention(measured, pooled),
        trained_on=_all(its.trained_on for its in selections),
        includes_trained_on=first.includes_trained_on,
        other_split=any(its.selection.is_another_split for its in measured),
        n_same_artist=sum(its.n_same_artist for its in selections),
        unknown_genres=dict(sum((Counter(its.unknown_genres) for its in selections), Counter())),
        problems=_all(its.problems for its in selections),
        failures=tuple(failures),
        tracks=results,
        confusions=predictions.confusions(results),
    )


def _all(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Join lists, without duplicates."""
    return tuple(dict.fromkeys(text for texts in lists for text in texts))


def _reference(cards: Sequence[ModelCard]) -> ModelReference:
    sha256 = joined_sha256([card.onnx_sha256 for card in cards])
    return ModelReference(name=cards[0].name, version=cards[0].version, sha256=sha256)


def _run(measured: Measured) -> RunScore:
    """Return the score of a single model."""
    predicted = measured.predicted
    pairs = zip(predicted.tracks, predicted.predictions, strict=True)
    return RunScore(
        split=measured.selection.split.title,
        seed=measured.seed,
        sha256=measured.card.onnx_sha256,
        n_tracks=len(predicted.tracks),
        n_correct=sum(track.genre == prediction.genres[0][0] for track, prediction in pairs),
    )


def _uncalibrated(pooled: PooledPredictions) -> Uncalibrated:
    items = pooled.uncalibrated, pooled.true, pooled.groups
    return Uncalibrated(
        negative_log_likelihood=scoring.likelihood(*items),
        expected_calibration_error=scoring.calibration_error(*items),
    )


def _abstention(measured: Sequence[Measured], pooled: PooledPredictions) -> tuple[Abstention, ...]:
    """Return precision and coverage with each model abstaining below its own thresholds."""
    found = []
    for promised in PROMISES:
        thresholds = [_threshold(its.card, promised) for its in measured]
        n_tracks = [len(its.predicted.tracks) for its in measured]
        by_track = np.repeat(thresholds, n_tracks)
        reached = scoring.selective_scores(by_track, pooled.of_tracks, pooled.true, pooled.groups)
        if min(thresholds) < NEVER:
            alone = thresholds[0] if len(thresholds) == 1 else None
            found.append(Abstention(promised_precision=promised, threshold=alone, **reached))
    return tuple(found)


def _threshold(card: ModelCard, promised: float) -> float:
    """Return a model's threshold for this precision; above every probability if it has none."""
    try:
        return threshold_for(card, promised)
    except ModelError:
        return NEVER


def _levels(card: ModelCard, pooled: PooledPredictions) -> dict[Level, Scores]:
    """Score every level; the level of the model's predictions with those predictions."""
    lengths = [len(rows) for rows in pooled.segments]
    segment_groups = [g for g, n in zip(pooled.groups, lengths, strict=True) for _ in range(n)]
    of_tracks: dict[Level, scoring.Floats] = {
        level: np.array([track_probabilities(rows, level) for rows in pooled.segments])
        for level in TRACK_LEVELS
    }
    of_tracks[card.aggregation] = pooled.of_tracks
    segments = scoring.score(
        "segment",
        np.concatenate(pooled.segments),
        np.repeat(pooled.true, lengths),
        segment_groups,
        card.labels,
    )
    tracks = {
        level: scoring.score(level, rows, pooled.true, pooled.groups, card.labels)
        for level, rows in of_tracks.items()
    }
    return {"segment": segments, **tracks}
