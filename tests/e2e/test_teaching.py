"""Teaching as a user does it: scan, correct, train from the library, accept, use."""

from __future__ import annotations

import json
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from genrekit import Classifier
from genrekit.cli.main import build
from genrekit.models import registry
from genrekit.training import lesson, onnx_head, teaching

TINY = Path(__file__).parents[1] / "golden" / "tiny"
RATE = 16000
HERTZ = {"Hum": 200.0, "Whistle": 3000.0}


def genrekit(*arguments: object) -> Result:
    return CliRunner().invoke(build(), [str(argument) for argument in arguments])


def parsed(done: Result) -> dict[str, object]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: 24 tones of two genres, two an artist, one tagged wrongly; and their database."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "music").mkdir()
    rng = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for genre, hertz in HERTZ.items():
        for index in range(12):
            tone = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time)
            path = folder / "music" / f"{genre}{index:02}.flac"
            soundfile.write(path, tone + 0.02 * rng.normal(size=len(time)), RATE)
            tags = mutagen.flac.FLAC(path)
            tag = "Whistle" if path.stem == "Hum00" else genre if index < 11 else "Unknown"
            tags.update(genre=tag, artist=f"{genre} artist {index // 2}")
            tags.save()
    done = genrekit("library", "scan", folder / "music", "--db", folder / "db", "--model", TINY)
    assert done.exit_code == 0, done.stderr
    return folder


def test_a_library_teaches_a_model_that_is_used_when_it_is_accepted(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    wrong = library / "music" / "Hum00.flac"
    assert (
        genrekit("library", "correct", wrong, "--genre", "hum", "--db", library / "db").exit_code
        == 0
    )
    done = genrekit(
        "train", "--from-library", "--db", library / "db", "-o", tmp_path / "run", "--json"
    )
    found = parsed(done)
    assert "1 corrected recordings, 21 with genre tags" in done.stderr
    assert "left out: 2 files: its tags name no genre" in done.stderr
    assert {name.casefold() for name in found["new_labels"]} == {"hum", "whistle"}
    assert found["n_corrections"] == 1
    assert found["n_tracks"] == 22
    assert found["accuracy"] >= 0.9
    assert found["old_accuracy"] == 0.0, "the old model has neither genre"
    assert found["low"] <= found["difference"] == found["accuracy"] <= found["high"]
    assert found["caution"].startswith("an interval from 22 tracks of ")
    check_card(registry.read(Path(found["model"])), found)
    assert "tiny-taught" not in registry.names()
    assert genrekit("models", "install", found["model"]).exit_code == 0
    labels = [Classifier("tiny-taught").predict_file(library / "music" / name).label
              for name in ("Hum00.flac", "Hum11.flac", "Whistle11.flac")]  # fmt: skip
    assert [label.casefold() for label in labels] == ["hum", "hum", "whistle"]


def check_card(folder: registry.ModelFolder, found: dict[str, object]) -> None:
    """The card holds what was measured when the model was taught."""
    (metrics,) = folder.card.metrics
    assert metrics.accuracy.value == pytest.approx(found["accuracy"], abs=1e-6)
    assert (metrics.n_tracks, metrics.n_artist_groups) == (22, found["n_artist_groups"])
    recalls = {label.casefold(): recall for label, recall in metrics.per_class_recall.items()}
    assert set(recalls) == {"hum", "whistle"}
    assert metrics.split.startswith("5 folds by artist")
    shown = (folder.path / "README.md").read_text(encoding="utf-8")
    assert f"| a library | {metrics.split} | 22 of {found['n_artist_groups']} artist" in shown
    assert "sha256: ``" not in shown


def test_a_taught_model_is_taught_anew_from_what_it_was_put_on(
    library: Path, tmp_path: Path
) -> None:
    db = tmp_path / "db"
    db.write_bytes((library / "db").read_bytes())
    first = parsed(genrekit("train", "--from-library", "--db", db, "-o", tmp_path / "1", "--json"))
    scanned = genrekit("library", "scan", library / "music", "--db", db, "--model", first["model"])
    assert scanned.exit_code == 0, scanned.stderr
    second = parsed(genrekit("train", "--from-library", "--db", db, "-o", tmp_path / "2", "--json"))
    assert second["name"] == second["old_name"] == "tiny-taught"
    assert second["new_labels"] == []
    assert second["old_accuracy"] == second["accuracy"], "by the same labels, each track held out"
    one, two = (registry.read(Path(its["model"])) for its in (first, second))
    assert two.card.metrics == one.card.metrics
    assert one.card.onnx_sha256 == two.card.onnx_sha256
    before = onnx_head.untaught(two.onnx_path.read_bytes())
    assert before is not None
    assert onnx_head.untaught(before) is None


def test_too_few_labels_are_refused_with_what_to_do(library: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\n[aliases]\nRock = []\nPop = []\nJazz = []\n')
    words = ("train", "--from-library", "--db", library / "db", "-o", tmp_path / "run")
    done = genrekit(*words, "--label-set", mine)
    assert done.exit_code == 1
    assert "0 tracks of 0 artists" in done.stderr
    assert "genrekit library correct" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_shows_the_labels_and_trains_nothing(library: Path, tmp_path: Path) -> None:
    words = ("train", "--from-library", "--db", library / "db", "-o", tmp_path / "run")
    done = genrekit(*words, "--dry-run")
    assert done.exit_code == 0
    assert "with genre tags" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", [("--data", "x"), ("--folds", "3"), ("recipe.toml",)])
def test_what_does_not_go_with_it_is_refused(library: Path, other: tuple[str, ...]) -> None:
    done = genrekit("train", "--from-library", "--db", library / "db", *other)
    assert done.exit_code == 2
    assert "omit" in done.stderr


def test_files_that_are_gone_or_broken_are_fitted_but_not_measured(
    library: Path, tmp_path: Path
) -> None:
    folder = registry.read(TINY)
    rng = np.random.default_rng(0)
    names = ["Hum01.flac", "absent.flac"] + ["Whistle01.flac"] * 22
    tracks = []
    for index, name in enumerate(names):
        genre, group = ("Rock", "Jazz")[index % 2], f"artist {index % 7}"
        embedding = rng.normal(size=8).astype(np.float32)
        path = library / "music" / name
        tracks.append(lesson.TaughtTrack(path, f"{index}", (genre,), False, group, embedding))
    found = teaching.teach(folder, tracks)
    assert list(found.failures) == [str(library / "music" / "absent.flac")]
    assert found.n_fitted == 24
    assert found.n_tracks == 23
