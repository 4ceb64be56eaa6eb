"""Fit the music gate: a logistic regression on a model's embedding."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.inference.frontend import FrontEnd
from genrekit.inference.segments import are_loud
from genrekit.models.card import MusicGate
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import EMBEDDING, Network

INVERSE_STRENGTH = 0.1  # C of scikit-learn, for standardised embeddings
REFUSED_SHARE = 0.001  # of the music segments that it is fitted on
N_DIGITS = 6
Sound = tuple[NDArray[np.float32], int]  # mono audio in [-1, 1], shape (1, samples); its rate in Hz


def fit(
    folder: ModelFolder, music: Iterable[Sound], sounds: Iterable[Sound], fitted_on: str
) -> MusicGate:
    """Fit the gate of a model; music and other sounds have equal weight, whatever their number.

    The bias is set so that the gate refuses REFUSED_SHARE of the music segments.

    Args:
        folder: the model.
        music: training tracks of the model, and changed copies of them.
        sounds: sounds that are not music.
        fitted_on: a description of both, for the card.

    Raises:
        ModelError: the model has no embedding, or music or sounds are all silent.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    network = Network.of(folder)
    front_end = FrontEnd(folder.card.views, folder.card.images, folder.card.name)
    parts = [_embeddings(network, front_end, each) for each in (music, sounds)]
    if not all(map(len, parts)):
        raise ModelError(
            "a gate needs music and other sounds; one of the two has no audible segment"
        )
    is_music = np.repeat([True, False], [len(part) for part in parts])
    rows = np.concatenate(parts)
    scaler = StandardScaler().fit(rows)
    regression = LogisticRegression(C=INVERSE_STRENGTH, class_weight="balanced", max_iter=5000).fit(
        scaler.transform(rows), is_music
    )
    weights = regression.coef_[0] / scaler.scale_
    bias = -np.quantile(parts[0] @ weights, REFUSED_SHARE)
    return MusicGate(
        weights=tuple(_rounded(weight) for weight in weights.tolist()),
        bias=_rounded(float(bias)),
        fitted_on=fitted_on,
    )


def _embeddings(
    network: Network, front_end: FrontEnd, sounds: Iterable[Sound]
) -> NDArray[np.float32]:
    """Return the embedding of every segment that is not silent, shape (n_segments, d)."""
    found = [np.zeros((0, 0), np.float32)]
    for waveform, sample_rate in sounds:
        for batch in front_end.open_waveform(waveform, sample_rate, "all"):
            if batch.waveforms is not None:
                found += [network.run(batch.features, EMBEDDING)[0][are_loud(batch.waveforms)]]
    return np.concatenate(found[1:] or found)


def _rounded(value: float) -> float:
    return float(f"{value:.{N_DIGITS}g}")
