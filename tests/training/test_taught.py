"""A head that starts from a model's own: its labels, its fit, its ONNX graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrekit import labels
from genrekit.errors import DatasetError
from genrekit.inference.aggregation import segment_probabilities
from genrekit.models import registry
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS, Network
from genrekit.training import onnx_head, taught
from genrekit.training.label_space import label_space

TINY = Path(__file__).parents[1] / "golden" / "tiny"
OLD = ("jazz", "metal", "rock")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    return segment_probabilities(logits)


def start_of(new: tuple[str, ...], old: tuple[str | None, ...] = OLD) -> taught.Start:
    return taught.start_from(old, new, 2.0, (0.5, 0.0, -0.5))


def test_without_labels_the_new_model_is_the_old_one(rng: np.random.Generator) -> None:
    logits, embeddings = rng.normal(size=(9, 3)), rng.normal(size=(9, 4))
    start = start_of(OLD)
    weight, bias = taught.fit(embeddings, start(logits), np.eye(3)[[0] * 9], np.zeros(9))
    new = softmax(start(logits) + embeddings @ weight + bias)
    assert new == pytest.approx(segment_probabilities(logits, 2.0, (0.5, 0.0, -0.5)), abs=1e-5)


def test_few_labels_move_it_little_and_many_to_what_they_say(rng: np.random.Generator) -> None:
    start = start_of(OLD)
    centres = 4 * np.eye(3, 6)
    found = {}
    for n_tracks in (6, 3000):
        true = np.arange(n_tracks) % 3
        embeddings = centres[true] + rng.normal(size=(n_tracks, 6))
        wrong = 5 * np.eye(3)[(true + 1) % 3]  # the old model is sure of another label
        weight, bias = taught.fit(embeddings, start(wrong), np.eye(3)[true], np.ones(n_tracks))
        new = softmax(start(wrong) + embeddings @ weight + bias)
        found[n_tracks] = (new.argmax(axis=1) == true).mean()
    assert found[6] == 0.0
    assert found[3000] > 0.95


def test_the_fit_is_the_minimum_of_what_it_says(rng: np.random.Generator) -> None:
    embeddings, true = rng.normal(2, 3, size=(40, 5)), rng.integers(0, 3, 40)
    start, weights = rng.normal(size=(40, 3)), rng.uniform(1, 3, 40)
    weight, bias = taught.fit(embeddings, start, np.eye(3)[true], weights, strength=7.0)
    std, mean = embeddings.std(axis=0), embeddings.mean(axis=0)

    def loss(weight: np.ndarray, bias: np.ndarray) -> float:
        p = softmax(start + embeddings @ weight + bias)
        prior = 7.0 * ((weight * std[:, None]) ** 2).sum() + ((bias + mean @ weight) ** 2).sum()
        return float(-(weights * np.log(p[np.arange(40), true])).sum() + prior / 2)

    least = loss(weight, bias)
    for _ in range(50):
        step = 0.01 * rng.normal(size=(6, 3))
        assert loss(weight + step[:5], bias + step[5]) > least


def test_a_column_that_never_changes_gets_no_weight(rng: np.random.Generator) -> None:
    embeddings = np.column_stack([rng.normal(size=20), np.full(20, 3.0)])
    true = (embeddings[:, 0] > 0).astype(int)
    weight, _ = taught.fit(embeddings, np.zeros((20, 2)), np.eye(2)[true], np.ones(20))
    assert not weight[1].any()
    assert weight[0].any()


def test_old_labels_that_mean_one_new_label_add_up(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(5, 3))
    start = start_of(("calm", "loud"), ("calm", "loud", "loud"))
    old = segment_probabilities(logits, 2.0, (0.5, 0.0, -0.5))
    assert start.mapped(old)[:, 1] == pytest.approx(old[:, 1] + old[:, 2])
    assert softmax(start(logits))[:, 0] == pytest.approx(old[:, 0], abs=1e-5)


def test_the_onnx_network_gives_the_fitted_logits_and_can_be_undone(
    rng: np.random.Generator,
) -> None:
    folder = registry.read(TINY)
    model, spec = folder.onnx_path.read_bytes(), folder.card.segments
    features = {INPUT: rng.normal(size=(7, spec.n_bins, spec.n_frames)).astype(np.float32)}
    old, embedding = Network.of(folder).run(features, LOGITS, EMBEDDING)
    new_labels = (*folder.card.labels, "polka")
    start = taught.start_from(folder.card.labels, new_labels, 1.3, ())
    weight, bias = rng.normal(size=(embedding.shape[1], 11)), rng.normal(size=11)
    changed = onnx_head.teach(model, start, weight, bias)
    logits, same = Network(changed, folder.card.views).run(features, LOGITS, EMBEDDING)
    expected = start(old) + embedding @ weight + bias
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.array_equal(same, embedding)
    assert np.allclose(onnx_head.run_head(changed, embedding), logits, atol=1e-4)
    before = onnx_head.untaught(changed)
    assert before is not None
    (undone,) = Network(before, folder.card.views).run(features, LOGITS)
    assert np.array_equal(undone, old)


def test_what_was_added_behind_a_taught_head_is_not_undone(rng: np.random.Generator) -> None:
    folder = registry.read(TINY)
    model = folder.onnx_path.read_bytes()
    assert onnx_head.untaught(model) is None
    start = taught.start_from(folder.card.labels, folder.card.labels, 1.0, ())
    changed = onnx_head.teach(model, start, np.zeros((8, 10)), np.zeros(10))
    assert onnx_head.untaught(onnx_head.widen(changed, np.zeros(8), 0.0)) is None


def test_names_mean_the_models_labels_or_become_new_ones() -> None:
    genres = [("Thrash Metal",)] * 3 + [("Polka", "Jazz")] * 6 + [("polka",)] * 6 + [("Zouk",)] * 9
    genres += [("Other",)] * 20
    groups = [f"artist {index // 2}" for index in range(len(genres))]
    space = label_space(OLD, genres, groups, min_per_genre=10)
    assert space.labels == (*OLD, "Polka")
    assert space.old == OLD
    assert space.meant(["Thrash Metal"]) == {"metal"}
    assert space.meant(["POLKA"]) == frozenset()  # no track spells it so
    assert space.meant(["polka", "Jazz"]) == {"Polka", "jazz"}
    assert space.meant(["Zouk"]) == space.meant(["Other"]) == frozenset()


def test_a_new_genre_by_one_artist_is_left_out() -> None:
    space = label_space(OLD, [("Polka",)] * 30, ["artist"] * 30)
    assert space.labels == OLD


def test_a_label_set_decides_alone() -> None:
    mine = labels.LabelSet("mine", {"loud": ("rock", "metal"), "calm": ("ambient",), "odd": ()})
    genres = [("Thrash Metal",)] * 5 + [("Ambient",)] * 12 + [("odd",)] * 3
    groups = [str(index) for index in range(len(genres))]
    space = label_space(OLD, genres, groups, mine)
    assert space.labels == ("loud", "calm")
    assert space.old == (None, "loud", "loud")
    assert space.meant(["Thrash Metal"]) == {"loud"}
    with pytest.raises(DatasetError, match="1 genres would be left"):
        label_space(OLD, genres[:5], groups[:5], mine)
