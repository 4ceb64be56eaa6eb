"""Speech, noise and other sounds get no genre; a track that is partly music is judged by that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from genrekit import Classifier, demo
from genrekit.errors import ModelError
from genrekit.inference import music_gate
from genrekit.models import registry
from genrekit.models.card import MusicGate

SLOPE = MusicGate(weights=(2.0, 0.0), bias=-1.0)  # music lies above 0.5 in the first direction
RATE = demo.SAMPLE_RATE


def embeddings(*first: float) -> np.ndarray:
    return np.array([(value, 9.0) for value in first], np.float32)


def test_a_logit_is_a_product_and_a_bias() -> None:
    assert music_gate.logits(embeddings(0.5, 1.0, 0.0), SLOPE).tolist() == [0.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("n_music", "votes", "warning"),
    [
        (10, 10, None),
        (6, 10, None),  # a quiet bar or a drum solo is part of the music
        (5, 5, "not music: 50.0 % of its segments sound like something else; they are left out"),
        (2, 2, "not music: 80.0 % of its segments sound like something else; they are left out"),
        (1, 0, "not music: 90.0 % of its segments sound like speech, noise or effects, so it"),
        (0, 0, "not music: 100.0 % of its segments sound like speech, noise or effects, so it"),
    ],
)
def test_who_votes(n_music: int, votes: int, warning: str | None) -> None:
    rows = embeddings(*([1.0] * n_music + [0.0] * (10 - n_music)))
    found, said = music_gate.voters(rows, [True] * 10, SLOPE)
    assert sum(found) == votes
    assert found[:votes] == [True] * votes
    assert (said or "").startswith(warning or "")
    assert (said is None) == (warning is None)


def test_silence_counts_on_neither_side() -> None:
    loud = [True, True, False, False, False, False]
    found, said = music_gate.voters(embeddings(1, 1, 0, 0, 0, 0), loud, SLOPE)
    assert (found, said) == (loud, None)


def hiss(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    return (0.1 * rng.normal(size=(1, int(seconds * RATE)))).astype(np.float32)


@pytest.mark.parametrize("name", registry.embedded_names())
def test_the_embedded_models_know_noise_from_music(name: str) -> None:
    classifier = Classifier(name)
    noise = classifier.predict(hiss(12), RATE)
    assert (noise.label, noise.segments) == (None, ())
    assert len(set(noise.probabilities.values())) == 1
    assert noise.warnings[-1].startswith("not music: 100.0 %")
    song = demo.synthesise("guitar").mean(axis=0, keepdims=True)
    answer = classifier.predict(song, RATE)
    assert (answer.label is not None, answer.warnings) == (True, ())
    both = classifier.predict(np.concatenate([song, hiss(12)], axis=1), RATE)
    assert both.label == answer.label
    assert both.warnings[0].endswith("of its segments sound like something else; they are left out")
    assert max(segment.start_seconds for segment in both.segments) < 12


def test_a_gate_of_another_embedding_is_refused(tmp_path: Path) -> None:
    folder = registry.find("fast")
    shutil.copytree(folder.path, tmp_path / "model")
    registry.write_card(tmp_path / "model", folder.card.model_copy(update={"music_gate": SLOPE}))
    with pytest.raises(ModelError, match=r"embedding of shape .*; its card's music_gate has 2"):
        Classifier(tmp_path / "model")


def test_a_weight_that_is_no_number_is_refused(tmp_path: Path) -> None:
    shutil.copytree(registry.find("fast").path, tmp_path / "model")
    card = tmp_path / "model" / "card.json"
    fields = json.loads(card.read_text())
    fields["music_gate"]["weights"][0] = 1e300
    card.write_text(json.dumps(fields))
    with pytest.raises(ModelError, match=r"music_gate\.weights\.0"):
        registry.find(tmp_path / "model")
