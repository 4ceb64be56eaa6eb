"""Distillation: a teacher's predictions over every training track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import RecipeError
from genrekit.inference.aggregation import segment_probabilities

if TYPE_CHECKING:
    from genrekit.models.card import ModelCard
    from genrekit.training.frozen import TrackOutput

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TeacherTargets:
    """A teacher's probabilities by track and time.

    Attributes:
        probabilities: one array per track. Shapes (n_segments, n_labels).
        centres_seconds: the middle of each of these segments. Shapes (n_segments,).
        half_seconds: half the length of the student's segments.
    """

    probabilities: Sequence[Floats]
    centres_seconds: Sequence[Floats]
    half_seconds: float

    def at(self, tracks: NDArray[np.int64], starts_seconds: Floats) -> Floats:
        """Return the teacher's prediction nearest to the middle of each of the student's segments.

        Args:
            tracks: the tracks' numbers. Shape (batch,).
            starts_seconds: the starts of the student's segments. Shape (batch,).

        Returns:
            Shape (batch, n_labels).
        """
        middles = starts_seconds + self.half_seconds
        rows = [
            self.probabilities[track][np.abs(self.centres_seconds[track] - middle).argmin()]
            for track, middle in zip(tracks, middles, strict=True)
        ]
        return np.stack(rows)


def targets(
    outputs: Sequence[TrackOutput],
    card: ModelCard,
    labels: Sequence[str],
    temperature: float,
    student_seconds: float,
) -> TeacherTargets:
    """Turn the teacher's logits into targets.

    Args:
        outputs: the teacher's logits of each track, in the order of the tracks' numbers.
        card: the teacher's; its calibration is applied before the temperature.
        labels: the student's, which the teacher must know; the teacher's other labels are dropped.
        temperature: above 1 gives more weight to the teacher's less probable labels.
        student_seconds: the length of the student's segments.

    Raises:
        RecipeError: the teacher does not know a label.
    """
    unknown = [label for label in labels if label not in card.labels]
    if unknown:
        raise RecipeError(
            f"teacher {card.name!r} does not know the label {unknown[0]!r}; it knows "
            f"{', '.join(card.labels)}; train without a teacher or with another one"
        )
    order = [card.labels.index(label) for label in labels]
    bias = np.array(card.calibration.bias or np.zeros(len(card.labels)))[order]
    scale = card.calibration.temperature * temperature
    return TeacherTargets(
        [
            segment_probabilities(track.output[:, order], scale, bias.tolist()).astype(np.float32)
            for track in outputs
        ],
        [track.starts_seconds + np.float32(card.segments.segment_seconds / 2) for track in outputs],
        student_seconds / 2,
    )
