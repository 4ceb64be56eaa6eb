"""Grad-CAM on the user's own network: `genrekit explain --method gradcam --model RUN`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from genrekit import Classifier
from genrekit.cli.main import build
from genrekit.training import recipe as recipes
from genrekit.training import smoke
from genrekit.training.run import TrainingRun, restore


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch of a small CNN on made tones."""
    folder = tmp_path_factory.mktemp("run")
    plain = recipes.load(None, ["model.backbone=cnn", "precision=fp32"])
    TrainingRun(smoke.shrink(plain, folder / "data"), folder / "run", lambda line: None).train()
    return folder / "run"


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def explain(*arguments: str | Path) -> Result:
    given = [str(argument) for argument in arguments]
    return CliRunner().invoke(build(), ["explain", *given, "--method", "gradcam"])


@pytest.mark.untraced
@pytest.mark.parametrize("part", ["", "model"])
def test_a_run_is_explained_from_inside_its_network(run: Path, part: str) -> None:
    song = next((run.parent / "data" / "smoke-data").rglob("*.wav"))
    done = explain(song, "--model", run / part, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["method"] == "gradcam"
    assert found["prediction"] == Classifier(run / "model").predict_file(song).to_dict()
    blocks = np.array([found["evidence"][label]["blocks"] for label in found["labels"]])
    assert blocks.shape[1:] == (found["n_segments"], 12, 6)
    assert blocks.min() >= 0


def test_the_restored_network_is_the_one_that_was_exported(run: Path) -> None:
    network, folder, _ = restore(run)
    spec = folder.card.segments
    features = np.random.default_rng(1).normal(size=(3, spec.n_bins, spec.n_frames))
    with torch.no_grad():
        logits = network(torch.from_numpy(features.astype(np.float32)))[0].numpy()
    expected = Classifier(folder.path).segment_probabilities(
        {"features": features.astype(np.float32)}
    )
    assert (logits.argmax(1) == expected.argmax(1)).all()


def remove_the_weights(run: Path) -> None:
    (run / "checkpoints" / "best.pt").unlink()


def cut_the_weights(run: Path) -> None:
    path = run / "checkpoints" / "best.pt"
    path.write_bytes(path.read_bytes()[:1000])


def change_the_weights(run: Path) -> None:
    path = run / "checkpoints" / "best.pt"
    tensors = torch.load(path, weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in tensors.items()}, path)


def remove_the_model(run: Path) -> None:
    shutil.rmtree(run / "model")


def train_a_head_only(run: Path) -> None:
    recipe = recipes.load(run / "recipe.toml")
    frozen = recipe.model.model_copy(update={"freeze": True})
    text = recipes.to_toml(recipe.model_copy(update={"model": frozen}))
    (run / "recipe.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove_the_weights, "the torch weights cannot be read (No such file or directory)"),
        (cut_the_weights, "the torch weights cannot be read"),
        (change_the_weights, "are not the same network"),
        (remove_the_model, "lacks model/card.json"),
        (train_a_head_only, "a head on frozen weights"),
    ],
)
def test_what_is_no_network_of_a_run(
    copied: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(copied)
    done = explain(copied / "song.wav", "--model", copied)
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())


def test_gradcam_needs_a_run_and_torch(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain("song.wav").exit_code == 2
    monkeypatch.delitem(sys.modules, "genrekit.networks.gradcam", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    done = explain("song.wav", "--model", run)
    assert done.exit_code == 1
    assert "[train]', or use --method occlusion" in " ".join(done.output.split())
