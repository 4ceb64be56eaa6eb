"""Predict the tracks of a part of a split, and arrange the predictions as arrays for scoring."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.evaluation.result import Confusion, FailedTrack, TrackResult
from genrekit.evaluation.scoring import Floats, Integers
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.prediction import FailedFile, Prediction, SegmentPrediction

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset
    from genrekit.datasets.feature_table import FeatureTable
    from genrekit.evaluation.selection import ChosenTrack
    from genrekit.inference.classifier import Classifier
    from genrekit.models.card import ModelCard

Predicted = tuple["ChosenTrack", Prediction]


@dataclass
class TrackPredictions:
    """Predictions of the tracks that could be read, and the failures with their reasons."""

    tracks: list[ChosenTrack] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    failures: list[FailedTrack] = field(default_factory=list)


def predict_tracks(
    classifier: Classifier,
    dataset: Dataset,
    tracks: Sequence[ChosenTrack],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> TrackPredictions:
    """Predict tracks with the code of ``genrekit predict``, with failures listed separately.

    The tracks of a feature table have no audio: their rows go through the same model. If only
    some segments of a track belong to the part, only those count.

    Raises:
        ModelError: the model takes other features than the table's.
    """
    from genrekit.datasets.feature_table import FeatureTable

    found = TrackPredictions()
    if isinstance(dataset, FeatureTable):
        results = _predict_rows(classifier, dataset, tracks)
    else:
        results = classifier.predict_files([track.path for track in tracks], jobs)
    for track, result in zip(tracks, results, strict=True):
        kept = _kept(track, result, classifier.card)
        if isinstance(kept, Prediction):
            found.tracks.append(track)
            found.predictions.append(kept)
        else:
            path = printable(track.path)
            found.failures.append(FailedTrack(track_id=track.track_id, path=path, error=kept))
        advance()
    return found


def _predict_rows(
    classifier: Classifier, table: FeatureTable, tracks: Sequence[ChosenTrack]
) -> Iterator[Prediction | FailedFile]:
    spec = classifier.card.segments
    if (spec.kind, spec.segment_seconds) != ("handcrafted", table.segment_seconds):
        raise ModelError(
            f"{table.path} has hand-crafted features of {table.segment_seconds:g} s; model "
            f"{classifier.card.name!r} takes {spec.kind} of {spec.segment_seconds:g} s: give a "
            "model trained on such a table, or a dataset with audio"
        )
    for track in tracks:
        yield classifier.predict_features(table.rows[track.track_id][:, :, None])


def _kept(track: ChosenTrack, result: Prediction | FailedFile, card: ModelCard) -> Prediction | str:
    """Keep the segments whose middle lies in the track's parts; or return why there are none."""
    if isinstance(result, FailedFile):
        return result.error
    if not track.segments:
        return result
    part_seconds = result.duration_seconds / track.n_segments
    kept = [
        index
        for index, segment in enumerate(result.segments)
        if (segment.start_seconds + segment.end_seconds) / 2 // part_seconds in track.segments
    ]
    if not kept:
        return "the model takes no segment in this part of the track"
    segments = [result.segments[index] for index in kept]
    return _of_segments(card, result, segments, _logits(result)[kept])


def _of_segments(
    card: ModelCard,
    prediction: Prediction,
    segments: Sequence[SegmentPrediction],
    logits: NDArray[np.float32],
) -> Prediction:
    """Return a prediction of the same track from other segments; logits has a row for each."""
    probabilities = track_probabilities(
        _segment_matrix(segments, card.labels), card.aggregation, card.calibration.track_temperature
    )
    named = dict(zip(card.labels, probabilities.tolist(), strict=True))
    changes = {"segments": tuple(segments), "probabilities": named}
    return prediction.model_copy(update=changes).with_logits(logits)


def _logits(prediction: Prediction) -> NDArray[np.float32]:
    if prediction.logits is None:
        raise ValueError(
            f"got a prediction of {prediction.path} read from JSON; expected one with its logits: "
            "predict the track again"
        )
    return prediction.logits


@dataclass(frozen=True)
class PooledPredictions:
    """Tracks and their predictions; a track occurs once for each model that predicted it."""

    labels: tuple[str, ...]
    tracks: Sequence[ChosenTrack]
    predictions: Sequence[Prediction]

    @cached_property
    def true(self) -> Integers:
        """Label indices of the truth. Shape (n_tracks,)."""
        return np.array([self.labels.index(track.genre) for track in self.tracks])

    @cached_property
    def groups(self) -> list[str]:
        """The resampling group of each track."""
        return [track.group for track in self.tracks]

    @cached_property
    def segments(self) -> list[Floats]:
        """Probabilities of each track's segments. Shapes (n_segments, n_labels)."""
        return [_segment_matrix(its.segments, self.labels) for its in self.predictions]

    @cached_property
    def of_tracks(self) -> Floats:
        """Probabilities of each track, as predicted. Shape (n_tracks, n_labels)."""
        rows = [[its.probabilities[label] for label in self.labels] for its in self.predictions]
        return np.array(rows)

    @cached_property
    def uncalibrated(self) -> Floats:
        """Mean probabilities without temperature and bias. Shape (n_tracks, n_labels)."""
        rows = (segment_probabilities(_logits(prediction)) for prediction in self.predictions)
        return np.array([track_probabilities(its) for its in rows])

    def results(self) -> tuple[TrackResult, ...]:
        """Return the truth and the prediction of each track."""
        return tuple(
            TrackResult(
                track_id=track.track_id,
                path=printable(track.path),
                artist_group=track.artist_group,
                group=track.group,
                genre=track.genre,
                label=prediction.genres[0][0],
                probability=prediction.probability,
                n_segments=len(prediction.segments),
            )
            for track, prediction in zip(self.tracks, self.predictions, strict=True)
        )


def join_parts(card: ModelCard, pooled: PooledPredictions) -> PooledPredictions:
    """Join the predictions of tracks whose parts were held out by different folds."""
    joined: list[Predicted] = []
    open_at: dict[str, int] = {}  # the index of each track with missing parts
    for track, prediction in zip(pooled.tracks, pooled.predictions, strict=True):
        index = open_at.get(track.track_id)
        if index is None or joined[index][0].segments & track.segments or not track.segments:
            open_at[track.track_id] = len(joined)
            joined.append((track, prediction))
        else:
            joined[index] = _join(card, joined[index], (track, prediction))
    if len(joined) == len(pooled.tracks):
        return pooled
    tracks, predictions = zip(*joined, strict=True)
    return PooledPredictions(pooled.labels, tracks, predictions)


def _join(card: ModelCard, first: Predicted, second: Predicted) -> Predicted:
    (track, prediction), (other, more) = first, second
    segments = [*prediction.segments, *more.segments]
    logits = np.concatenate([_logits(prediction), _logits(more)])
    order = sorted(range(len(segments)), key=lambda index: segments[index].start_seconds)
    joined = _of_segments(card, prediction, [segments[index] for index in order], logits[order])
    return replace(track, segments=track.segments | other.segments), joined


def printable(path: os.PathLike[str]) -> str:
    """Return a path fit for any text file: bytes that are not text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def confusions(results: Sequence[TrackResult]) -> tuple[Confusion, ...]:
    """Return the confusions of genres, most frequent first, each with its most confident first."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for track in sorted(results, key=lambda its: -its.probability):
        if not track.correct:
            pairs.setdefault((track.genre, track.label), []).append(track.track_id)
    return tuple(
        Confusion(genre=genre, label=label, track_ids=tuple(track_ids))
        for (genre, label), track_ids in sorted(pairs.items(), key=lambda item: -len(item[1]))
    )


def _segment_matrix(segments: Sequence[SegmentPrediction], labels: Sequence[str]) -> Floats:
    rows = [[its.probabilities[label] for label in labels] for its in segments]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(labels))
