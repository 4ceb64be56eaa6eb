"""Predict the tracks that a model is measured on, as the product predicts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genrekit.datasets.feature_table import FeatureTable
from genrekit.errors import ModelError
from genrekit.evaluation.predictions import answered_anew, text
from genrekit.evaluation.result import FailedTrack
from genrekit.evaluation.selection import ChosenTrack
from genrekit.inference.classifier import Classifier
from genrekit.models.card import ModelCard
from genrekit.prediction import FailedFile, Prediction

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset


@dataclass
class TrackPredictions:
    """Predictions of the tracks that could be heard, and the others with their reasons."""

    tracks: list[ChosenTrack] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    failures: list[FailedTrack] = field(default_factory=list)


def hear(
    classifier: Classifier,
    dataset: Dataset,
    tracks: Sequence[ChosenTrack],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> TrackPredictions:
    """Predict tracks on the product's road, keeping those apart that cannot be heard.

    The tracks of a feature table have no audio: their rows go through the same model.

    Raises:
        ModelError: the model hears other features than the table holds.
    """
    heard = TrackPredictions()
    if isinstance(dataset, FeatureTable):
        results = _read(classifier, dataset, tracks)
    else:
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


def _read(
    classifier: Classifier, table: FeatureTable, tracks: Sequence[ChosenTrack]
) -> Iterator[Prediction | FailedFile]:
    """Predict tracks from their rows."""
    spec = classifier.card.features
    if (spec.kind, spec.segment_seconds) != ("handcrafted", table.segment_seconds):
        raise ModelError(
            f"{table.path} holds hand-crafted features of {table.segment_seconds:g} s; model "
            f"{classifier.card.name!r} hears {spec.kind} of {spec.segment_seconds:g} s: give a "
            "model trained on such a table, or a dataset with audio"
        )
    for track in tracks:
        yield classifier.predict_features(table.rows[track.track_id][:, :, None])


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
    return answered_anew(card, prediction.model_copy(update={"segments": kept}))


def _failed(track: ChosenTrack, error: str) -> FailedTrack:
    return FailedTrack(track_id=track.track_id, path=text(track.path), error=error)
