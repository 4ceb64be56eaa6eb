"""One more genre: the old odds stay, the new one is fitted against a library without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrekit import Classifier, demo
from genrekit.errors import DatasetError, ModelError
from genrekit.models import registry
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS, Network
from genrekit.training import export, few_shot, onnx_head

TINY = Path(__file__).parents[1] / "golden" / "tiny"
N_OTHERS = 200


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a library, and of a genre that lies three deviations aside."""
    rng = np.random.default_rng(0)
    others = rng.normal(3, 1, (N_OTHERS, 8))
    examples = rng.normal(3, 1, (10, 8)) + 3 * np.array([1, -1] * 4)
    return examples.astype(np.float32), others.astype(np.float32)


def groups(n_examples: int) -> list[str]:
    return [f"artist {index // 2}" for index in range(n_examples)]


def test_held_out_examples_are_found_and_others_are_not_taken(
    made: tuple[np.ndarray, np.ndarray],
) -> None:
    examples, others = made
    added = few_shot.add(registry.read(TINY), "Dub", examples, groups(10), others)
    assert added.card.labels[-1] == "Dub"
    assert len(added.card.labels) == 11
    assert added.card.metrics == added.card.precision_curve == ()
    assert added.n_found >= 7
    assert added.n_taken <= 5
    assert f"{added.n_found} of 10 examples are predicted as 'Dub'" in added.summary


def test_examples_like_all_others_are_not_found() -> None:
    rng = np.random.default_rng(1)
    examples, others = (rng.normal(3, 1, (n, 8)).astype(np.float32) for n in (10, N_OTHERS))
    added = few_shot.add(registry.read(TINY), "Dub", examples, groups(10), others)
    assert added.n_found <= 4


def test_the_old_genres_keep_their_odds(
    made: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    folder = registry.read(TINY)
    added = few_shot.add(folder, "Dub", made[0], groups(10), made[1])
    export.write_folder(tmp_path / "tiny-dub", added.model, added.card)
    music = demo.synthesise("drums")
    before = Classifier(TINY).predict(music, demo.SAMPLE_RATE).segments
    after = Classifier(tmp_path / "tiny-dub").predict(music, demo.SAMPLE_RATE).segments
    for old, new in zip(before, after, strict=True):
        rest = 1 - new.probabilities["Dub"]
        for label, probability in old.probabilities.items():
            assert new.probabilities[label] == pytest.approx(probability * rest, abs=2e-6)


def test_it_can_be_done_twice(made: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    first = few_shot.add(registry.read(TINY), "Dub", made[0], groups(10), made[1])
    once = registry.read(export.write_folder(tmp_path / "once", first.model, first.card))
    second = few_shot.add(once, "Ska", -made[0], groups(10), made[1])
    twice = registry.read(export.write_folder(tmp_path / "twice", second.model, second.card))
    spec = twice.card.segments
    noise = np.random.default_rng(0).normal(size=(3, spec.n_bins, spec.n_frames))
    features = {INPUT: noise.astype(np.float32)}
    logits, embedding = Network.of(twice).run(features, LOGITS, EMBEDDING)
    assert logits.shape == (3, 12)
    head = onnx_head.run_head(twice.onnx_path.read_bytes(), embedding)
    assert np.allclose(head, logits, atol=1e-4)
    (before,) = Network.of(once).run(features, LOGITS)
    assert np.allclose(logits[:, :11], before, atol=1e-5)


def test_the_loss_is_at_its_minimum(made: tuple[np.ndarray, np.ndarray]) -> None:
    every = np.concatenate(made).astype(np.float64)
    is_new = np.arange(len(every)) < 10
    old = np.random.default_rng(2).normal(size=(len(every), 10))
    weight, bias = few_shot.fit(every, is_new, old)
    p_new = 1 / (1 + np.exp(np.log(np.exp(old).sum(axis=1)) - every @ weight - bias))
    weights = np.where(is_new, 1 / 11 / 10, 10 / 11 / N_OTHERS)
    assert (weights * (p_new - is_new)).sum() == pytest.approx(0, abs=1e-4)  # the bias is free
    assert p_new[is_new].mean() > 0.7
    assert p_new[~is_new].mean() < 0.1


@pytest.mark.parametrize(
    ("genre", "n_examples", "names", "n_others", "error", "match"),
    [
        ("Hip-Hop", 10, groups(10), N_OTHERS, ModelError, "'Hip-Hop' is not a new genre"),
        (
            "Dub",
            4,
            groups(4),
            N_OTHERS,
            DatasetError,
            "got 4 examples of 'Dub'; expected at least 5",
        ),
        ("Dub", 5, ["Ann"] * 5, N_OTHERS, DatasetError, "are by one artist"),
        ("Dub", 10, groups(10), 49, DatasetError, "has 49 other tracks"),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    made: tuple[np.ndarray, np.ndarray],
    genre: str,
    n_examples: int,
    names: list[str],
    n_others: int,
    error: type[Exception],
    match: str,
) -> None:
    examples, others = made[0][:n_examples], made[1][:n_others]
    with pytest.raises(error, match=match):
        few_shot.add(registry.read(TINY), genre, examples, names, others)
