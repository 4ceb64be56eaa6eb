"""Train a new head on a model's embedding with a library's labels, measured by artist folds.

The head is fitted to the mean embeddings stored by a scan. The measurement follows inference:
held-out tracks are decoded, logits are computed per segment, and calibration and accuracy are those
of the track's probabilities; the old model is measured on the same segments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit import metrics
from genrekit.errors import DatasetError
from genrekit.evaluation import calibration, scoring
from genrekit.evaluation.result import card_metrics
from genrekit.labels import LabelSet
from genrekit.models.card import (
    Calibration,
    Interval,
    Metrics,
    ModelCard,
    PrecisionPoint,
    TrainingData,
)
from genrekit.models.registry import ModelFolder
from genrekit.prediction import percent
from genrekit.training import onnx_head, taught
from genrekit.training.label_space import LabelSpace, label_space
from genrekit.training.lesson import (
    BASE,
    CORRECTION_WEIGHT,
    MAX_MEASURED,
    N_FOLDS,
    Lesson,
    MeasuredTrack,
    TaughtTrack,
    base_of,
    track_probabilities_of,
)
from genrekit.training.out_of_fold import true_labels

Floats = NDArray[np.float64]
DATA = "a library"
MIN_TRACKS = 20
MAX_FITTED = 20_000


@dataclass(frozen=True)
class TaughtModel:
    """A new model, and its and the old model's accuracy on tracks by held-out artists.

    Attributes:
        model: the ONNX file's bytes.
        card: its card, without the hash of the network.
        old_name: the model that it is compared with.
        new_labels: labels that the old model lacks.
        accuracy, old_accuracy: over the measured tracks.
        difference: the first minus the second, with an interval by resampled artist groups.
        n_fitted, n_corrections: tracks that the head was fitted to, and how many a person labelled.
        n_tracks, n_artist_groups: the number of measured tracks and of their artists.
        failures: by path, why a track could not be measured.
    """

    model: bytes
    card: ModelCard
    old_name: str
    new_labels: tuple[str, ...]
    accuracy: float
    old_accuracy: float
    difference: Interval
    n_fitted: int
    n_corrections: int
    n_tracks: int
    n_artist_groups: int
    failures: dict[str, str]

    @property
    def caution(self) -> str | None:
        """Return a caution that the difference means little, if there are few artist groups."""
        return metrics.caution(self.n_tracks, self.n_artist_groups)

    @property
    def summary(self) -> str:
        """Return the result in one sentence."""
        return (
            f"{percent(self.accuracy)} of {self.n_tracks} tracks right by artist folds, model "
            f"{self.old_name!r} {percent(self.old_accuracy)} of the same: "
            f"{self.difference.points(' points')}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "name": self.card.name,
            "old_name": self.old_name,
            "accuracy": round(self.accuracy, 6),
            "old_accuracy": round(self.old_accuracy, 6),
            "difference": round(self.difference.value, 6),
            "low": round(self.difference.low, 6),
            "high": round(self.difference.high, 6),
            "n_fitted": self.n_fitted,
            "n_corrections": self.n_corrections,
            "n_tracks": self.n_tracks,
            "n_artist_groups": self.n_artist_groups,
            "labels": list(self.card.labels),
            "new_labels": list(self.new_labels),
            "failures": self.failures,
            "summary": self.summary,
            "caution": self.caution,
        }


def teach(
    folder: ModelFolder,
    tracks: Sequence[TaughtTrack],
    label_set: LabelSet | None = None,
    *,
    min_per_genre: int = 10,
    advance: Callable[[], None] = lambda: None,
) -> TaughtModel:
    """Fit a head to the labels of a library and compare it with the current model.

    Args:
        folder: the model whose embeddings these are.
        tracks: one entry per recording.
        label_set: the user's own genres; see ``label_space``.
        min_per_genre: the number of tracks needed for a genre that the model lacks.
        advance: called for each measured track; ``n_measured`` returns their number.

    Raises:
        DatasetError: too few tracks or artists have a usable genre, or none of the tracks to
            measure can be decoded.
        ModelError: the model has no embedding, or its head cannot be separated.
    """
    base = base_of(folder)
    space = label_space(
        base.labels,
        [track.genres for track in tracks],
        [track.group for track in tracks],
        label_set,
        min_per_genre,
    )
    kept = _kept(tracks, space)
    lesson = Lesson(base, space, kept)
    measured, failures = lesson.measure(folder, advance)
    return _taught(folder, lesson, measured, failures)


def n_measured(n_tracks: int) -> int:
    """Return how many of this many tracks are measured."""
    return min(n_tracks, MAX_MEASURED)


def _kept(tracks: Sequence[TaughtTrack], space: LabelSpace) -> list[TaughtTrack]:
    """Return the tracks with usable genres, at most MAX_FITTED: corrections first."""
    kept = [track for track in tracks if space.meant(track.genres)]
    n_groups = len({track.group for track in kept})
    if len(kept) < MIN_TRACKS or n_groups < N_FOLDS:
        raise DatasetError(
            f"{len(kept)} tracks of {n_groups} artists have a usable tag or correction; expected "
            f"{MIN_TRACKS} tracks of {N_FOLDS} artists: correct the genres of more with "
            "`genrekit library correct` (`genrekit library uncertain` suggests which)"
        )
    chance = np.random.default_rng(0).random(len(kept))
    order = sorted(range(len(kept)), key=lambda i: (not kept[i].is_correction, chance[i]))
    return [kept[index] for index in order[:MAX_FITTED]]


class _Measurement(NamedTuple):
    numbers: Calibration
    curve: tuple[PrecisionPoint, ...]
    metrics: Metrics
    groups: list[str]
    is_right: NDArray[np.bool_]
    was_right: NDArray[np.bool_]


def _compare(card: ModelCard, lesson: Lesson, measured: Sequence[MeasuredTrack]) -> _Measurement:
    """Calibrate the new model on held-out tracks, and find which tracks each model gets right."""
    targets = np.array([lesson.targets[its.place] for its in measured])
    rows = np.arange(len(measured))
    every = np.ones(len(lesson.tracks), bool)
    numbers, new = _calibrated(card, lesson.held_out(measured, every), targets)
    if (
        lesson.taught_by.any()
    ):  # the old head was fitted to these tracks: refit it without each fold
        _, old = _calibrated(card, lesson.held_out(measured, lesson.taught_by), targets)
    else:
        old = np.array([its.old for its in measured])
    groups, true = [lesson.groups[its.place] for its in measured], true_labels(new, targets)
    return _Measurement(
        numbers,
        calibration.precision_curve(new, true),
        card_metrics(
            scoring.score(card.aggregation, new, true, groups, lesson.space.labels),
            split=f"{N_FOLDS} folds by artist, temperatures fitted to these tracks",
            data=DATA,
            n_tracks=len(measured),
            n_artist_groups=len(set(groups)),
        ),
        groups,
        targets[rows, new.argmax(axis=1)] > 0,
        targets[rows, old.argmax(axis=1)] > 0,
    )


def _calibrated(
    card: ModelCard, logits: Sequence[Floats], targets: Floats
) -> tuple[Calibration, Floats]:
    """Fit temperatures, and return each track's probabilities, of shape (n_tracks, n_labels).

    The head has fitted biases; biases of the calibration could overfit the measured tracks.
    """
    plain = np.array([track_probabilities_of(card, Calibration(), its) for its in logits])
    described = f"{len(logits)} labelled tracks of a library, by {N_FOLDS} artist-grouped folds"
    true = true_labels(plain, targets)
    numbers = calibration.fit(logits, true, with_track=True, fitted_on=described)
    return numbers, np.array([track_probabilities_of(card, numbers, its) for its in logits])


def _taught(
    folder: ModelFolder,
    lesson: Lesson,
    measured: Sequence[MeasuredTrack],
    failures: dict[str, str],
) -> TaughtModel:
    found = _compare(folder.card, lesson, measured)
    weight, bias = lesson.fit(np.ones(len(lesson.tracks), bool))
    gains = found.is_right.astype(float) - found.was_right
    resamples = metrics.Resamples(np.stack([gains, np.ones(len(gains))], axis=1), found.groups)
    model = TaughtModel(
        model=onnx_head.teach(lesson.base.model, lesson.start, weight, bias),
        card=folder.card,
        old_name=folder.card.name,
        new_labels=tuple(label for label in lesson.space.labels if label not in folder.card.labels),
        accuracy=found.metrics.accuracy.value,
        old_accuracy=float(found.was_right.mean()),
        difference=scoring.interval(resamples, scoring.mean),
        n_fitted=len(lesson.tracks),
        n_corrections=sum(track.is_correction for track in lesson.tracks),
        n_tracks=found.metrics.n_tracks,
        n_artist_groups=len(set(found.groups)),
        failures=failures,
    )
    return _with_card(model, lesson, found)


def _with_card(model: TaughtModel, lesson: Lesson, found: _Measurement) -> TaughtModel:
    """Describe the new model, without the old model's measurements, which do not apply to it."""
    old, base = model.card, lesson.base
    counts = Counter(lesson.space.labels[k] for k in lesson.targets.argmax(axis=1).tolist())
    data = TrainingData(
        dataset=DATA,
        split="all",
        split_sha256="",
        n_tracks={"train": model.n_fitted},
        track_ids=tuple(track.digest[:16] for track in lesson.tracks),
        n_per_class=dict(sorted(counts.items())),
    )
    is_taught = bool(base.taught_by)
    card = old.model_copy(
        update={
            "name": old.name if is_taught else f"{old.name[:57]}-taught",
            "version": date.today().isoformat(),
            "description": (
                f"A head on the embedding of {old.name}, trained on {model.n_fitted} tracks of a "
                f"library, {model.n_corrections} of them corrected by a person: {model.summary}."
            ),
            "labels": lesson.space.labels,
            "calibration": found.numbers,
            "precision_curve": found.curve,
            "training_data": data,
            "metrics": (found.metrics,),
            "leak_meter": None,
            "robustness": None,
            "recipe": {
                BASE: {
                    "labels": list(base.labels),
                    "calibration": base.calibration.model_dump(mode="json"),
                },
                "strength": taught.STRENGTH,
                "correction_weight": CORRECTION_WEIGHT,
            },
            "initial_weights": f"model {old.name} {old.version}, sha256 {old.onnx_sha256}",
        }
    )
    return replace(model, card=card)
