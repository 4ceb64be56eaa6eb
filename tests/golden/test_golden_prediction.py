"""From a made track to its Prediction, against the predictions recorded in prediction.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from make_prediction import FOLDER, RECORDED, predictions

from genrekit import Classifier, demo

# The tiny network is float32 and has three layers: 1e-6 of rounding in print, and the last digits
# of sums that another processor adds in another order. A hop of one sample more moves a probability
# by 3e-2.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, float]]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def test_every_segment_and_track_has_the_recorded_probabilities(
    recorded: dict[str, list[dict[str, float]]],
) -> None:
    found = predictions()
    assert list(found) == list(recorded)
    for name, rows in recorded.items():
        assert [list(row) for row in found[name]] == [list(row) for row in rows], "labels in order"
        np.testing.assert_allclose(
            [list(row.values()) for row in found[name]],
            [list(row.values()) for row in rows],
            rtol=0,
            atol=TOLERANCE,
        )


def test_a_file_of_16_bits_says_the_same(
    recorded: dict[str, list[dict[str, float]]], tmp_path: Path
) -> None:
    classifier = Classifier(FOLDER / "tiny")
    for path in demo.write(tmp_path):
        found = classifier.predict_file(path).probabilities
        # Rounding to 16 bits adds noise at -98 dB, which only the emptiest mel bands notice.
        assert found == pytest.approx(recorded[path.stem][-1], abs=0.02)
