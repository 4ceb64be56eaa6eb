"""What a fit says of training tracks that it did not see, nor any of their artists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import Track, stratify
from genrekit.training.data import TrainingSet

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
N_FOLDS = 5
# Fits to (tracks, their label indices) and returns logits (n_segments, n_labels) of other tracks.
Answer = Callable[[Sequence[Track], Integers, Sequence[Track]], list[Floats]]


def answers(prepared: TrainingSet, answer: Answer) -> list[Floats]:
    """Fit N_FOLDS times, each time without one fold of whole groups, and ask about that fold.

    Args:
        prepared: its training tracks are divided.
        answer: see Answer.

    Returns:
        One array a training track, of shape (n_segments, n_labels).

    Raises:
        DatasetError: a genre has too few groups to be divided.
    """
    tracks, true = prepared.train, prepared.targets(prepared.train)
    groups = [prepared.dataset.groups[track.track_id] for track in tracks]
    parts = stratify.folds([track.genre for track in tracks], groups, N_FOLDS)
    logits: dict[str, Floats] = {}
    for fold in range(N_FOLDS):
        inside = [track for track, part in zip(tracks, parts, strict=True) if part != fold]
        asked = [track for track, part in zip(tracks, parts, strict=True) if part == fold]
        said = answer(inside, true[parts != fold], asked)
        logits.update(zip((track.track_id for track in asked), said, strict=True))
    return [logits[track.track_id] for track in tracks]
