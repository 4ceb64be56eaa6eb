"""One level for every segment: a volume knob changes nothing, and silence stays quiet."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit.errors import RecipeError
from genrekit.features import FeatureSpec, compute, decibels, normalise
from genrekit.features.level import MOST_LIFT_DB, level_db
from genrekit.training import augment
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Augmentation

PLAIN = FeatureSpec(
    sample_rate=16000, n_fft=512, hop_length=256, n_mels=40, segment_seconds=1.0, mean=-30, std=15
)
LEVELLED = PLAIN.model_copy(update={"level_db": -10.0})


def noise(*shape: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def test_the_level_is_the_mean_power() -> None:
    power = np.random.default_rng(0).uniform(1e-6, 1, (2, 40, 60))
    found = level_db((10 * np.log10(power)).astype(np.float32))
    expected = 10 * np.log10(power.mean(axis=(1, 2)))
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 6.0, 12.0])
def test_a_gain_changes_nothing(gain_db: float) -> None:
    waveform = noise(3, 16000)
    louder = waveform * np.float32(10 ** (gain_db / 20))
    difference = np.abs(compute(louder, LEVELLED) - compute(waveform, LEVELLED)).max()
    assert difference < 1e-3
    assert np.abs(compute(louder, PLAIN) - compute(waveform, PLAIN)).max() > abs(gain_db) / 20


def test_every_segment_comes_to_the_level_by_itself() -> None:
    waveform = noise(3, 16000) * np.array([[0.03], [0.1], [1.0]], np.float32)
    levelled = compute(waveform, LEVELLED) * 15 - 30
    np.testing.assert_allclose(level_db(levelled)[:, 0, 0], -10, atol=1e-3)
    alone = compute(waveform[1], LEVELLED)
    np.testing.assert_allclose(alone, compute(waveform, LEVELLED)[1], atol=1e-5)


def test_silence_is_lifted_by_a_bounded_amount() -> None:
    silent = compute(np.zeros((1, 16000), np.float32), LEVELLED) * 15 - 30
    np.testing.assert_allclose(silent, PLAIN.floor_db + MOST_LIFT_DB, atol=1e-3)


def test_without_a_level_decibels_are_only_scaled() -> None:
    waveform = noise(16000)
    expected = (decibels(waveform, PLAIN) + 30) / 15
    np.testing.assert_allclose(normalise(decibels(waveform, PLAIN), PLAIN), expected, atol=1e-5)


def test_altered_copies_come_to_the_level_again() -> None:
    settings = Augmentation(equaliser_db=6.0, shift_bins=4)
    features = compute(noise(5, 16000), LEVELLED)
    altered = augment.spectral(features, LEVELLED, settings, np.random.default_rng(0))
    assert np.abs(altered - features).max() > 0.1
    np.testing.assert_allclose(level_db(altered * 15 - 30)[:, 0, 0], -10, atol=1e-3)


def test_a_gain_that_the_level_would_undo_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"features.level_db undoes what augmentation.gain_db"):
        recipes.load(
            None,
            ["features.level_db=-10.0", "augmentation.gain_db=3.0", "model.backbone=cnn"],
        )
