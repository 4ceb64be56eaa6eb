"""Learning from a library as a user does: train from its tags, add one more genre to a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from genrekit.cli.main import build

RATE = 16000
HERTZ = {"Low": 200.0, "High": 3000.0}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def genrekit(*arguments: object) -> Result:
    return CliRunner().invoke(build(), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten tones of each of two genres, and six of noise without a tag; two tracks an artist."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    time = np.arange(4 * RATE) / RATE
    for genre, hertz in HERTZ.items():
        for index in range(10):
            tone = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time)
            path = folder / f"{genre}{index}.flac"
            soundfile.write(path, tone + 0.02 * rng.normal(size=len(time)), RATE)
            tags = mutagen.flac.FLAC(path)
            tags.update(genre=genre, artist=f"{genre} artist {index // 2}")
            tags.save()
    for index in range(6):
        soundfile.write(folder / f"noise{index}.flac", rng.uniform(-0.5, 0.5, len(time)), RATE)
    return folder


def test_a_model_is_trained_from_tags_and_says_how_good_it_is(music: Path, tmp_path: Path) -> None:
    done = genrekit("train", "--from-tags", music, "--output", tmp_path / "run")
    assert done.exit_code == 0, done.stderr
    assert "20 tracks: high (10), low (10)" in done.stderr
    assert "left out: 6 files: no genre" in done.stderr
    assert "accuracy on 20 training and validation tracks" in done.stderr
    assert ": 100.0 %" in done.stderr
    assert "artist-grouped folds" in done.stderr
    model = done.stdout.strip()
    predicted = genrekit("predict", music / "High0.flac", "--model", model, "--json")
    assert '"label": "high"' in predicted.stdout


def test_files_of_several_genres_teach_all_of_them(music: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(music, mixed)
    for index in range(0, 10, 2):
        tags = mutagen.flac.FLAC(mixed / f"Low{index}.flac")
        tags["genre"] = ["Low", "Other", "High", "Seldom"]
        tags.save()
    done = genrekit("train", "--from-tags", mixed, "--output", tmp_path / "run")
    assert done.exit_code == 0, done.stderr
    assert "20 tracks, 5 of them with several genres: high (15), low (10)" in done.stderr
    assert "any of its genres is right for 5 with several" in done.stderr
    card = json.loads((Path(done.stdout.strip()) / "card.json").read_text())
    assert card["training_data"]["n_per_class"] == {"high": 15, "low": 10}
    manifest = (tmp_path / "run" / "own-tags.csv").read_text()
    assert manifest.count(",low,") == 10
    assert manifest.count(",high\n") == 5, "the further genre, without Other and what is seldom"


def test_a_genre_is_added_from_examples(music: Path, tmp_path: Path) -> None:
    db, target = tmp_path / "l.sqlite3", tmp_path / "fast-noise"
    others = tmp_path / "others"
    others.mkdir()
    rng = np.random.default_rng(1)
    time = np.arange(2 * RATE) / RATE
    for index in range(50):
        tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time)
        soundfile.write(others / f"{index}.flac", tone, RATE)
    examples = sorted(music.glob("noise*"))
    assert genrekit("library", "scan", others, "--db", db).exit_code == 0
    done = genrekit("genres", "add", "Noise", *examples, "--db", db, "--output", target)
    assert done.exit_code == 0, done.stderr
    assert (
        "6 of 6 examples are predicted as 'Noise', and so are 0 of 50 other tracks" in done.stderr
    )
    predicted = genrekit("predict", examples[0], "--model", target, "--json")
    assert '"label": "Noise"' in predicted.stdout
    options = ("--db", db, "--model", target, "--dry-run")
    scanned = genrekit("library", "scan", others, *options)
    assert "50 not yet analysed by 'fast-noise'" in scanned.stdout


def test_training_may_keep_some_genres_only(music: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    lines = [f"{path},my{path.stem[:3]}" for path in sorted(music.glob("*.flac"))]
    manifest.write_text("path,genre\n" + "\n".join(lines) + "\n")
    shown = genrekit("train", "--data", manifest, "--genres", "Mylow,Myhig", "--dry-run")
    assert 'genres = [\n    "Mylow",\n    "Myhig",\n]' in shown.stdout
    assert "mynoi" not in shown.stdout.replace(str(manifest), "")
