"""What models answered about tracks, as the arrays and rows that scores are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from genrekit.evaluation.result import Confusion, TrackResult
from genrekit.evaluation.scoring import Floats, Integers
from genrekit.evaluation.selection import ChosenTrack
from genrekit.inference.aggregation import track_probabilities
from genrekit.models.card import ModelCard
from genrekit.prediction import Prediction


@dataclass(frozen=True)
class Answers:
    """Tracks, and what was said of each; a track that several models heard is there for each."""

    labels: tuple[str, ...]
    tracks: Sequence[ChosenTrack]
    predictions: Sequence[Prediction]

    @cached_property
    def true(self) -> Integers:
        """Label indices of the truth. Shape (n_tracks,)."""
        return np.array([self.labels.index(track.genre) for track in self.tracks])

    @cached_property
    def groups(self) -> list[str]:
        """What intervals resample, for each track."""
        return [track.group for track in self.tracks]

    @cached_property
    def segments(self) -> list[Floats]:
        """Probabilities of each track's segments. Shapes (n_segments, n_labels)."""
        return [_segment_matrix(prediction, self.labels) for prediction in self.predictions]

    @cached_property
    def product(self) -> Floats:
        """The product's own answers. Shape (n_tracks, n_labels)."""
        rows = [[its.probabilities[label] for label in self.labels] for its in self.predictions]
        return np.array(rows)

    def rows(self) -> tuple[TrackResult, ...]:
        """Return a row a track: its truth and its answer."""
        return tuple(map(_track_result, self.tracks, self.predictions))


def whole(card: ModelCard, answers: Answers) -> Answers:
    """Join the answers about a track whose stretches different folds held out."""
    joined: list[tuple[ChosenTrack, Prediction]] = []
    open_at: dict[str, int] = {}  # where a track stands of which stretches are missing
    for track, prediction in zip(answers.tracks, answers.predictions, strict=True):
        place = open_at.get(track.track_id)
        if place is None or joined[place][0].segments & track.segments or not track.segments:
            open_at[track.track_id] = len(joined)
            joined.append((track, prediction))
        else:
            joined[place] = _join(card, joined[place], (track, prediction))
    if len(joined) == len(answers.tracks):
        return answers
    tracks, predictions = zip(*joined, strict=True)
    return Answers(answers.labels, tracks, predictions)


def _join(
    card: ModelCard, first: tuple[ChosenTrack, Prediction], second: tuple[ChosenTrack, Prediction]
) -> tuple[ChosenTrack, Prediction]:
    (track, prediction), (other, more) = first, second
    heard = sorted((*prediction.segments, *more.segments), key=lambda its: its.start_seconds)
    joined = prediction.model_copy(update={"segments": tuple(heard)})
    return (
        replace(track, segments=track.segments | other.segments),
        answered_anew(card, joined),
    )


def answered_anew(card: ModelCard, prediction: Prediction) -> Prediction:
    """Return the prediction with the answer that its own segments give."""
    probabilities = track_probabilities(
        _segment_matrix(prediction, card.labels),
        card.aggregation,
        card.calibration.track_temperature,
    )
    named = dict(zip(card.labels, probabilities.tolist(), strict=True))
    return prediction.model_copy(update={"probabilities": named})


def text(path: os.PathLike[str]) -> str:
    """Return a path that any text file can hold: bytes that are no text become backslashes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def confusions(answers: Sequence[TrackResult]) -> tuple[Confusion, ...]:
    """Return which genre was taken for which, the most frequent first, the surest track first."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for track in sorted(answers, key=lambda its: -its.probability):
        if not track.correct:
            pairs.setdefault((track.genre, track.label), []).append(track.track_id)
    ordered = sorted(pairs.items(), key=lambda item: -len(item[1]))
    return tuple(
        Confusion(genre=genre, label=label, track_ids=tuple(track_ids))
        for (genre, label), track_ids in ordered
    )


def _segment_matrix(prediction: Prediction, labels: Sequence[str]) -> Floats:
    rows = [[s.probabilities[label] for label in labels] for s in prediction.segments]
    return np.array(rows, dtype=np.float64)


def _track_result(track: ChosenTrack, prediction: Prediction) -> TrackResult:
    return TrackResult(
        track_id=track.track_id,
        path=text(track.path),
        artist_group=track.artist_group,
        group=track.group,
        genre=track.genre,
        label=prediction.genres[0][0],
        probability=prediction.probability,
        n_segments=len(prediction.segments),
    )
