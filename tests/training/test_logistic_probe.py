"""The logistic head: its fit, its folds, its altered copies, and the model folder it ends in."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from genrekit import Classifier
from genrekit.errors import ModelError, RecipeError
from genrekit.features.spec import FeatureSpec
from genrekit.models.card import one_view
from genrekit.training import augment, logistic, recipe
from genrekit.training.export import to_onnx
from genrekit.training.frozen import FrozenNetwork
from genrekit.training.quantise import quantise
from genrekit.training.run import TrainingRun

TONES = {"low": 200.0, "middle": 1000.0, "high": 5000.0}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight tracks of noisy tones per genre, six seconds each, every pair by one artist."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    time = np.arange(6 * 16000) / 16000
    lines = ["path,genre,artist,split"]
    for genre, hertz in TONES.items():
        for number in range(8):
            tone = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time)
            name = f"{genre}{number}.wav"
            soundfile.write(folder / name, tone + 0.05 * rng.normal(size=len(time)), 16000)
            part = ("train", "train", "validation", "test")[number // 2]
            lines.append(f"{name},{genre},{genre} artist {number // 2},{part}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def small(music: Path, *overrides: str, source: str = "manifest.csv") -> recipe.Recipe:
    """A logistic head on a frozen random CNN, with altered copies and folds."""
    fixed = [
        "model.backbone=cnn",
        "model.freeze=true",
        "model.head=logistic",
        "features.sample_rate=16000",
        "features.n_fft=512",
        "features.hop_length=512",
        "features.n_mels=32",
        "data.split=official",
        "data.validation=folds",
        f'data.cache="{music / "cache"}"',
    ]
    return recipe.load(None, [*fixed, *overrides], str(music / source))


def test_a_recipe_ends_in_a_model_that_names_test_tracks(music: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    settings = small(music, "augmentation.altered_copies=2", "augmentation.gain_db=6")
    folder = TrainingRun(settings, tmp_path / "run", lines.append).train()
    classifier = Classifier(folder.path)
    answers = {
        genre: [classifier.predict_file(music / f"{genre}{n}.wav").label for n in (6, 7)]
        for genre in TONES
    }
    assert answers == {genre: [genre, genre] for genre in TONES}
    assert "folds" in folder.card.calibration.fitted_on
    assert folder.card.training_data is not None
    assert folder.card.training_data.n_tracks == {"train": 18, "validation": 0}
    expected = "accuracy on 18 training and validation tracks, by 5 artist-grouped folds, of "
    assert any(line.startswith(f"{expected}the official split: ") for line in lines)


def test_a_given_validation_part_is_not_trained_on(music: Path, tmp_path: Path) -> None:
    settings = small(music, "data.validation=given")
    folder = TrainingRun(settings, tmp_path / "run", lambda line: None).train()
    assert folder.card.training_data is not None
    assert folder.card.training_data.n_tracks == {"train": 12, "validation": 6}
    assert folder.card.calibration.fitted_on.startswith("6 validation tracks")


@pytest.mark.parametrize("n_labels", [2, 3])
def test_logistic_finds_the_log_odds_of_gaussians(n_labels: int) -> None:
    # Gaussians of unit variance around c * e_c: the log odds are linear with these weights.
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_labels), 20000)
    features = rng.normal(size=(len(labels), 4)).astype(np.float32)
    features[np.arange(len(labels)), labels] += 2
    features[:, 3] = 7  # a column that tells nothing
    weight, bias = logistic.fit(features, labels, n_labels, [4], [1e-6])
    weight, bias = weight.numpy(), bias.numpy()
    assert weight.shape == (4, n_labels)
    np.testing.assert_allclose(weight[0, 0] - weight[0, 1], 2, atol=0.1)
    np.testing.assert_allclose(weight[1, 1] - weight[1, 0], 2, atol=0.1)
    np.testing.assert_allclose(bias[0] - bias[1], 0, atol=0.1)
    np.testing.assert_array_equal(weight[3], 0)


def test_taps_are_averaged_with_their_own_penalties() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    features = np.concatenate([rng.normal(labels[:, None], 1, (1000, 2)) for _ in range(2)], 1)
    both, _ = logistic.fit(features.astype(np.float32), labels, 2, [2, 2], [1e-3, 10.0])
    first, _ = logistic.fit(features[:, :2].astype(np.float32), labels, 2, [2], [1e-3])
    np.testing.assert_allclose(both[:2], first / 2, atol=1e-4)
    assert both[2:].abs().max() < 0.2 * both[:2].abs().max()


def test_labels_that_rows_may_have_together_are_fitted_each_by_itself() -> None:
    """Two independent labels, and a third that is the first or the second."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(-3 * features[:, :2]))
    labels = rng.random(chance.shape) < chance
    labels = np.column_stack([labels, labels.any(axis=1)])
    weight, bias = logistic.fit(features, labels, 3, [3], [1e-6])
    expected = 3 * np.eye(3, 2)
    np.testing.assert_allclose(weight.numpy()[:, :2], expected, atol=0.15)
    np.testing.assert_allclose(bias.numpy()[:2], 0, atol=0.15)
    assert weight.numpy()[:2, 2].min() > 0.5


def test_a_label_of_no_row_is_never_chosen_and_one_of_all_rows_has_no_weight() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(300) % 2
    features = (rng.normal(size=(300, 2)) + 3 * np.eye(2)[label]).astype(np.float32)
    labels = np.column_stack([label == 0, label == 1, np.zeros(300, bool), np.ones(300, bool)])
    weight, bias = (each.numpy() for each in logistic.fit(features, labels, 4, [2], [1e-2]))
    assert not weight[:, 2:].any()
    logits = features @ weight + bias
    assert (logits[:, :2].argmax(axis=1) == label).mean() > 0.9
    assert (logits[:, 2] < logits[:, :2].max(axis=1)).all()


@pytest.fixture(scope="module")
def two_genres(music: Path) -> Path:
    """A list of the same music, in which tracks are also loud or calm, or both."""
    lines = (music / "manifest.csv").read_text().splitlines()
    more = ["more_genres", *(("loud", "calm", "loud; calm")[n % 3] for n in range(24))]
    path = music / "two.csv"
    path.write_text(
        "\n".join(f"{line},{its}" for line, its in zip(lines, more, strict=True)) + "\n"
    )
    return path


@pytest.mark.slow
def test_tracks_of_several_genres_are_learnt(two_genres: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    settings = small(two_genres.parent, source=two_genres.name)
    folder = TrainingRun(settings, tmp_path / "run", lines.append).train()
    assert folder.card.labels == ("calm", "high", "loud", "low", "middle")
    assert folder.card.training_data is not None
    assert folder.card.training_data.n_per_class == {
        "calm": 12, "high": 6, "loud": 12, "low": 6, "middle": 6
    }  # fmt: skip
    assert "any of its genres is right for 18 with several" in lines[-1]
    found = Classifier(folder.path).predict_file(two_genres.parent / "low0.wav").probabilities
    assert found["low"] > max(found["middle"], found["high"])
    assert 0.05 < found["loud"] + found["calm"] < 0.95, "the tone and the mood share the track"


@pytest.mark.slow
def test_other_heads_learn_the_first_genre_and_say_so(two_genres: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    overrides = ["model.head=linear", "data.validation=given", "schedule.epochs=1"]
    settings = small(two_genres.parent, *overrides, source=two_genres.name)
    folder = TrainingRun(settings, tmp_path / "run", lines.append).train()
    assert folder.card.labels == ("high", "low", "middle")
    assert lines[0].startswith("24 tracks have several genres, of which only the first is learnt")


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("model.freeze=false", "needs a frozen backbone"),
        ("model.l2=[0.1, 0.2]", "2 values for 1 taps"),
        ("augmentation.gain_db=3", "give both or neither"),
        ("augmentation.altered_copies=2", "give both or neither"),
        ("augmentation.random_crops=true", "omit augmentation.random_crops"),
        ("model.quantise=int8", 'needs model.backbone = "musicnn"'),
        ("model.head=mlp", '"folds" needs model.head = "logistic"'),
    ],
)
def test_a_recipe_that_cannot_be_fitted_is_refused(music: Path, override: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        small(music, override)


def test_quantised_layers_stay_close_and_the_rest_stays_float() -> None:
    torch.manual_seed(0)
    spec = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=512, n_mels=32)
    network = torch.nn.Sequential(
        torch.nn.Conv1d(32, 64, 5), torch.nn.ReLU(), torch.nn.Conv1d(64, 8, 3), torch.nn.Flatten()
    )
    model = to_onnx(network, spec, ("logits",))
    real = np.random.default_rng(0).normal(size=(16, 32, spec.n_frames)).astype(np.float32)
    small_model = quantise(model, real, lambda weight: weight.startswith("0."))
    expected, given = (
        FrozenNetwork(m, one_view(spec)).run({"features": real}, "logits")
        for m in (model, small_model)
    )
    error = np.abs(given - expected).max() / np.abs(expected).max()
    assert 0 < error < 0.05
    with pytest.raises(ModelError, match=r"no convolution was chosen.*0\.weight"):
        quantise(model, real, lambda weight: False)


def test_shift_frequency_moves_bins_and_repeats_the_edge() -> None:
    features = np.arange(5, dtype=np.float32)[None, :, None].repeat(200, 0)
    shifted = augment.shift_frequency(features, 2, np.random.default_rng(0))[:, :, 0]
    assert {tuple(row) for row in shifted.tolist()} == {
        (0, 0, 0, 1, 2),
        (0, 0, 1, 2, 3),
        (0, 1, 2, 3, 4),
        (1, 2, 3, 4, 4),
        (2, 3, 4, 4, 4),
    }


def test_equalise_adds_one_smooth_curve_to_every_frame() -> None:
    spec = FeatureSpec(std=2.0)
    features = np.zeros((4000, 128, 3), np.float32)
    coloured = augment.equalise(features, spec, 6.0, np.random.default_rng(0))
    np.testing.assert_array_equal(coloured[:, :, 0], coloured[:, :, 2])
    assert coloured[:, 0, 0].std() == pytest.approx(6 / 2, rel=0.05)
    assert np.abs(np.diff(coloured[:, :, 0], axis=1)).max() < 1
