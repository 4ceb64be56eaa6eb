"""A model of two views goes through every verb as a model of one does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from genrekit import Classifier, demo
from genrekit.cli.main import build
from genrekit.explain import explain
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.runtime import EMBEDDING, LOGITS, Network
from genrekit.training import smoke

MODEL = Path(__file__).parents[1] / "golden" / "tiny-two-views"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two genres, three files each."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for genre, name in (("rock", "drums"), ("jazz", "chord")):
        (folder / genre).mkdir()
        for index in range(3):
            waveform = demo.synthesise(name if name in demo.NAMES else demo.NAMES[0])
            noise = rng.normal(0, 0.01, waveform.shape).astype(np.float32)
            path = folder / genre / f"{index}.wav"
            soundfile.write(path, (waveform + noise).T.clip(-1, 1), demo.SAMPLE_RATE)
    return folder


def genrekit(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(build(), [str(a) for a in arguments])
    return result.exit_code, result.stdout


def test_predict_is_the_network_over_both_views(music: Path) -> None:
    path = music / "rock" / "0.wav"
    folder = registry.find(MODEL)
    track = FrontEnd(folder.card.views).open(path).all()
    logits, embedding = Network.of(folder).run(track.features, LOGITS, EMBEDDING)
    prediction, mean = Classifier(MODEL).analyse_file(path)
    np.testing.assert_array_equal(prediction.logits, logits)
    assert mean == pytest.approx(embedding.mean(axis=0), abs=1e-6)
    code, line = genrekit("predict", "--model", MODEL, "--json", path)
    assert (code, json.loads(line)["label"]) == (0, prediction.label)


def test_it_is_measured(music: Path, tmp_path: Path) -> None:
    code, out = genrekit("evaluate", MODEL, "--data", music, "--split", "track", "--json")
    assert code == 0
    assert json.loads(out)["n_tracks"] >= 2


def test_it_is_explained_in_the_first_views_bands(music: Path) -> None:
    classifier = Classifier(MODEL)
    found = explain(classifier, music / "rock" / "0.wav")
    n_segments = len(found.prediction.segments)
    assert found.blocks.shape == (10, n_segments, 12, 6)
    assert len(found.bands) == 12
    # A window taken away in both views moves the answer, and differently in each segment.
    assert np.abs(found.windows).max() > 0
    assert found.spectrogram["n_bins"] == 48


def test_it_is_verified_and_exported(tmp_path: Path) -> None:
    assert genrekit("models", "verify", MODEL)[0] == 0
    code, _ = genrekit("models", "export", MODEL, "-o", tmp_path / "copy")
    assert code == 0
    assert registry.read(tmp_path / "copy").card.views == registry.find(MODEL).card.views


@pytest.mark.parametrize(
    "options",
    [
        ["model.head=linear", "schedule.epochs=2"],
        ["model.head=logistic", "augmentation.altered_copies=1", "augmentation.equaliser_db=4.0"],
    ],
)
def test_a_head_is_trained_on_it(options: list[str], tmp_path: Path) -> None:
    tones, out = smoke.write_audio(tmp_path / "tones", 4.0), tmp_path / "run"
    backbone, cache = f"model.backbone=embedded:{MODEL}", f"data.cache={tmp_path / 'cache'}"
    code, printed = genrekit("train", "--data", tones, "-o", out, backbone, cache, *options)
    assert code == 0, printed
    views, trained = registry.read(MODEL).card.views, registry.read(out / "model").card.views
    assert [view.features for view in trained] == [view.features for view in views]
    assert [len(view.feature_means) for view in trained] == [v.features.n_bins for v in views]
    classifier = Classifier(out / "model")
    for genre in smoke.GENRES:
        assert classifier.predict_file(tones / genre / "0.wav").label in smoke.GENRES
    assert explain(classifier, tones / "high" / "0.wav").blocks.any()
