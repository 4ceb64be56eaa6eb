"""Augmentation of training batches, in NumPy, with a generator seeded by the epoch.

Everything is a function of its arguments and the generator, so a resumed run repeats the original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import features as front_ends
from genrekit.features.level import LOG_POWER_PER_DB, level_db

if TYPE_CHECKING:
    from genrekit.features.spec import FeatureSpec
    from genrekit.training.recipe import Augmentation

Floats = NDArray[np.float32]
N_KNOTS = 6


def change_gain(
    features: Floats, spec: FeatureSpec, gain_db: float, rng: np.random.Generator
) -> Floats:
    """Make each segment louder or softer by up to gain_db, as a volume knob would.

    Args:
        features: normalised decibels. Shape (batch, n_bins, n_frames).
        spec: for mean, std and the floor, which is the lowest value.
        gain_db: largest change, in decibels.
        rng: draws one gain per segment, uniformly.
    """
    gains = rng.uniform(-gain_db, gain_db, (len(features), 1, 1)).astype(np.float32)
    floor = np.float32((spec.floor_db - spec.mean) / spec.std)
    return np.maximum(features + gains / np.float32(spec.std), floor)


def equalise(
    features: Floats, spec: FeatureSpec, equaliser_db: float, rng: np.random.Generator
) -> Floats:
    """Filter each segment with a smooth random curve, as another recording chain would.

    Args:
        features: normalised decibels. Shape (batch, n_bins, n_frames).
        spec: for std.
        equaliser_db: standard deviation of the curve's six knots, in decibels.
        rng: draws the knots; the curve is linear between them.
    """
    knots = rng.normal(0, equaliser_db / spec.std, (len(features), N_KNOTS))
    places, bins = np.linspace(0, 1, N_KNOTS), np.linspace(0, 1, features.shape[1])
    curves = np.stack([np.interp(bins, places, curve) for curve in knots])
    coloured: Floats = features + curves[:, :, None].astype(np.float32)
    return coloured


def shift_frequency(features: Floats, shift_bins: int, rng: np.random.Generator) -> Floats:
    """Shift each segment up or down by some bins, roughly to another key, repeating edge bins.

    Args:
        features: shape (batch, n_bins, n_frames).
        shift_bins: largest shift.
        rng: draws one shift per segment, uniformly.
    """
    n_segments, n_bins, _ = features.shape
    shifts = rng.integers(-shift_bins, shift_bins + 1, (n_segments, 1))
    rows = np.clip(np.arange(n_bins) - shifts, 0, n_bins - 1)
    return np.take_along_axis(features, rows[:, :, None], axis=1)


def low_pass(
    decibels: Floats, spec: FeatureSpec, cutoff_hz: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Remove what is above a cutoff frequency, as a low sample rate or an old recording does.

    Args:
        decibels: of segments. Shape (batch, n_bins, n_frames).
        spec: for the bins' frequencies, and the floor, to which bins above the cutoff are set.
        cutoff_hz: lowest and highest cutoff.
        rng: draws one cutoff per segment, uniformly in its logarithm.
    """
    low, high = np.log(cutoff_hz)
    cutoffs = np.exp(rng.uniform(low, high, (len(decibels), 1)))
    is_above = spec.bin_hz > cutoffs  # (batch, n_bins)
    return np.where(is_above[:, :, None], np.float32(spec.floor_db), decibels)


def add_noise(
    decibels: Floats, spec: FeatureSpec, snr_db: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Add the power spectrogram of white noise, ignoring the cross terms.

    Args:
        decibels: of segments. Shape (batch, n_bins, n_frames).
        spec: the front end, also for the noise.
        snr_db: lowest and highest ratio of the segment's mean power to the noise's.
        rng: draws the noise, and one ratio per segment, uniformly.
    """
    n_segments, _, n_frames = decibels.shape
    distances = rng.uniform(*snr_db, (n_segments, 1, 1)).astype(np.float32)
    waveforms = rng.standard_normal((n_segments, spec.segment_samples), np.float32)
    noise = front_ends.decibels(waveforms, spec)[:, :, :n_frames]
    noise += level_db(decibels) - level_db(noise) - distances
    log_power = np.logaddexp(decibels * LOG_POWER_PER_DB, noise * LOG_POWER_PER_DB)
    noisy: Floats = log_power / LOG_POWER_PER_DB
    return noisy


def mask(
    features: Floats, axis: int, n_masks: int, max_width: int, rng: np.random.Generator
) -> Floats:
    """Set stripes of each segment to zero, the training data's mean.

    Args:
        features: shape (batch, n_bins, n_frames).
        axis: 1 masks frequencies, 2 masks times.
        n_masks: stripes per segment; they may overlap.
        max_width: the maximum width of a stripe, in bins or frames; the minimum is 0.
        rng: draws widths and positions.

    Source: Park et al. (2019), SpecAugment, arXiv:1904.08779, without time warping.
    """
    size = features.shape[axis]
    widths = rng.integers(0, min(max_width, size) + 1, (len(features), n_masks, 1))
    starts = rng.integers(0, size - widths + 1)
    places = np.arange(size)
    masked = ((places >= starts) & (places < starts + widths)).any(axis=1)  # (batch, size)
    return np.where(np.expand_dims(masked, 3 - axis), np.float32(0), features)


def spectral(
    features: Floats, spec: FeatureSpec, settings: Augmentation, rng: np.random.Generator
) -> Floats:
    """Augment a batch as in the recipe. Shape (batch, n_bins, n_frames).

    Shift, equaliser and gain, then low pass and noise, each on its own share of the segments, then
    masks. If spec has a level_db, changed segments are brought back to it before the masks.
    """
    if settings.shift_bins:
        features = shift_frequency(features, settings.shift_bins, rng)
    if settings.equaliser_db:
        features = equalise(features, spec, settings.equaliser_db, rng)
    if settings.gain_db:
        features = change_gain(features, spec, settings.gain_db, rng)
    if settings.low_pass_share or settings.noise_share or spec.level_db is not None:
        decibels = features * np.float32(spec.std) + np.float32(spec.mean)
        if settings.low_pass_share:
            drawn = rng.random(len(decibels)) < settings.low_pass_share
            decibels[drawn] = low_pass(decibels[drawn], spec, settings.low_pass_hz, rng)
        if settings.noise_share:
            drawn = rng.random(len(decibels)) < settings.noise_share
            decibels[drawn] = add_noise(decibels[drawn], spec, settings.noise_snr_db, rng)
        features = front_ends.normalise(decibels, spec)
    if settings.frequency_masks:
        bins = settings.frequency_mask_bins
        features = mask(features, 1, settings.frequency_masks, bins, rng)
    if settings.time_masks:
        features = mask(features, 2, settings.time_masks, settings.time_mask_frames, rng)
    return features


def mixup(arrays: tuple[Floats, ...], alpha: float, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Blend each segment, with all that belongs to it, with another segment of the batch.

    Args:
        arrays: the inputs and their targets, with the batch as the first axis.
        alpha: of the Beta(alpha, alpha) distribution of the shares; the segment itself has the
            larger share.
        rng: draws one partner and share per segment.

    Source: Zhang et al. (2018), mixup, arXiv:1710.09412, equation 2.
    """
    n_segments = len(arrays[0])
    partners = rng.permutation(n_segments)
    drawn = rng.beta(alpha, alpha, n_segments)
    shares = np.maximum(drawn, 1 - drawn).astype(np.float32)
    return tuple(_blend(array, array[partners], shares) for array in arrays)


def _blend(first: Floats, second: Floats, shares: Floats) -> Floats:
    weights = shares.reshape(-1, *[1] * (first.ndim - 1))
    return weights * first + (1 - weights) * second


def smooth(one_hot: Floats, smoothing: float) -> Floats:
    """Spread the share ``smoothing`` of each target over all labels. Shape (batch, n_labels).

    Source: Szegedy et al. (2016), arXiv:1512.00567, section 7.

    >>> smooth(np.array([[1.0, 0.0]], np.float32), 0.2).round(2).tolist()
    [[0.8999999761581421, 0.10000000149011612]]
    """
    return one_hot * np.float32(1 - smoothing) + np.float32(smoothing / one_hot.shape[-1])
