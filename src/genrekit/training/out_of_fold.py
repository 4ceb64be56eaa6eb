"""Logits of tracks that a model was not fitted to, for its calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import stratify

if TYPE_CHECKING:
    from genrekit.datasets import Track
    from genrekit.training.data import TrainingSet

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
N_FOLDS = 5


class HeldOut(NamedTuple):
    """Tracks that a model was not fitted to, and its logits of them.

    ``logits`` has one array per track, of shape (n_segments, n_labels); ``description`` names the
    tracks in the card.
    """

    tracks: Sequence[Track]
    logits: Sequence[Floats]
    description: str


def predict_all(
    data: TrainingSet,
    fit_and_predict: Callable[[Sequence[Track], Integers, Sequence[Track]], list[Floats]],
) -> HeldOut:
    """Fit N_FOLDS times, each time without one fold of artist groups, and predict that fold.

    Args:
        data: its training tracks are divided.
        fit_and_predict: fits to tracks with these label indices, and returns logits (n_segments,
            n_labels) of other tracks.

    Raises:
        DatasetError: a genre has too few groups to be divided.
    """
    tracks, true = data.train, data.targets(data.train)
    groups = [data.dataset.groups[track.track_id] for track in tracks]
    fold_of = stratify.folds(_strata(tracks, groups), groups, N_FOLDS)
    logits: dict[str, Floats] = {}
    for fold in range(N_FOLDS):
        inside = [track for track, its in zip(tracks, fold_of, strict=True) if its != fold]
        outside = [track for track, its in zip(tracks, fold_of, strict=True) if its == fold]
        predicted = fit_and_predict(inside, true[fold_of != fold], outside)
        logits.update(zip((track.track_id for track in outside), predicted, strict=True))
    described = f"training and validation tracks, by {N_FOLDS} artist-grouped folds,"
    return HeldOut(tracks, [logits[track.track_id] for track in tracks], described)


def _strata(tracks: Sequence[Track], groups: Sequence[str]) -> list[str]:
    """Return the strata of the folds: each track's first genre.

    A genre that is first only on one artist's tracks, but also occurs on others, counts as the most
    common genre; if no track has several genres, dividing is refused.
    """
    genres = [track.genre for track in tracks]
    beside = {genre for track in tracks for genre in track.more_genres}
    artists = Counter(genre for genre, _ in set(zip(genres, groups, strict=True)))
    common = artists.most_common(1)[0][0]
    return [common if artists[name] < 2 and name in beside else name for name in genres]


def true_labels(probabilities: NDArray[np.floating], shares: NDArray[np.float64]) -> Integers:
    """Return each track's label: of several the predicted one, if it is among them.

    Args:
        probabilities: shape (n_tracks, n_labels).
        shares: of each label in a track, zero if it lacks the label. Shape (n_tracks, n_labels).
    """
    predicted = probabilities.argmax(axis=1)
    is_right = shares[np.arange(len(shares)), predicted] > 0
    true: Integers = np.where(is_right, predicted, shares.argmax(axis=1))
    return true
