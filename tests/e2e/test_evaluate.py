"""genrekit evaluate with a network that finds which third of the mel bands is loud.

Every number is known: tones in the low, middle and high third, two of the twelve in a wrong folder.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import files
from genrekit.features.spec import FeatureSpec
from genrekit.models import registry
from genrekit.models.card import ModelCard, PrecisionPoint, TrainingData, one_view
from in_process import Done, genrekit

RATE = 16000
TONES_HZ = {"high": 5500.0, "low": 250.0, "middle": 1600.0}
# Folder -> tone of each of its tracks: high/d and low/d hold the middle tone.
FOLDERS = {
    "high": ["high", "high", "high", "middle"],
    "low": ["low", "low", "low", "middle"],
    "middle": ["middle"] * 4,
}
SPEC = FeatureSpec(
    sample_rate=RATE,
    n_fft=512,
    hop_length=256,
    n_mels=48,
    mean=-40.0,
    std=20.0,
    segment_seconds=1.0,
    segment_hop_seconds=1.0,
)


def network() -> bytes:
    """Return ONNX: a label's logit is the mean over its third of the bands and over time."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.zeros((48, 3), np.float32)
    for column, start in enumerate((32, 0, 16)):  # high, low, middle
        weights[start : start + 16, column] = 1 / 16
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["features", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        ],
        "thirds",
        [helper.make_tensor_value_info("features", kind, ["batch", SPEC.n_bins, SPEC.n_frames])],
        [helper.make_tensor_value_info("logits", kind, ["batch", 3])],
        [
            onnx.numpy_helper.from_array(np.array([2], np.int64), "axes"),
            onnx.numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def made_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "thirds"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(network())
    card = ModelCard(
        name="thirds",
        version="1",
        description="Finds which third of the bands is loud, for tests only.",
        labels=("high", "low", "middle"),
        views=one_view(SPEC),
        precision_curve=(PrecisionPoint(threshold=0.0, precision=0.8, coverage=1.0),),
        license="MIT",
        onnx_sha256=files.sha256(folder / "model.onnx"),
    )
    registry.write_card(folder, card)
    return folder


@pytest.fixture
def model(made_model: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made_model, tmp_path / "thirds"))


@pytest.fixture
def edit_card(model: Path) -> Callable[..., None]:
    def edit(**changes: object) -> None:
        registry.write_card(
            model, registry.read_card(model / "card.json").model_copy(update=changes)
        )

    return edit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve tracks of three seconds, with a manifest that puts all in the test part."""
    time = np.arange(3 * RATE) / RATE
    rows = ["path,genre,artist,split"]
    for genre, tones in FOLDERS.items():
        (tmp_path / "data" / genre).mkdir(parents=True)
        for letter, tone in zip("abcd", tones, strict=True):
            name = f"{genre}/{letter}.wav"
            wave = 0.3 * np.sin(2 * np.pi * TONES_HZ[tone] * time)
            soundfile.write(tmp_path / "data" / name, wave, RATE)
            rows.append(f"{name},{genre},{genre} band {letter in 'ab'},test")
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


def evaluate(*arguments: str | Path) -> Done:
    return genrekit("evaluate", *arguments)


def test_every_number_is_the_known_one(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--model", model, "--data", data, "--split", "official"]
    done = evaluate(*arguments, "--json", "--output", out)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert (result["n_tracks"], result["n_artist_groups"], result["part"]) == (12, 6, "test")
    for level, n_items in (("segment", 36), ("majority_vote", 12), ("mean_probability", 12)):
        scores = result["levels"][level]
        factor = n_items // 12
        expected = [[3, 0, 1], [0, 3, 1], [0, 0, 4]]
        assert scores["confusion"] == [[factor * n for n in row] for row in expected]
        assert scores["accuracy"]["value"] == pytest.approx(10 / 12)
        assert scores["macro_recall"]["value"] == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)
        assert scores["macro_precision"]["value"] == pytest.approx((1 + 1 + 4 / 6) / 3)
    # The wrong tracks are by two of the six bands: the interval is wide, and ends at 1 at most.
    accuracy = result["levels"]["mean_probability"]["accuracy"]
    assert 0.5 < accuracy["low"] < 0.75
    assert 0.95 < accuracy["high"] <= 1
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        wrong = [row["track_id"] for row in csv.DictReader(stream) if row["correct"] == "0"]
    assert wrong == ["high/d", "low/d"]
    assert (out / "confusion.png").stat().st_size > 1000
    assert (out / "reliability.png").stat().st_size > 1000


def test_two_labels_swapped_turn_the_numbers_over(
    model: Path, data: Path, edit_card: Callable[..., None]
) -> None:
    edit_card(labels=("low", "high", "middle"))
    done = evaluate("--model", model, "--data", data, "--split", "official", "--json")
    scores = json.loads(done.stdout)["levels"]["mean_probability"]
    assert scores["accuracy"]["value"] == pytest.approx(4 / 12)


def test_what_a_person_reads(model: Path, data: Path) -> None:
    done = evaluate("--model", model, "--data", data, "--split", "official")
    assert (done.returncode, done.stderr) == (0, "")
    assert "thirds 1 on manifest, official test: 12 tracks of 6 artist groups" in done.stdout
    assert "LEAKY" not in done.stdout
    (accuracy,) = (line for line in done.stdout.splitlines() if line.startswith("accuracy %"))
    assert accuracy.count("83.3 [") == 3  # segment, majority vote, mean probability
    titles = [line for line in done.stdout.splitlines() if "(official test, n = 12" in line]
    # levels, genres, confusion, confusions, abstaining, calibration
    assert len(titles) == 6
    (confused,) = (line for line in done.stdout.splitlines() if line.startswith("high   middle"))
    assert confused.split() == ["high", "middle", "1", "high/d"]


def test_workers_give_the_same_numbers(model: Path, data: Path) -> None:
    arguments = ["--model", model, "--data", data, "--split", "official", "--json", "--jobs"]
    one, two = evaluate(*arguments, "1"), evaluate(*arguments, "2")
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert one.stdout == two.stdout


def test_training_tracks_are_left_out_or_leaky(
    model: Path, data: Path, edit_card: Callable[..., None]
) -> None:
    edit_card(
        training_data=TrainingData(
            dataset="manifest",
            split="official",
            split_sha256="0",
            n_tracks={"train": 1},
            track_ids=("high/a",),
        )
    )
    arguments = ["--model", model, "--data", data, "--split", "official"]
    done = evaluate(*arguments)
    assert "official test: 11 tracks" in done.stdout
    assert "TRAINING TRACKS: 1 of this part were used to fit the model, left out: high/a" in (
        done.stdout
    )
    assert "SAME ARTISTS: 1 of these tracks" in done.stdout  # high/b
    kept = evaluate(*arguments, "--include-training-tracks")
    assert "official test (LEAKY): 12 tracks" in kept.stdout


def test_excluded_tracks_are_left_out_and_said(model: Path, data: Path, tmp_path: Path) -> None:
    listed = tmp_path / "out.tsv"
    listed.write_text("high/a\tsilent: nothing\n# high/b\tclipped\n", encoding="utf-8")
    done = evaluate("--model", model, "--data", data, "--split", "official", "--exclude", listed)
    assert done.returncode == 0, done.stderr
    assert "official test: 11 tracks" in done.stdout
    assert "high/a: left out, silent: nothing" in done.stdout


def test_the_segment_split_is_printed_as_leaky(model: Path, data: Path) -> None:
    done = evaluate("--model", model, "--data", data, "--split", "segment", "--part", "train")
    assert done.returncode == 0, done.stderr
    assert "segment train (LEAKY)" in done.stdout


def test_a_broken_file_is_named_and_left_out(model: Path, data: Path) -> None:
    broken = data.parent / "middle" / "c.wav"
    broken.write_text("this is no audio", encoding="utf-8")
    done = evaluate("--model", model, "--data", data, "--split", "official")
    assert done.returncode == 1
    assert "official test: 11 tracks" in done.stdout
    assert "FAILED, left out: 1 tracks" in done.stdout
    assert str(broken) in done.stdout.replace("\n", "")


def test_the_card_takes_the_numbers(model: Path, data: Path) -> None:
    arguments = ["--model", model, "--data", data, "--split", "official", "--update-card"]
    assert evaluate(*arguments).returncode == 0
    (metrics,) = registry.find(model).card.metrics
    assert (metrics.split, metrics.data, metrics.n_tracks) == ("official test", "manifest", 12)
    assert metrics.accuracy.value == pytest.approx(10 / 12)
    assert metrics.per_class_recall == {"high": 0.75, "low": 0.75, "middle": 1.0}
    assert "83.3 %" in (model / "README.md").read_text(encoding="utf-8")


def test_without_matplotlib_only_the_images_are_missing(
    model: Path, data: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; from genrekit.cli.main import main; main()"
    )
    arguments = [
        "--model",
        model,
        "--data",
        data,
        "--split",
        "official",
        "--output",
        tmp_path / "out",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 1
    assert "[plot]'" in done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["metrics.json", "predictions.csv", "report.html"]


def test_a_recipe_without_torch_is_one_sentence(data: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from genrekit.cli.main import main; main()"
    arguments = ["evaluate", "recipe.toml", "--data", str(data), "--split", "track"]
    (tmp_path / "recipe.toml").write_text("", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("genrekit: error: genrekit evaluate needs torch, ")
    assert done.stderr.endswith("[train]'\n")
    assert done.stderr.count("\n") == 1


def test_compare_two_evaluations(
    model: Path, data: Path, tmp_path: Path, edit_card: Callable[..., None]
) -> None:
    arguments = ["--model", model, "--data", data, "--split", "official", "--json", "--output"]
    evaluate(*arguments, tmp_path / "first")
    edit_card(labels=("low", "high", "middle"))
    evaluate(*arguments, tmp_path / "second")
    paths = [str(tmp_path / name / "metrics.json") for name in ("first", "second")]
    done = compare(*paths, "--json")
    # Only the six tracks with a high or low tone change, from right to wrong: p = 2 / 2 ** 6.
    (found,) = json.loads(done.stdout)
    assert (found["n_tracks"], found["n_only_first"], found["n_only_second"]) == (12, 6, 0)
    assert (found["p_value"], found["is_noise"]) == (0.03125, False)
    assert found["difference"]["value"] == pytest.approx(6 / 12)
    assert found["caution"].startswith("an interval from 12 tracks of 6 artist groups means")
    shown = compare(tmp_path / "first", model, "--data", data, "--split", "official")
    assert shown.returncode == 0, shown.stderr
    assert f"{tmp_path / 'first'} is better than {model} by more than noise: +50.0" in shown.stdout
    assert "FEW TRACKS: an interval from 12 tracks of 6 artist groups means" in shown.stdout


def compare(*arguments: str | Path) -> Done:
    return genrekit("compare", *arguments)


def test_compare_says_what_it_needs(model: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ([model], "at least two"),
        ([model, model], "is not an evaluation"),
        ([model, model, "--data", tmp_path], "go together"),
    ):
        done = compare(*arguments)
        assert done.returncode == 2
        assert words in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.slow
def test_changed_audio(model: Path, data: Path, tmp_path: Path) -> None:
    arguments = ["--model", model, "--data", data, "--split", "official", "--robustness"]
    done = evaluate(*arguments, "--update-card", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    robustness = registry.find(model).card.robustness
    assert robustness is not None
    accuracy = {its.name: its.accuracy.value for its in robustness.changes}
    agreement = {its.name: its.agreement.value for its in robustness.changes}
    assert accuracy["unchanged"] == pytest.approx(10 / 12)
    # A tone stays the loudest through MP3, gain and a cut; 8 kHz has no place for the high one.
    for name in (
        "MP3 128 kbit/s",
        "MP3 32 kbit/s",
        "gain -12 dB",
        "first 5 s",
        "time stretch +10 %",
    ):
        assert agreement[name] == 1, name
    assert agreement["resampled 8 kHz"] == pytest.approx(9 / 12)
    assert (tmp_path / "out" / "robustness.png").stat().st_size > 1000
    assert "MP3 32 kbit/s" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--split", "artists"], 1, "did you mean 'artist'"),
        (["--split", "official", "--part", "valid"], 2, "valid"),
        (["--split", "official", "--part", "validation"], 1, "no track in manifest"),
        ([], 2, "--split"),
        (["--split", "track", "--folds", "3"], 2, "give a recipe's file"),
        (["recipe.toml", "--split", "track", "--robustness"], 2, "need a model"),
        (["recipe.toml", "--split", "track", "--part", "train"], 2, "what it held out"),
        (["other", "--split", "track"], 2, "expected one model or recipe"),
    ],
)
def test_wrong_usage(model: Path, data: Path, arguments: list[str], code: int, words: str) -> None:
    named = [] if arguments[:1] == ["recipe.toml"] else ["--model", model]
    done = evaluate(*named, "--data", data, *arguments)
    assert done.returncode == code
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
