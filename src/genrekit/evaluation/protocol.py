"""The protocol: the product's road over one part of a split, scored at three levels.

Probabilities come from ``genrekit.inference.classifier.Classifier.predict_files``, so what is
measured is what ``genrekit predict`` answers. Intervals resample the dataset's groups: the tracks
of one artist or of one repeated recording; any other track is a group of its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genrekit.datasets.split import SegmentSplit
from genrekit.errors import DatasetError, ModelError
from genrekit.evaluation.predicting import TrackPredictions, hear
from genrekit.evaluation.predictions import Answers, confusions, whole
from genrekit.evaluation.result import EvaluationResult, Level, RunScore, Scores, Uncalibrated
from genrekit.evaluation.scoring import (
    Floats,
    answered_share,
    calibration_error,
    coverage,
    likelihood,
    score,
)
from genrekit.evaluation.selection import AnySplit, Selection, select
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.inference.classifier import Classifier, threshold_for
from genrekit.models.card import Abstention, Calibration, ModelCard
from genrekit.prediction import ModelReference

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset

# Far less than the share of one segment, so the mean decides between equal shares and nothing else.
TIE_BREAK = 1e-6
# Predictions are rounded to six decimals; a probability of 0 there is less than this.
ROUNDED_TO_ZERO = 5e-7
# Precisions that a card is asked to promise, and a threshold that no probability reaches.
PROMISES = (0.8, 0.85, 0.9, 0.95)
NEVER = 2.0


class Measured(NamedTuple):
    """What one model says of one part of one split."""

    card: ModelCard
    selection: Selection
    heard: TrackPredictions


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
    failures = [failure for its in measured for failure in its.heard.failures]
    answers = Answers(
        card.labels,
        [track for its in measured for track in its.heard.tracks],
        [prediction for its in measured for prediction in its.heard.predictions],
    )
    if not answers.tracks:
        raise DatasetError(
            f"none of the {len(failures)} {first.part} tracks of {first.data} can be heard; the "
            f"first: {failures[0].path}: {failures[0].error}"
        )
    curve = card.precision_curve if len(measured) == 1 else ()
    selections = [its.selection for its in measured]
    of_whole = whole(card, answers)
    rows = of_whole.rows()
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
        n_tracks=len({track.track_id for track in answers.tracks}),
        n_artist_groups=len(set(answers.groups)),
        product_level=card.aggregation,
        levels=_levels(card, of_whole),
        uncalibrated=_uncalibrated(measured, answers),
        coverage=coverage(curve, answers.product, answers.true, answers.groups),
        abstention=_abstention(measured, answers),
        trained_on=_all(its.trained_on for its in selections),
        includes_trained_on=first.includes_trained_on,
        other_split=any(its.selection.is_another_split for its in measured),
        n_same_artist=sum(its.n_same_artist for its in selections),
        unknown_genres=dict(sum((Counter(its.unknown_genres) for its in selections), Counter())),
        problems=_all(its.problems for its in selections),
        failures=tuple(failures),
        tracks=rows,
        confusions=confusions(rows),
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


def _uncalibrated(measured: Sequence[Measured], answers: Answers) -> Uncalibrated:
    by_card = [its.card.calibration for its in measured for _ in its.heard.tracks]
    pairs = zip(answers.segments, by_card, strict=True)
    means = np.array([_undo(rows, calibration).mean(axis=0) for rows, calibration in pairs])
    return Uncalibrated(
        negative_log_likelihood=likelihood(means, answers.true, answers.groups),
        expected_calibration_error=calibration_error(means, answers.true, answers.groups),
    )


def _abstention(measured: Sequence[Measured], answers: Answers) -> tuple[Abstention, ...]:
    """Return what is reached where each model abstains below its own threshold."""
    found = []
    for promised in PROMISES:
        thresholds = [_threshold(its.card, promised) for its in measured]
        by_track = [
            value for value, its in zip(thresholds, measured, strict=True) for _ in its.heard.tracks
        ]
        reached = answered_share(np.array(by_track), answers.product, answers.true, answers.groups)
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


def _levels(card: ModelCard, answers: Answers) -> dict[Level, Scores]:
    """Score every level; the one that the model answers with is the product's own numbers."""
    lengths = [len(rows) for rows in answers.segments]
    segments_true = np.repeat(answers.true, lengths)
    segments_groups = [g for g, n in zip(answers.groups, lengths, strict=True) for _ in range(n)]
    of_tracks: dict[Level, Floats] = {
        "majority_vote": np.array([_majority(rows) for rows in answers.segments]),
        "mean_probability": np.array([track_probabilities(rows) for rows in answers.segments]),
    }
    of_tracks[card.aggregation] = answers.product
    segments = score(
        "segment", np.concatenate(answers.segments), segments_true, segments_groups, card.labels
    )
    tracks = {
        level: score(level, rows, answers.true, answers.groups, card.labels)
        for level, rows in of_tracks.items()
    }
    return {"segment": segments, **tracks}
