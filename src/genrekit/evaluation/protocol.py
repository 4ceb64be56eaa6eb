"""The protocol: the product's road over one part of a split, scored at three levels.

Probabilities come from ``genrekit.inference.Classifier.predict_files``, so what is measured is what
``genrekit predict`` answers. Intervals resample the dataset's groups: the tracks of one artist or
of one repeated recording; any other track is a group of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from genrekit.aggregation import segment_probabilities, track_probabilities
from genrekit.datasets.split import SegmentSplit
from genrekit.errors import DatasetError
from genrekit.evaluation.result import (
    EvaluationResult,
    FailedTrack,
    Level,
    Scores,
    TrackResult,
    Uncalibrated,
)
from genrekit.evaluation.scoring import (
    Floats,
    Integers,
    calibration_error,
    coverage,
    likelihood,
    score,
)
from genrekit.evaluation.selection import AnySplit, ChosenTrack, Selection, select
from genrekit.inference import Classifier, FailedFile
from genrekit.models.card import Calibration, ModelCard
from genrekit.prediction import ModelReference, Prediction

if TYPE_CHECKING:
    from genrekit.datasets.base import Dataset

# Far less than the share of one segment, so the mean decides between equal shares and nothing else.
TIE_BREAK = 1e-6
# Predictions are rounded to six decimals; a probability of 0 there is less than this.
ROUNDED_TO_ZERO = 5e-7


@dataclass
class Heard:
    """Predictions of the tracks that could be heard, and the others with their reasons."""

    tracks: list[ChosenTrack] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    failures: list[FailedTrack] = field(default_factory=list)


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
        dataset: where the tracks are.
        split: which track belongs to which part.
        part: "test", "validation" or "train".
        include_training_tracks: keep tracks that the card names as training tracks.
        jobs: worker processes; None is one a core.
        advance: called once for every track heard.

    Returns:
        Scores of the tracks that could be heard. Failures are named and left out.

    Raises:
        DatasetError: the part has no track left to measure, or none of them can be heard.
    """
    selection = select(classifier.card, dataset, split, part, include_training_tracks)
    return measure(classifier.card, selection, hear(classifier, selection.tracks, jobs, advance))


def hear(
    classifier: Classifier,
    tracks: Sequence[ChosenTrack],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Heard:
    """Predict tracks on the product's road, keeping those apart that cannot be heard."""
    heard = Heard()
    results = classifier.predict_files([track.path for track in tracks], jobs)
    for track, result in zip(tracks, results, strict=True):
        answer = (
            _failed(track, result.error)
            if isinstance(result, FailedFile)
            else _part_of(track, result, classifier.card)
        )
        if isinstance(answer, FailedTrack):
            heard.failures.append(answer)
        else:
            heard.tracks.append(track)
            heard.predictions.append(answer)
        advance()
    return heard


def measure(card: ModelCard, selection: Selection, heard: Heard) -> EvaluationResult:
    """Score what was heard of a selection.

    Raises:
        DatasetError: nothing was heard.
    """
    if not heard.tracks:
        raise DatasetError(
            f"none of the {len(heard.failures)} {selection.part} tracks of {selection.data} can be "
            f"heard; the first: {heard.failures[0].path}: {heard.failures[0].error}"
        )
    true = np.array([card.labels.index(track.genre) for track in heard.tracks])
    groups = [track.group for track in heard.tracks]
    by_track = [_segment_matrix(prediction, card.labels) for prediction in heard.predictions]
    product = _product_matrix(heard.predictions, card.labels)
    return EvaluationResult(
        model=ModelReference(name=card.name, version=card.version, sha256=card.onnx_sha256),
        data=selection.data,
        split=selection.split.name,
        split_sha256=selection.split.sha256,
        split_is_leaky=isinstance(selection.split, SegmentSplit),
        part=selection.part,
        labels=card.labels,
        n_tracks=len(heard.tracks),
        n_artist_groups=len(set(groups)),
        product_level=card.aggregation,
        levels=_levels(card, by_track, product, true, groups),
        uncalibrated=_uncalibrated(card.calibration, by_track, true, groups),
        coverage=coverage(card.precision_curve, product, true, groups),
        trained_on=selection.trained_on,
        includes_trained_on=selection.includes_trained_on,
        n_same_artist=selection.n_same_artist,
        unknown_genres=selection.unknown_genres,
        problems=selection.problems,
        failures=tuple(heard.failures),
        tracks=tuple(map(_track_result, heard.tracks, heard.predictions)),
    )


def _part_of(
    track: ChosenTrack, prediction: Prediction, card: ModelCard
) -> Prediction | FailedTrack:
    """Keep the segments whose middle lies in the stretches of the track that belong to the part."""
    if not track.segments:
        return prediction
    stretch_seconds = prediction.duration_seconds / track.n_segments
    kept = tuple(
        segment
        for segment in prediction.segments
        if (segment.start_seconds + segment.end_seconds) / 2 // stretch_seconds in track.segments
    )
    if not kept:
        return _failed(track, "the model hears no segment in this part of the track")
    shortened = prediction.model_copy(update={"segments": kept})
    joined = track_probabilities(_segment_matrix(shortened, card.labels), card.aggregation)
    named = dict(zip(card.labels, joined.tolist(), strict=True))
    return shortened.model_copy(update={"probabilities": named})


def _failed(track: ChosenTrack, error: str) -> FailedTrack:
    return FailedTrack(track_id=track.track_id, path=_text(track.path), error=error)


def _segment_matrix(prediction: Prediction, labels: Sequence[str]) -> Floats:
    """Return the probabilities of a prediction's segments, shape (n_segments, n_labels)."""
    rows = [[s.probabilities[label] for label in labels] for s in prediction.segments]
    return np.array(rows, dtype=np.float64)


def _product_matrix(predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
    """Return the product's own answers, shape (n_tracks, n_labels)."""
    return np.array([[p.probabilities[label] for label in labels] for p in predictions])


def _uncalibrated(
    calibration: Calibration, by_track: Sequence[Floats], true: Integers, groups: Sequence[str]
) -> Uncalibrated:
    means = np.array([_undo(rows, calibration).mean(axis=0) for rows in by_track])
    return Uncalibrated(
        negative_log_likelihood=likelihood(means, true, groups),
        expected_calibration_error=calibration_error(means, true, groups),
    )


def _undo(probabilities: Floats, calibration: Calibration) -> Floats:
    """Undo temperature and bias: ln p is (logits + bias) / temperature but for a constant."""
    logits = np.log(np.maximum(probabilities, ROUNDED_TO_ZERO)) * calibration.temperature
    return segment_probabilities(logits, bias=[-value for value in calibration.bias])


def _majority(probabilities: Floats) -> Floats:
    """Return the shares of votes of one track; between equal shares the mean decides."""
    shares = track_probabilities(probabilities, "majority_vote")
    tilted = shares + TIE_BREAK * probabilities.mean(axis=0)
    return np.asarray(tilted / tilted.sum())


def _levels(
    card: ModelCard,
    by_track: Sequence[Floats],
    product: Floats,
    true: Integers,
    groups: Sequence[str],
) -> dict[Level, Scores]:
    """Score every level; the one that the model answers with is the product's own numbers."""
    lengths = [len(rows) for rows in by_track]
    segments_true = np.repeat(true, lengths)
    segments_groups = [g for g, n in zip(groups, lengths, strict=True) for _ in range(n)]
    of_tracks: dict[Level, Floats] = {
        "majority_vote": np.array([_majority(rows) for rows in by_track]),
        "mean_probability": np.array([track_probabilities(rows) for rows in by_track]),
    }
    of_tracks[card.aggregation] = product
    segments = score(
        "segment", np.concatenate(by_track), segments_true, segments_groups, card.labels
    )
    tracks = {k: score(k, rows, true, groups, card.labels) for k, rows in of_tracks.items()}
    return {"segment": segments, **tracks}


def _text(path: os.PathLike[str]) -> str:
    """Return a path that any text file can hold: bytes that are no text become backslashes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _track_result(track: ChosenTrack, prediction: Prediction) -> TrackResult:
    return TrackResult(
        track_id=track.track_id,
        path=_text(track.path),
        artist_group=track.artist_group,
        genre=track.genre,
        label=prediction.genres[0][0],
        probability=prediction.probability,
        n_segments=len(prediction.segments),
    )
