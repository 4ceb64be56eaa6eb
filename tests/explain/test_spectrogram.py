"""The spectrogram that a page shows: the network's input, to half of one of 255 levels."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from genrekit import Classifier, demo
from genrekit.explain import spectrogram
from genrekit.features.spec import FeatureSpec
from genrekit.inference.frontend import Segments
from genrekit.models.card import one_view

TINY = Path(__file__).parents[1] / "golden" / "tiny"


def test_the_image_is_what_the_network_takes(tmp_path: Path) -> None:
    path = demo.write(tmp_path)[0]
    classifier = Classifier(TINY)
    seen = []
    prediction = classifier.predict_file(
        path, lambda batch: seen.append(batch.features["features"].copy())
    )
    image = spectrogram.spectrogram(classifier, path)
    spec = classifier.card.segments
    expected = np.concatenate(seen) * spec.std + spec.mean
    levels = np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(expected.shape)
    low, high = image["low_db"], image["high_db"]
    shown = low + levels * ((high - low) / 255)
    assert high == pytest.approx(float(expected.max()))
    np.testing.assert_allclose(shown, expected.clip(low), atol=(high - low) / 255 / 2 + 1e-3)
    assert image["starts_seconds"] == [s.start_seconds for s in prediction.segments]
    assert len(image["bin_hz"]) == image["n_bins"] == spec.n_mels
    assert image["seen_by_network"]


def test_a_tone_is_bright_at_its_frequency() -> None:
    spec = FeatureSpec(n_mels=96)
    centres = spec.bin_hz
    assert np.all(np.diff(centres) > 0)
    time = np.arange(spec.segment_samples) / spec.sample_rate
    tone = np.sin(2 * np.pi * 3000 * time).astype(np.float32)[None]
    collected = spectrogram.Spectrogram(one_view(FeatureSpec(kind="handcrafted")))
    collected.add(Segments([0.0], {"features": np.zeros((1, 57, 1), np.float32)}, tone))
    image = collected.to_dict()
    assert not image["seen_by_network"]
    shape = (image["n_bins"], image["n_frames"])
    levels = np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(shape)
    brightest = int(levels.astype(float).mean(axis=1).argmax())
    assert image["bin_hz"][brightest] == pytest.approx(3000, rel=0.05)


def test_long_tracks_stay_small() -> None:
    collected = spectrogram.Spectrogram(one_view(FeatureSpec()))
    batch = np.zeros((16, 2, 3), np.float32)
    for first in range(0, 480, 16):
        starts = [3.0 * (first + i) for i in range(16)]
        collected.add(Segments(starts, {"features": batch}))
    image = collected.to_dict()
    assert image["n_segments"] == spectrogram.MAX_SEGMENTS
    assert image["n_left_out"] == 80
