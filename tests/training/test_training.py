"""Training from made tones: it learns, it resumes exactly, and every bad input has its sentence."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from genrekit import Classifier
from genrekit.cli.main import build
from genrekit.datasets import open_dataset
from genrekit.datasets.cache import SpectrogramCache
from genrekit.errors import RecipeError
from genrekit.models import registry
from genrekit.training import recipe as recipes
from genrekit.training import smoke
from genrekit.training.run import TrainingRun

# Dropout, mixup, masks, crops and a running average: all that could make two runs differ.
CNN = [
    "model.backbone=cnn",
    "precision=fp32",
    "schedule.epochs=3",
    "schedule.ema_decay=0.5",
    "augmentation.random_crops=true",
    "augmentation.time_masks=1",
    "sampling.segments_per_track=2",
    "sampling.batch_size=4",
    "sampling.min_steps=1",
]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per made genre."""
    return smoke.write_audio(tmp_path_factory.mktemp("tones"), 4.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with an embedding, to put a head on."""
    return smoke.write_model(tmp_path_factory.mktemp("models") / "backbone")


@pytest.fixture(scope="module")
def cnn_options(tones: Path, cache: Path) -> list[str]:
    return [*CNN, f"data.source={tones}", f"data.cache={cache}"]


@pytest.fixture(scope="module")
def whole(cnn_options: list[str], tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    run = TrainingRun(recipes.load(None, cnn_options), folder, lambda line: None)
    run.train()
    return run


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """These networks are too small for more, and equal runs need an equal number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(*arguments: str) -> Result:
    return CliRunner().invoke(build(), ["train", *arguments])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as stream:
        return [
            {k: v for k, v in row.items() if k not in ("seconds", "waiting_share")}
            for row in csv.DictReader(stream)
        ]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]


def test_a_folder_alone_ends_in_a_model_that_separates_the_genres(
    tones: Path, cache: Path, backbone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = train(
        "--data", str(tones), "-o", str(out), f"model.backbone=embedded:{backbone}",
        f"data.cache={cache}", "early_stopping.patience=3", "early_stopping.monitor=accuracy",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out / "model")
    assert {path.name for path in (out / "model").iterdir()} == {
        "model.onnx",
        "card.json",
        "README.md",
    }
    classifier = Classifier(out / "model")
    split = out / "split.tsv"
    held_out = [line.split("\t")[0] for line in split.read_text().splitlines() if "test" in line]
    assert len(held_out) == 2
    for track_id in held_out:
        assert classifier.predict_file(tones / f"{track_id}.wav").label == track_id.split("/")[0]
    card = classifier.card
    assert card.training_data is not None
    assert not set(held_out) & set(card.training_data.track_ids)
    assert card.calibration.fitted_on == "2 validation tracks of the track split"
    assert card.precision_curve
    assert str(tmp_path) not in (out / "model" / "card.json").read_text()
    accuracies = [float(row["accuracy"]) for row in rows(out)]
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 3  # patience


def test_a_run_keeps_what_made_it(whole: TrainingRun) -> None:
    names = {path.name for path in whole.folder.iterdir()}
    assert {"recipe.toml", "run.json", "split.tsv", "metrics.csv", "curves.png", "model"} <= names
    assert recipes.load(whole.folder / "recipe.toml") == whole.recipe
    about = json.loads((whole.folder / "run.json").read_text())
    assert about["seed"] == 0
    assert len(about["commit"]) in (0, 40)
    assert (whole.folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert [row["epoch"] for row in rows(whole.folder)] == ["1", "2", "3"]
    assert not [path for path in (whole.folder / "model").rglob("*") if path.suffix == ".pkl"]


def test_mean_and_std_come_from_the_training_tracks_only(whole: TrainingRun, cache: Path) -> None:
    card = registry.read(whole.model_folder).card
    dataset = open_dataset(whole.recipe.data.source)
    cached = SpectrogramCache(cache / "spectrograms").build(dataset.tracks, card.segments)
    split = dataset.split("track", 0)
    values = np.concatenate([cached.features(i).ravel() for i in split.train]).astype(np.float64)
    assert card.segments.mean == pytest.approx(values.mean(), abs=1e-3)
    assert card.segments.std == pytest.approx(values.std(), abs=1e-3)
    every = np.concatenate([cached.features(i).ravel() for i in split.assignment])
    assert abs(every.mean() - values.mean()) > 2e-3  # so the test can tell them apart


def test_ctrl_c_and_resume_give_the_uninterrupted_model(
    cnn_options: list[str], whole: TrainingRun, tmp_path: Path
) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    recipe = recipes.load(None, cnn_options)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        TrainingRun(recipe, tmp_path, interrupt).train()
    assert signal.getsignal(signal.SIGINT) == before
    assert len(rows(tmp_path)) == 2
    assert not (tmp_path / "model").exists()
    done = train("--resume", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert rows(tmp_path) == rows(whole.folder)
    same_bytes(tmp_path, whole)


def same_bytes(folder: Path, whole: TrainingRun) -> None:
    ours, theirs = folder / "model" / "model.onnx", whole.model_folder / "model.onnx"
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_kill_9_and_resume_give_the_uninterrupted_model(
    cnn_options: list[str], whole: TrainingRun, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "genrekit",
        "train",
        *cnn_options,
        "--output",
        str(out),
    ]
    with (tmp_path / "log").open("w") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        deadline = time.monotonic() + 60
        while not (out / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    n_done = len(rows(out))
    assert not (out / "model").exists()
    done = train("--resume", str(out))
    assert done.exit_code == 0, done.output
    assert n_done < 3
    assert rows(out) == rows(whole.folder)
    same_bytes(out, whole)


@pytest.mark.slow
def test_resuming_a_finished_run_only_writes_the_model_again(
    whole: TrainingRun, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "model")
    done = train("--resume", str(copy))
    assert done.exit_code == 0, done.output
    assert "epoch" not in done.stderr
    same_bytes(copy, whole)


def test_a_damaged_checkpoint_is_named(whole: TrainingRun, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole.folder, tmp_path / "copy"))
    (copy / "checkpoints" / "last.ckpt").write_bytes(b"half")
    done = train("--resume", str(copy))
    assert done.exit_code == 1
    assert "last.ckpt cannot be read" in done.stderr


def test_a_folder_of_another_recipe_is_refused(whole: TrainingRun, cnn_options: list[str]) -> None:
    other = recipes.load(None, [*cnn_options, "seed=1"])
    with pytest.raises(RecipeError, match="has a run of another recipe"):
        TrainingRun(other, whole.folder, lambda line: None).train()


@contextmanager
def small_files(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond n_bytes, as a full disk would; the error is EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_full_disk_in_training_leaves_nothing_half_written_and_resumes(
    cnn_options: list[str], whole: TrainingRun, tmp_path: Path
) -> None:
    run = TrainingRun(recipes.load(None, cnn_options), tmp_path, lambda line: None)
    with small_files(100_000), pytest.raises(OSError, match="File too large"):
        run.train()
    assert not leftovers(tmp_path)
    assert not (tmp_path / "model").exists()
    run.train()
    same_bytes(tmp_path, whole)


@pytest.mark.slow
def test_a_full_disk_in_export_leaves_nothing_and_says_how_to_go_on(
    whole: TrainingRun, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "model")
    with small_files(400_000):
        done = train("--resume", str(copy))
    assert done.exit_code == 1
    assert "cannot be written (File too large); nothing was left behind" in done.stderr
    assert not (copy / "model").exists()
    assert not leftovers(copy)


def test_a_file_that_cannot_be_decoded_is_left_out_and_named(
    tones: Path, backbone: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tones, tmp_path / "data"))
    lost = open_dataset(data).split("track", 0).train[0]
    (data / f"{lost}.wav").write_text("no audio")
    done = train(
        "--data", str(data), "-o", str(tmp_path / "run"), "schedule.epochs=1",
        f"model.backbone=embedded:{backbone}", f"data.cache={tmp_path / 'cache'}",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"left out: {data / lost}.wav" in done.stderr
    card = registry.read(tmp_path / "run" / "model").card
    assert card.training_data is not None
    assert lost not in card.training_data.track_ids


def test_one_genre_and_an_empty_genre_are_refused(tones: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tones, tmp_path / "data"))
    (data / "silent").mkdir()
    done = train("--data", str(data), "-o", str(tmp_path / "run"))
    assert done.exit_code == 1
    assert f"genre folder {data / 'silent'} holds no audio" in done.stderr
    shutil.rmtree(data / "silent")
    shutil.rmtree(data / "high")
    done = train("--data", str(data), "-o", str(tmp_path / "run"))
    assert done.exit_code == 1
    assert "genre" in done.stderr
    assert "two" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give a recipe"),
        (["a.toml", "b.toml"], "expected one recipe"),
        (["nowhere.toml"], "unknown recipe 'nowhere'"),
        (["--data", "x", "--resume", "y"], "no other recipe or value"),
        (["--data", "x", "optimizer.lr=1"], "did you mean 'optimiser'"),
    ],
)
def test_wrong_usage_ends_in_one_sentence_and_2(arguments: list[str], sentence: str) -> None:
    done = train(*arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_dry_run_shows_recipe_and_data_and_writes_nothing(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = train("--data", str(tones), "--dry-run", "optimiser.lr=0.5")
    assert done.exit_code == 0, done.output
    assert "lr = 0.5" in done.stdout
    assert "high" in done.stdout
    assert "track split" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_dry_run_refuses_unusable_data_before_it_prints(tmp_path: Path) -> None:
    done = train("--data", str(tmp_path / "nowhere"), "--dry-run")
    assert done.exit_code == 1
    assert "nowhere" in done.stderr
    assert not done.stdout


def test_excluded_tracks_are_left_out_of_the_training(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "out.tsv").write_text("high/0\tsilent\n")
    done = train("--data", str(tones), "--exclude", str(tmp_path / "out.tsv"), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "out.tsv" in done.stdout  # the recipe keeps it, so that --resume leaves the same out
    assert "high/0: left out, silent" in done.stderr
