"""The protocol: the product's road over one part of a split, scored at three levels.

Probabilities come from ``genrekit.inference.Classifier.predict_files``, so what is measured is what
``genrekit predict`` answers. Intervals resample the dataset's groups: the tracks of one artist or
of one repeated recording; any other track is a group of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genrekit.aggregation import segment_probabilities, track_probabilities
from genrekit.datasets.feature_table import FeatureTable
from genrekit.datasets.split import SegmentSplit
from genrekit.errors import DatasetError, ModelError
from genrekit.evaluation.result import (
    Confusion,
    EvaluationResult,
    FailedTrack,
    Level,
    RunScore,
    Scores,
    TrackResult,
    Uncalibrated,
)
from genrekit.evaluation.scoring import (
    Floats,
    Integers,
    answered_share,
    calibration_error,
    coverage,
    likelihood,
    score,
)
from genrekit.evaluation.selection import AnySplit, ChosenTrack, Selection, select
from genrekit.inference import Classifier, FailedFile, threshold_for
from genrekit.models.card import Abstention, Calibration, ModelCard
from genrekit.prediction import ModelReference, Prediction

if TYPE_CHECKING:
    from genrekit.datasets.base import Dataset

# Far less than the share of one segment, so the mean decides between equal shares and nothing else.
TIE_BREAK = 1e-6
# Predictions are rounded to six decimals; a probability of 0 there is less than this.
ROUNDED_TO_ZERO = 5e-7
# Precisions that a card is asked to promise, and a threshold that no probability reaches.
PROMISES = (0.8, 0.85, 0.9, 0.95)
NEVER = 2.0


@dataclass
class Heard:
    """Predictions of the tracks that could be heard, and the others with their reasons."""

    tracks: list[ChosenTrack] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    failures: list[FailedTrack] = field(default_factory=list)


class Measured(NamedTuple):
    """What one model says of one part of one split."""

    card: ModelCard
    selection: Selection
    heard: Heard


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
    heard = hear(classifier, dataset, selection.tracks, jobs, advance)
    return measure([Measured(classifier.card, selection, heard)])


def hear(
    classifier: Classifier,
    dataset: Dataset,
    tracks: Sequence[ChosenTrack],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Heard:
    """Predict tracks on the product's road, keeping those apart that cannot be heard.

    The tracks of a feature table have no audio: their rows go through the same model.

    Raises:
        ModelError: the model hears other features than the table holds.
    """
    heard = Heard()
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


def measure(measured: Sequence[Measured], split: str | None = None) -> EvaluationResult:
    """Score what was heard: by one model, or by several that each held out another fold.

    The answers of all models are pooled: a track that several models were asked about counts once
    for each, and always together with its artist's other tracks. Where LEAKY folds held out another
    stretch of a track each, all its stretches vote together; calibration and abstention are still
    those of each model's own answers.

    Args:
        measured: one entry a model; all have the labels and the aggregation of the first.
        split: what to call the splits together; None is the name of the first one.

    Raises:
        DatasetError: nothing was heard.
    """
    card, first, _ = measured[0]
    tracks = [track for its in measured for track in its.heard.tracks]
    failures = [failure for its in measured for failure in its.heard.failures]
    if not tracks:
        raise DatasetError(
            f"none of the {len(failures)} {first.part} tracks of {first.data} can be heard; the "
            f"first: {failures[0].path}: {failures[0].error}"
        )
    true = np.array([card.labels.index(track.genre) for track in tracks])
    groups = [track.group for track in tracks]
    predictions = [prediction for its in measured for prediction in its.heard.predictions]
    by_track = [_segment_matrix(prediction, card.labels) for prediction in predictions]
    product = _product_matrix(predictions, card.labels)
    selections = [its.selection for its in measured]
    whole = _whole_tracks(card, tracks, predictions)
    answers = tuple(_track_result(track, prediction) for track, prediction in whole)
    return EvaluationResult(
        model=_reference([its.card for its in measured]),
        runs=tuple(map(_run, measured)),
        data=first.data,
        split=split or first.split.name,
        split_sha256=_joined([its.split.sha256 for its in selections]),
        split_is_leaky=isinstance(first.split, SegmentSplit),
        part=first.part,
        labels=card.labels,
        composition=first.composition,
        n_tracks=len({track.track_id for track in tracks}),
        n_artist_groups=len(set(groups)),
        product_level=card.aggregation,
        levels=_levels(card, whole),
        uncalibrated=_uncalibrated(measured, by_track, true, groups),
        coverage=coverage(
            card.precision_curve if len(measured) == 1 else (), product, true, groups
        ),
        abstention=_abstention(measured, product, true, groups),
        trained_on=_all(its.trained_on for its in selections),
        includes_trained_on=first.includes_trained_on,
        other_split=any(its.selection.is_another_split for its in measured),
        n_same_artist=sum(its.n_same_artist for its in selections),
        unknown_genres=dict(sum((Counter(its.unknown_genres) for its in selections), Counter())),
        problems=_all(its.problems for its in selections),
        failures=tuple(failures),
        tracks=answers,
        confusions=_confusions(answers),
    )


def _confusions(answers: Sequence[TrackResult]) -> tuple[Confusion, ...]:
    pairs: dict[tuple[str, str], list[str]] = {}
    for track in sorted(answers, key=lambda its: -its.probability):
        if not track.correct:
            pairs.setdefault((track.genre, track.label), []).append(track.track_id)
    ordered = sorted(pairs.items(), key=lambda item: -len(item[1]))
    return tuple(
        Confusion(genre=genre, label=label, track_ids=tuple(track_ids))
        for (genre, label), track_ids in ordered
    )


def _all(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Join lists, every text once."""
    return tuple(dict.fromkeys(text for texts in lists for text in texts))


def _joined(hashes: Sequence[str]) -> str:
    """Return the one hash, or the SHA-256 of all of them in their order."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _reference(cards: Sequence[ModelCard]) -> ModelReference:
    sha256 = _joined([card.onnx_sha256 for card in cards])
    return ModelReference(name=cards[0].name, version=cards[0].version, sha256=sha256)


def _run(measured: Measured) -> RunScore:
    """Return how one model did by itself."""
    heard = measured.heard
    answers = zip(heard.tracks, heard.predictions, strict=True)
    n_right = sum(track.genre == prediction.genres[0][0] for track, prediction in answers)
    return RunScore(
        split=measured.selection.split.title,
        sha256=measured.card.onnx_sha256,
        n_tracks=len(heard.tracks),
        n_right=n_right,
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
    return _answered_anew(card, prediction.model_copy(update={"segments": kept}))


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
    measured: Sequence[Measured], by_track: Sequence[Floats], true: Integers, groups: Sequence[str]
) -> Uncalibrated:
    by_card = [its.card.calibration for its in measured for _ in its.heard.tracks]
    pairs = zip(by_track, by_card, strict=True)
    means = np.array([_undo(rows, calibration).mean(axis=0) for rows, calibration in pairs])
    return Uncalibrated(
        negative_log_likelihood=likelihood(means, true, groups),
        expected_calibration_error=calibration_error(means, true, groups),
    )


def _abstention(
    measured: Sequence[Measured], product: Floats, true: Integers, groups: Sequence[str]
) -> tuple[Abstention, ...]:
    """Return what is reached where each model abstains below its own threshold."""
    found = []
    for promised in PROMISES:
        thresholds = [_threshold(its.card, promised) for its in measured]
        by_track = [
            value for value, its in zip(thresholds, measured, strict=True) for _ in its.heard.tracks
        ]
        reached = answered_share(np.array(by_track), product, true, groups)
        if min(thresholds) < NEVER:
            alone = thresholds[0] if len(thresholds) == 1 else None
            found.append(Abstention(promised_precision=promised, threshold=alone, **reached))
    return tuple(found)


def _threshold(card: ModelCard, promised: float) -> float:
    """Return where a model promises this precision; above every probability if nowhere."""
    try:
        return threshold_for(card, promised)
    except ModelError:
        return NEVER


def _undo(probabilities: Floats, calibration: Calibration) -> Floats:
    """Undo temperature and bias: ln p is (logits + bias) / temperature but for a constant."""
    logits = np.log(np.maximum(probabilities, ROUNDED_TO_ZERO)) * calibration.temperature
    return segment_probabilities(logits, bias=[-value for value in calibration.bias])


def _majority(probabilities: Floats) -> Floats:
    """Return the shares of votes of one track; between equal shares the mean decides."""
    shares = track_probabilities(probabilities, "majority_vote")
    tilted = shares + TIE_BREAK * probabilities.mean(axis=0)
    return np.asarray(tilted / tilted.sum())


def _whole_tracks(
    card: ModelCard, tracks: Sequence[ChosenTrack], predictions: Sequence[Prediction]
) -> list[tuple[ChosenTrack, Prediction]]:
    """Join the answers about a track whose stretches different folds held out."""
    whole: list[tuple[ChosenTrack, Prediction]] = []
    open_at: dict[str, int] = {}  # where a track stands of which stretches are missing
    for track, prediction in zip(tracks, predictions, strict=True):
        place = open_at.get(track.track_id)
        if place is None or whole[place][0].segments & track.segments or not track.segments:
            open_at[track.track_id] = len(whole)
            whole.append((track, prediction))
        else:
            whole[place] = _join(card, whole[place], (track, prediction))
    return whole


def _join(
    card: ModelCard, first: tuple[ChosenTrack, Prediction], second: tuple[ChosenTrack, Prediction]
) -> tuple[ChosenTrack, Prediction]:
    (track, prediction), (other, more) = first, second
    heard = sorted((*prediction.segments, *more.segments), key=lambda its: its.start_seconds)
    joined = prediction.model_copy(update={"segments": tuple(heard)})
    return (
        replace(track, segments=track.segments | other.segments),
        _answered_anew(card, joined),
    )


def _answered_anew(card: ModelCard, prediction: Prediction) -> Prediction:
    """Return the prediction with the answer that its own segments give."""
    probabilities = track_probabilities(
        _segment_matrix(prediction, card.labels),
        card.aggregation,
        card.calibration.track_temperature,
    )
    named = dict(zip(card.labels, probabilities.tolist(), strict=True))
    return prediction.model_copy(update={"probabilities": named})


def _levels(
    card: ModelCard, answers: Sequence[tuple[ChosenTrack, Prediction]]
) -> dict[Level, Scores]:
    """Score every level; the one that the model answers with is the product's own numbers."""
    true = np.array([card.labels.index(track.genre) for track, _ in answers])
    groups = [track.group for track, _ in answers]
    by_track = [_segment_matrix(prediction, card.labels) for _, prediction in answers]
    product = _product_matrix([prediction for _, prediction in answers], card.labels)
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
        group=track.group,
        genre=track.genre,
        label=prediction.genres[0][0],
        probability=prediction.probability,
        n_segments=len(prediction.segments),
    )
