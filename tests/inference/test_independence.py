"""Answers depend on the track alone: not on its neighbours in a batch, the order or the volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import Classifier, demo
from genrekit.models import registry, runtime
from genrekit.models.runtime import Network

MODELS = [registry.embedded_folder() / name for name in ("fast", "accurate")]
MODELS += [Path(__file__).parents[1] / "golden" / "tiny"]


@pytest.fixture(scope="module")
def waveforms() -> dict[str, np.ndarray]:
    return {name: demo.synthesise(name) for name in demo.NAMES}


@pytest.fixture(scope="module")
def music(waveforms: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Made tracks of different lengths."""
    folder = tmp_path_factory.mktemp("music")
    paths = []
    for name, waveform in waveforms.items():
        for seconds in (2, 7, 11):
            path = folder / f"{name}{seconds}.wav"
            soundfile.write(path, waveform[:, : seconds * demo.SAMPLE_RATE].T, demo.SAMPLE_RATE)
            paths.append(path)
    return paths


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_logits_are_bit_equal_in_every_batch(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = registry.find(model)
    spec = folder.card.segments
    rng = np.random.default_rng(0)
    segments = rng.normal(-40, 10, (11, spec.n_bins, spec.n_frames)).astype(np.float32)
    network = Network.of(folder)

    def logits(rows: np.ndarray) -> np.ndarray:
        return network.run({runtime.INPUT: rows}, runtime.LOGITS)[0]

    whole = logits(segments)
    order = rng.permutation(len(segments))
    np.testing.assert_array_equal(logits(segments[order]), whole[order])
    for batch_size in (1, 3, 16):
        monkeypatch.setattr(runtime, "BATCH_SIZE", batch_size)
        np.testing.assert_array_equal(logits(segments), whole)


def test_predictions_are_the_same_in_every_order_and_alone(music: list[Path]) -> None:
    classifier = Classifier(segments="all")
    together = dict(zip(music, classifier.predict_files(music, jobs=1), strict=True))
    turned = music[::-1]
    assert dict(zip(turned, classifier.predict_files(turned, jobs=2), strict=True)) == together
    for path in music:
        assert classifier.predict_file(path) == together[path]


@pytest.mark.parametrize("model", ["fast", "accurate"])
@pytest.mark.parametrize("gain_db", [-12.0, 9.0])
def test_a_volume_knob_changes_no_answer_of_the_embedded_models(
    waveforms: dict[str, np.ndarray], model: str, gain_db: float
) -> None:
    classifier = Classifier(model)
    for waveform in waveforms.values():
        plain = classifier.predict(waveform, demo.SAMPLE_RATE)
        turned = classifier.predict(waveform * np.float32(10 ** (gain_db / 20)), demo.SAMPLE_RATE)
        assert turned.label == plain.label
        for label, probability in plain.probabilities.items():
            # int8 rounds an input that differs in its last bit to another step here and there.
            assert turned.probabilities[label] == pytest.approx(probability, abs=5e-3)
