"""Batches: who is drawn how often, that an epoch repeats itself, what the teacher says where."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit.datasets import Track
from genrekit.datasets.cache import SpectrogramCache
from genrekit.errors import RecipeError
from genrekit.features.spec import FeatureSpec
from genrekit.models.card import Calibration, ModelCard, one_view
from genrekit.training import distill
from genrekit.training.batches import (
    UNLABELLED,
    EmbeddingSource,
    SpectrogramSource,
    TrainingBatches,
    draw_weights,
)
from genrekit.training.frozen import TrackOutput
from genrekit.training.recipe import resolve


def track(name: str, artist: str | None = None) -> Track:
    return Track(name, Path(name), "", artist)


TRACKS = [track("a", "x"), track("b", "x"), track("c", "y"), track("d"), track("e")]
TARGETS = np.array([0, 0, 0, 1, UNLABELLED])


@pytest.mark.parametrize(
    ("balance", "weights"),
    [
        ("none", [1, 1, 1, 1, 1]),
        ("class", [2 / 3, 2 / 3, 2 / 3, 2, 1]),
        ("artist", [0.5, 0.5, 1, 2, 1]),
    ],
)
def test_balance_of_genres_and_of_artists_within_them(balance: str, weights: list[float]) -> None:
    np.testing.assert_allclose(draw_weights(TRACKS, TARGETS, balance), weights)


def batches(**fields: dict[str, object]) -> TrainingBatches:
    embeddings = [np.full((4, 3), i, np.float32) + np.arange(4)[:, None] / 10 for i in range(5)]
    starts = [np.arange(4, dtype=np.float32)] * 5
    recipe = resolve(
        {"sampling": {"segments_per_track": 3, "batch_size": 4, "min_steps": 1}} | fields
    )
    return TrainingBatches(
        EmbeddingSource(embeddings, starts),
        TARGETS,
        draw_weights(TRACKS, TARGETS, recipe.sampling.balance),
        FeatureSpec(),
        recipe,
        n_labels=2,
    )


def test_an_epoch_repeats_itself_and_differs_from_the_next() -> None:
    made = batches()
    first, again, other = (
        [batch.inputs.numpy() for batch in made.epoch(number)] for number in (0, 0, 1)
    )
    assert [len(batch) for batch in first] == [4, 4, 4, 3]
    assert len(made.epoch(0)) == 4
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert (np.concatenate(first) != np.concatenate(other)).any()


def test_without_balance_every_track_is_drawn_equally_often() -> None:
    plain = {"augmentation": {"mixup_alpha": 0}, "sampling": {"balance": "none", "min_steps": 1}}
    made = batches(**plain)
    inputs = np.concatenate([batch.inputs[:, 0].numpy() for batch in made.epoch(0)])
    counts = np.bincount(np.floor(inputs + 0.01).astype(int))
    assert len(set(counts)) == 1


def test_parts_of_a_recording_are_drawn_as_often_as_the_whole() -> None:
    whole = batches(sampling={"balance": "none", "segments_per_track": 3, "min_steps": 1})
    torn = replace(whole, n_recordings=2)
    assert (whole.n_drawn, torn.n_drawn, torn.n_steps) == (15, 6, 1)
    drawn = torn.draw(np.random.default_rng(0))
    assert len(drawn) == 6
    drawn = np.concatenate([torn.draw(np.random.default_rng(seed)) for seed in range(50)])
    assert np.bincount(drawn[:, 0]).tolist() == pytest.approx([60] * 5, abs=15)


def test_every_segment_is_taken_once_an_epoch() -> None:
    every: dict[str, object] = {"every_segment": True, "balance": "none", "batch_size": 4}
    made = batches(sampling=every, augmentation={"mixup_alpha": 0})
    assert (made.n_drawn, made.n_steps) == (20, 5)
    epochs = [[batch.inputs[:, 0].tolist() for batch in made.epoch(number)] for number in (0, 1)]
    assert epochs[0] != epochs[1]
    expected = [track + segment / 10 for track in range(5) for segment in range(4)]
    for epoch in epochs:
        assert sorted(value for batch in epoch for value in batch) == pytest.approx(expected)


def test_an_epoch_that_is_left_early_leaves_no_thread() -> None:
    epoch = iter(batches().epoch(0))
    next(epoch)
    epoch.close()  # type: ignore[attr-defined]
    assert not [its for its in threading.enumerate() if its.name.startswith("batches")]


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling": {"every_segment": True}},
        {"sampling": {"every_segment": True, "balance": "none", "segments_per_track": 2}},
        {
            "sampling": {"every_segment": True, "balance": "none"},
            "augmentation": {"random_crops": True},
        },
    ],
)
def test_what_draws_segments_does_not_go_with_taking_each_once(
    fields: dict[str, dict[str, object]],
) -> None:
    with pytest.raises(RecipeError, match="uses each segment once"):
        resolve({"model": {"backbone": "cnn"}} | fields)


def test_a_track_without_label_has_no_hard_loss() -> None:
    made = batches(augmentation={"mixup_alpha": 0, "label_smoothing": 0})
    batch = made.make(np.array([[0, 0], [3, 0], [4, 0]]), np.random.default_rng(0))
    np.testing.assert_array_equal(batch.hard.numpy(), [[1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(batch.hard_weight.numpy(), [1, 1, 0])


def card(labels: tuple[str, ...]) -> ModelCard:
    return ModelCard(
        name="teacher",
        version="1",
        description="",
        labels=labels,
        views=one_view(FeatureSpec(segment_seconds=2.0)),
        calibration=Calibration(temperature=2.0),
        license="MIT",
        onnx_sha256="",
    )


def test_the_teacher_answers_for_the_middle_of_the_students_segment() -> None:
    output = TrackOutput(
        np.array([0.0, 4.0], np.float32),
        np.log(np.array([[1, 16, 1], [16, 1, 1]], np.float32)),
    )
    # Middles of the teacher's segments: 1 s and 5 s; of a student's of 1 s: start + 0.5 s.
    made = distill.targets([output], card(("b", "a", "c")), ("a", "b"), 1.0, 1.0)
    soft = made.at(np.array([0, 0, 0]), np.array([0.0, 2.4, 2.6], np.float32))
    # The label c is left out; temperature 2 turns odds of 16 to 1 into 4 to 1.
    np.testing.assert_allclose(soft, [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8]], rtol=1e-6)


def test_a_teacher_that_does_not_know_a_label_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not know the label 'polka'"):
        distill.targets([], card(("jazz", "rock")), ("jazz", "polka"), 1.0, 1.0)


def test_few_tracks_are_drawn_more_often() -> None:
    made = batches(sampling={"min_steps": 7, "batch_size": 4, "segments_per_track": 1})
    assert made.n_steps == 7  # 5 tracks, each 5 times, in batches of 4
    assert len(list(made.epoch(0))) == made.n_steps


@pytest.mark.parametrize("random_crops", [False, True])
def test_only_the_start_of_a_track_trains_where_only_that_is_analysed(
    tmp_path: Path, random_crops: bool
) -> None:
    spec = FeatureSpec(
        sample_rate=8000,
        n_fft=512,
        hop_length=128,
        n_mels=8,
        segment_seconds=0.5,
        first_seconds=0.5,
    )
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 32000), 8000)
    track_a = Track("a", tmp_path / "a.wav", "noise")
    cached = SpectrogramCache(tmp_path / "cache").build([track_a], spec, jobs=1)
    source = SpectrogramSource(cached, ["a"], random_crops)
    first = cached.crop("a", 0, spec.n_frames)
    assert np.array_equal(source.segments(0), first[None])
    drawn, starts_seconds = source.draw(np.zeros(9, np.int64), np.random.default_rng(1))
    assert np.array_equal(drawn, np.stack([first] * 9))
    assert not starts_seconds.any()
