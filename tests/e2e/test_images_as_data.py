"""Train on images, then predict audio and images, and refuse what the model cannot take."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from genrekit import Classifier
from genrekit.batch import rendering
from genrekit.errors import ModelError
from genrekit.models import registry
from genrekit.training import smoke

SECONDS = 1.5
FEATURES = [f"features.segment_seconds={SECONDS}", f"features.segment_hop_seconds={SECONDS}"]
RECIPE = [
    *FEATURES,
    "model.backbone=cnn",
    "model.image=published",
    "model.image_pixels=32",
    "schedule.epochs=2",
    "sampling.segments_per_track=1",
    "sampling.min_steps=2",
    "sampling.batch_size=8",
]
TINY = Path(__file__).parents[1] / "golden" / "tiny"


def genrekit(*arguments: object) -> tuple[int, str]:
    from genrekit.cli import main

    result = CliRunner().invoke(main.build(), list(map(str, arguments)))
    return result.exit_code, " ".join(result.output.split())


def train(images: Path, out: Path, *more: str) -> str:
    code, output = genrekit(
        "train",
        *RECIPE,
        *more,
        f"data.cache={out.parent / 'cache'}",
        "--data",
        images,
        "--output",
        out,
    )
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smoke.write_audio(tmp_path_factory.mktemp("audio"), 2 * SECONDS)


@pytest.fixture(scope="module")
def images(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("images")
    targets = rendering.targets(str(audio), out)
    report = rendering.render(targets, rendering.Style(segment_seconds=SECONDS), jobs=1)
    assert report.n_images == 2 * len(targets)
    return out


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of which one is cut short."""
    folder = tmp_path_factory.mktemp("known")
    data = shutil.copytree(images, folder / "images")
    cut = data / "low" / "0.1.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    output = train(data, folder / "run")
    assert f"left out: {cut} is damaged or cut short" in output
    return folder / "run"


@pytest.fixture(scope="module")
def other_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images whose making nobody knows."""
    folder, rng = tmp_path_factory.mktemp("other"), np.random.default_rng(0)
    for genre, brightness in (("dark", 60), ("light", 180)):
        (folder / genre).mkdir()
        for number in range(6):
            noise = rng.integers(0, 60, (40, 50)) + brightness
            Image.fromarray(noise.astype(np.uint8)).save(folder / genre / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def other_run(other_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("unknown") / "run"
    train(other_images, run)
    return run


@pytest.mark.slow
def test_a_model_of_images_predicts_audio_as_it_predicts_its_image(
    run: Path, audio: Path, images: Path
) -> None:
    assert registry.read(run / "model").card.images == "published"
    classifier = Classifier(run / "model")
    for genre in ("high", "low"):
        from_audio = classifier.predict_file(audio / genre / "3.wav")
        from_image = classifier.predict_file(images / genre / "3.0.png")
        assert from_audio.duration_seconds == from_image.duration_seconds == 2 * SECONDS
        assert [its.start_seconds for its in from_image.segments] == [0, SECONDS]
        for label, probability in from_audio.probabilities.items():
            assert from_image.probabilities[label] == pytest.approx(probability, abs=0.05)


@pytest.mark.slow
def test_it_is_measured_on_images_and_on_audio(run: Path, audio: Path, images: Path) -> None:
    for folder in (audio, images):
        code, output = genrekit(
            "evaluate", run / "model", "--data", folder, "--split", "track", "--json", "--jobs", 1
        )
        assert code == 0, output
        assert json.loads(output)["n_tracks"] >= 1


@pytest.mark.slow
def test_a_model_of_unknown_images_takes_such_images_only(
    other_run: Path, audio: Path, images: Path, other_images: Path
) -> None:
    assert registry.read(other_run / "model").card.images == "other"
    model = ["--model", other_run / "model"]
    code, output = genrekit("predict", *model, audio / "low" / "0.wav")
    assert code == 1
    assert "was trained on images of unknown origin, so it takes only such images" in output
    with pytest.raises(ModelError, match="no audio"):
        Classifier(other_run / "model").predict(np.zeros(16000, np.float32), 16000)
    code, output = genrekit("predict", *model, images / "low" / "0.0.png")
    assert code == 1
    assert "shows another front end" in output or "is drawn differently" in output
    code, output = genrekit("predict", *model, "--json", other_images / "dark" / "0.png")
    assert code == 0
    assert set(json.loads(output)["genres"][0]) == {"label", "probability"}


def test_a_model_of_audio_refuses_an_image(images: Path) -> None:
    code, output = genrekit("predict", "--model", TINY, images / "low" / "0.0.png")
    assert code == 1
    assert "is an image, but model 'tiny' takes audio; give the audio" in output
    code, output = genrekit(
        "evaluate", TINY, "--data", images, "--split", "track", "--include-training-tracks"
    )
    assert code == 1


@pytest.mark.slow
def test_the_leaky_split_divides_the_images_of_a_track(images: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[features]\nsegment_seconds = 1.5\nsegment_hop_seconds = 1.5\n[model]\nbackbone = "cnn"\n'
        'image = "published"\nimage_pixels = 32\nhead = "logistic"\nfreeze = true\n'
    )
    code, output = genrekit(
        "evaluate", recipe, "--data", images, "--split", "segment", "--json", "--jobs", 1
    )
    assert code == 0, output
    assert "LEAKY" in output


def test_images_of_another_length_stop_the_run_and_leave_nothing(
    images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, output = genrekit(
        "train", *RECIPE[2:], f"data.cache={tmp_path / 'cache'}", "--data", images, "--output", out
    )
    assert code == 1
    assert "shows another front end: segment_seconds 1.5, not 3.0" in output
    assert not (out / "model").exists()
