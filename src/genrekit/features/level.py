"""From decibels to a network's input: bring all segments to one level, then normalise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrekit.features.spec import FeatureSpec

Floats = NDArray[np.float32]
MOST_LIFT_DB = 40.0  # so that silence stays quiet
LOG_POWER_PER_DB = np.float32(np.log(10) / 10)


def level_db(decibels: Floats) -> Floats:
    """Return the mean power of spectrograms, in decibels.

    Args:
        decibels: shape (..., n_bins, frames).

    Returns:
        Shape (..., 1, 1).

    >>> level_db(np.full((2, 3), -20.0, np.float32)).round(3).tolist()
    [[-20.0]]
    """
    # The loudest value comes first, so that no power overflows and the mean is never zero.
    loudest = decibels.max(axis=(-2, -1), keepdims=True)
    power = decibels - loudest
    power *= LOG_POWER_PER_DB
    np.exp(power, out=power)
    level: Floats = loudest + np.log(power.mean(axis=(-2, -1), keepdims=True)) / LOG_POWER_PER_DB
    return level


def lift_db(decibels: Floats, target_db: float) -> Floats:
    """Return the gain that brings spectrograms to a mean power, at most MOST_LIFT_DB.

    Args:
        decibels: shape (..., n_bins, frames); each spectrogram has its own gain.
        target_db: the mean power, in decibels.

    Returns:
        Shape (..., 1, 1).
    """
    lift: Floats = np.minimum(np.float32(target_db) - level_db(decibels), np.float32(MOST_LIFT_DB))
    return lift


def normalise(decibels: Floats, spec: FeatureSpec) -> Floats:
    """Turn decibels into a network's input, in place.

    Args:
        decibels: of segments. Shape (..., n_bins, frames).
        spec: the front end, with the mean and std of its training tracks.

    Returns:
        (decibels brought to spec.level_db - spec.mean) / spec.std, in the same array.
    """
    if spec.level_db is not None:
        decibels += lift_db(decibels, spec.level_db)
    decibels -= np.float32(spec.mean)
    decibels /= np.float32(spec.std)
    return decibels
