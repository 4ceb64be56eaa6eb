"""Augmentation against answers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit import features
from genrekit.features.level import level_db
from genrekit.features.spec import FeatureSpec
from genrekit.training import augment
from genrekit.training.recipe import Augmentation


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_gain_moves_a_whole_segment_by_one_number_and_stops_at_the_floor() -> None:
    spec = FeatureSpec(mean=-40.0, std=10.0, floor_db=-100.0)
    features = np.full((3, 4, 5), 2.0, np.float32)
    features[:, 0] = -6.0  # the floor: (-100 + 40) / 10
    changed = augment.change_gain(features, spec, 10.0, rng())
    moved = changed[:, 1:] - 2.0
    assert np.ptp(moved.reshape(3, -1), axis=1).max() == 0
    assert np.abs(moved).max() <= 1.0
    assert len(np.unique(moved)) == 3
    assert changed.min() >= -6.0


@pytest.mark.parametrize(("axis", "size"), [(1, 40), (2, 60)])
def test_masks_zero_whole_stripes_no_wider_than_asked(axis: int, size: int) -> None:
    features = np.ones((200, 40, 60), np.float32)
    masked = augment.mask(features, axis, 1, 8, rng())
    other = 3 - axis
    assert set(np.unique(masked)) == {0.0, 1.0}
    stripes = masked.min(axis=other)  # (batch, size)
    np.testing.assert_array_equal(stripes, masked.max(axis=other))
    widths = (stripes == 0).sum(axis=1)
    assert set(widths) == set(range(9))
    assert (np.abs(np.diff(stripes, axis=1)).sum(axis=1) <= 2).all()  # one stripe each
    assert (stripes == 0).any(axis=0).all()  # every place can be hit
    assert stripes.shape == (200, size)


def test_a_mask_wider_than_the_segment_is_cut_to_it() -> None:
    features = np.ones((50, 4, 6), np.float32)
    assert augment.mask(features, 1, 1, 100, rng()).shape == features.shape


def test_mixup_blends_inputs_and_targets_with_the_same_share() -> None:
    targets = np.eye(6, dtype=np.float32)
    inputs = targets[:, None] * 10
    mixed_inputs, mixed_targets = augment.mixup((inputs, targets), 0.5, rng())
    np.testing.assert_allclose(mixed_inputs[:, 0], mixed_targets * 10, rtol=1e-5)
    np.testing.assert_allclose(mixed_targets.sum(axis=1), 1, rtol=1e-6)
    assert (np.diag(mixed_targets) >= 0.5).all()
    assert (np.diag(mixed_targets) < 0.999).any()


def test_smoothing_keeps_the_sum() -> None:
    smoothed = augment.smooth(np.eye(4, dtype=np.float32), 0.2)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(smoothed), 0.85)


def test_nothing_happens_unless_the_recipe_says_so() -> None:
    features = rng().normal(size=(2, 8, 9)).astype(np.float32)
    same = augment.spectral(features, FeatureSpec(), Augmentation(), rng())
    np.testing.assert_array_equal(same, features)


def test_the_same_generator_gives_the_same_batch() -> None:
    features = rng().normal(size=(4, 30, 40)).astype(np.float32)
    settings = Augmentation(gain_db=6, frequency_masks=2, time_masks=2)
    first, second = (augment.spectral(features, FeatureSpec(), settings, rng()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != features).any()


def test_low_pass_falls_to_the_floor_above_one_cutoff_a_segment() -> None:
    spec = FeatureSpec(floor_db=-100.0)
    centres = spec.bin_hz
    decibels = np.zeros((50, spec.n_bins, 4), np.float32)
    passed = augment.low_pass(decibels, spec, (2000.0, 4000.0), rng())
    assert set(np.unique(passed)) == {-100.0, 0.0}
    assert (passed[:, centres < 2000] == 0).all()
    assert (passed[:, centres > 4000] == -100).all()
    n_left = (passed[:, :, 0] == 0).sum(axis=1)
    assert len(np.unique(n_left)) > 5
    assert (np.diff(passed, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", ["log_mel", "log_stft"])
def test_noise_lies_where_white_noise_of_that_power_would(kind: str) -> None:
    spec = FeatureSpec(kind=kind)
    time = np.arange(spec.segment_samples) / spec.sample_rate
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    clean = features.decibels(tone[None].repeat(3, 0), spec)
    snr_db = 20.0
    noisy = augment.add_noise(clean, spec, (snr_db, snr_db), rng())
    # The powers add up: 1 + 10^-2 of the tone's mean power.
    more_db = (level_db(noisy) - level_db(clean)).ravel()
    np.testing.assert_allclose(more_db, 10 * np.log10(1 + 10 ** (-snr_db / 10)), atol=0.01)
    # Far from the tone the noise is all there is, and as flat as the front end shows white noise.
    white = features.decibels(rng().standard_normal(time.shape).astype(np.float32), spec)
    far = spec.bin_hz > 4000
    shown, expected = (10 ** (x[far] / 10) for x in (noisy[0], white))
    ratios_db = 10 * np.log10(shown.mean(axis=1) / expected.mean(axis=1))
    assert np.std(ratios_db) < 1.0


def test_low_pass_and_noise_change_their_share_and_come_back_to_the_level() -> None:
    spec = FeatureSpec(mean=-40.0, std=20.0, level_db=-4.0)
    segments = rng().normal(0, 0.1, (40, spec.segment_samples)).astype(np.float32)
    before = features.compute(segments, spec)
    noise = Augmentation(noise_share=0.5, noise_snr_db=(0.0, 10.0))
    for settings in (Augmentation(low_pass_share=0.5), noise):
        after = augment.spectral(before, spec, settings, rng())
        np.testing.assert_allclose(level_db(after * 20 - 40), -4.0, atol=0.01)
        changed = np.abs(after - before).max(axis=(1, 2)) > 0.05
        assert 10 < changed.sum() < 30
    nobody = augment.spectral(before[:1], spec, Augmentation(noise_share=1e-9), rng())
    np.testing.assert_allclose(nobody, before[:1], atol=1e-5)
