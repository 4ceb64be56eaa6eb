"""Find the segments of a track that are music: speech, noise and other sounds get no genre.

A logistic regression on the embedding, fitted together with the model's head
(``training.gate_fitting``), decides for each segment. Like silent segments, those that are not
music do not vote.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrekit.models.card import MusicGate
from genrekit.prediction import NOT_MUSIC, percent

MOSTLY_MUSIC_SHARE = 0.5  # above it a track is music, quiet bars and drum solos included
SOME_MUSIC_SHARE = 0.2  # below it a track is not music, whatever a few segments sound like


def logits(embeddings: NDArray[np.float32], gate: MusicGate) -> NDArray[np.float32]:
    """Return the logit of each segment's probability of being music.

    Args:
        embeddings: shape (n_segments, d).
        gate: of the model's card.

    Returns:
        Shape (n_segments,); above 0 is music.
    """
    weights = np.array(gate.weights, np.float32)
    found: NDArray[np.float32] = embeddings @ weights + np.float32(gate.bias)
    return found


def voters(
    embeddings: NDArray[np.float32], loud: Sequence[bool], gate: MusicGate
) -> tuple[list[bool], str | None]:
    """Choose the segments that decide a track's genre.

    Args:
        embeddings: shape (n_segments, d).
        loud: which of them are not silent.
        gate: of the model's card.

    Returns:
        Which segments vote, and a warning if some are left out because they are not music.
    """
    music = [
        is_loud and logit > 0 for is_loud, logit in zip(loud, logits(embeddings, gate), strict=True)
    ]
    n_loud, n_music = sum(loud), sum(music)
    if n_music > MOSTLY_MUSIC_SHARE * n_loud:
        return list(loud), None
    said = f"{NOT_MUSIC}: {percent(1 - n_music / n_loud)} of its segments sound like"
    if n_music < SOME_MUSIC_SHARE * n_loud:
        return [False] * len(music), f"{said} speech, noise or effects, so it gets no genre"
    return music, f"{said} something else; they are left out"
