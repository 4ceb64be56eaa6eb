"""A recipe measured on splits: what each model saw, what is pooled, and that the leak shows."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from typer.testing import CliRunner

from genrekit.cli import tables
from genrekit.cli.main import build
from genrekit.datasets import Dataset, Track, TrackPart, open_dataset
from genrekit.datasets.cache import SpectrogramCache
from genrekit.errors import DatasetError, RecipeError
from genrekit.evaluation import comparison, selection
from genrekit.evaluation.result import EvaluationResult
from genrekit.features.spec import FeatureSpec
from genrekit.models import registry
from genrekit.models.card import ModelCard, one_view
from genrekit.training import experiments, export, recipe
from genrekit.training.run import TrainingRun

RATE = 16000
SECONDS = 6
N_ARTISTS = 6
GENRES = ("calm", "wild")
SPEC = FeatureSpec(
    sample_rate=RATE,
    n_fft=512,
    hop_length=512,
    n_mels=64,
    mean=-40.0,
    std=20.0,
    segment_seconds=0.5,
    segment_hop_seconds=0.5,
)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tracks by each of twelve artists, who each have a tone of their own and no genre.

    The genres sound alike, so only who knows the artist or the track knows the genre.
    """
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    time = np.arange(SECONDS * RATE) / RATE
    lines = ["path,genre,artist"]
    for artist in range(2 * N_ARTISTS):
        genre = GENRES[artist % 2]
        for number in range(3):
            tone = 0.3 * np.sin(2 * np.pi * 200 * 1.35**artist * time)
            name = f"{genre}{artist}-{number}.wav"
            soundfile.write(folder / name, tone + 0.02 * rng.normal(size=time.size), RATE)
            lines.append(f"{name},{genre},artist {artist}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def mean_over_time() -> bytes:
    """Return ONNX whose embedding is the mean over time, and its logits two of it."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    axes = onnx.numpy_helper.from_array(np.array([2], np.int64), "axes")
    two = onnx.numpy_helper.from_array(np.eye(SPEC.n_bins, 2, dtype=np.float32), "two")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["features", "axes"], ["embedding"], keepdims=0),
            helper.make_node("MatMul", ["embedding", "two"], ["logits"]),
        ],
        "mean",
        [helper.make_tensor_value_info("features", kind, ["batch", SPEC.n_bins, SPEC.n_frames])],
        [
            helper.make_tensor_value_info("logits", kind, ["batch", 2]),
            helper.make_tensor_value_info("embedding", kind, ["batch", SPEC.n_bins]),
        ],
        [axes, two],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose embedding a head can be put on, without any training."""
    card = ModelCard(
        name="mean",
        version="1",
        description="The mean over time, for tests only.",
        labels=GENRES,
        views=one_view(SPEC),
        license="MIT",
        onnx_sha256="",
    )
    return export.write_folder(tmp_path_factory.mktemp("models") / "mean", mean_over_time(), card)


@pytest.fixture(scope="module")
def frozen(music: Path, backbone: Path) -> recipe.Recipe:
    """A logistic head on the mean over time."""
    fixed = [
        f'model.backbone="embedded:{backbone}"',
        "model.head=logistic",
        "model.l2=[0.001]",
        "data.validation=folds",
        f'data.cache="{music / "cache"}"',
    ]
    return recipe.load(None, fixed, str(music / "manifest.csv"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all tests, so that a finished run is not trained again."""
    return tmp_path_factory.mktemp("out") / "runs"


def evaluate(settings: recipe.Recipe, out: Path, kind: str, **options: int) -> EvaluationResult:
    return experiments.evaluate(settings, kind, out, lambda line: None, **options)


def test_the_leak_shows_and_the_honest_split_does_not_know(
    frozen: recipe.Recipe, runs: Path
) -> None:
    by_segment, by_track, by_artist = (
        evaluate(frozen, runs, kind) for kind in ("segment", "track", "artist")
    )
    assert by_segment.split_title == "segment test (LEAKY)"
    assert by_segment.product.accuracy.value > 0.9
    assert by_track.product.accuracy.value > 0.9
    assert by_artist.product.accuracy.value < by_track.product.accuracy.value - 0.3


def test_folds_are_pooled_and_ask_every_track_once(
    music: Path, frozen: recipe.Recipe, runs: Path
) -> None:
    result = evaluate(frozen, runs, "artist", n_folds=3)
    assert result.split_title == "artist, 3 folds test"
    assert Counter(track.track_id for track in result.tracks) == Counter(
        track.track_id for track in open_dataset(music / "manifest.csv").tracks
    )
    assert (len(result.runs), len({run.sha256 for run in result.runs})) == (3, 3)
    n_correct = sum(run.n_correct for run in result.runs)
    assert result.product.accuracy.value == pytest.approx(n_correct / 36)
    assert (result.coverage, result.trained_on) == ((), ())


def test_seeds_draw_the_split_anew_and_each_row_names_its_seed(
    frozen: recipe.Recipe, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluate(frozen, runs, "track", n_seeds=2)
    n_tested = Counter(track.track_id for track in result.tracks)
    assert (len(n_tested), n_tested.total()) == (result.n_tracks, result.product.n_items)
    assert result.n_tracks > max(run.n_tracks for run in result.runs)
    assert result.split_title == "track, 2 seeds test"
    assert [run.seed for run in result.runs] == [0, 1]
    tables.show(result)
    shown = capsys.readouterr().out.partition("By model")[2].splitlines()[1:4]
    assert [line.split()[:2] for line in shown] == [
        ["split", "seed"],
        ["track", "0"],
        ["track", "1"],
    ]


def test_no_model_was_fitted_to_what_it_is_asked(
    music: Path, frozen: recipe.Recipe, runs: Path
) -> None:
    dataset = open_dataset(music / "manifest.csv")
    evaluate(frozen, runs, "artist", n_folds=3)
    for split in selection.divide(dataset, "artist", 3):
        card = registry.find(runs / f"{split.name.replace(' ', '-')}-seed-0" / "model").card
        assert card.training_data is not None
        assert set(card.training_data.track_ids) == set(split.train)
        assert card.training_data.split_sha256 == split.sha256


def test_a_finished_run_is_read_and_another_split_refused(
    music: Path, frozen: recipe.Recipe, runs: Path
) -> None:
    dataset = open_dataset(music / "manifest.csv")
    (first,), (second,) = (selection.divide(dataset, "artist", seed=seed) for seed in (0, 1))
    lines: list[str] = []
    once = experiments.train_and_predict(frozen, first, runs / "own", lines.append)
    lines.clear()
    assert experiments.train_and_predict(frozen, first, runs / "own", lines.append) == once
    assert lines == []
    with pytest.raises(RecipeError, match="has a run on another split"):
        experiments.train_and_predict(frozen, second, runs / "own", lines.append)


def test_the_leaky_card_names_whole_tracks(music: Path, frozen: recipe.Recipe, runs: Path) -> None:
    evaluate(frozen, runs, "segment")
    data = registry.find(runs / "segment-seed-0" / "model").card.training_data
    assert data is not None
    assert data.split == "segment (LEAKY)"
    assert set(data.track_ids) <= {t.track_id for t in open_dataset(music / "manifest.csv").tracks}


def test_a_part_of_a_track_is_that_part_of_its_spectrogram(
    music: Path, frozen: recipe.Recipe, runs: Path
) -> None:
    dataset = open_dataset(music / "manifest.csv")
    cut, split = dataset.parts_as_tracks(dataset.segment_split(dataset.n_segments))
    assert set(split.assignment) == {track.track_id for track in cut.tracks}
    assert len(set(cut.groups.values())) == 2 * N_ARTISTS
    parts = [track for track in cut.tracks if track.recording_id == "calm0-0"]
    whole = dataset.by_id["calm0-0"]
    cached = SpectrogramCache(runs).build([whole, *parts], SPEC)
    joined = [cached.features(part.track_id) for part in parts]
    np.testing.assert_array_equal(np.concatenate(joined, 1), cached.features(whole.track_id))
    assert TrackPart("a", 9, 10).holds(29.99, 30.0)
    assert not TrackPart("a", 9, 10).holds(26.9, 30.0)


def test_a_teacher_refuses_segments(music: Path, runs: Path) -> None:
    settings = recipe.load(None, ["teacher.model=fast"], str(music / "manifest.csv"))
    with pytest.raises(RecipeError, match="a teacher predicts entire tracks"):
        evaluate(settings, runs / "teacher", "segment")


def test_the_leak_meter_has_a_row_a_split_and_the_honest_one_last(
    music: Path, frozen: recipe.Recipe, runs: Path
) -> None:
    meter = experiments.leak_meter(frozen, runs, lambda line: None)
    assert [row.split for row in meter.rows] == ["segment (LEAKY)", "track", "artist"]
    leaky, _, honest = meter.rows
    assert (meter.honest, honest.difference) == ("artist", None)
    assert leaky.difference is not None
    assert leaky.difference.value == pytest.approx(leaky.accuracy.value - honest.accuracy.value)
    assert leaky.difference.low > 0.3


def test_the_verb_measures_a_recipe(music: Path, frozen: recipe.Recipe, runs: Path) -> None:
    path = runs.parent / "frozen.toml"
    path.write_text(recipe.to_toml(frozen), encoding="utf-8")
    data = ["--data", str(music / "manifest.csv"), "--split", "track"]
    arguments = [
        "evaluate",
        str(path),
        *data,
        "--leak-meter",
        "--json",
        "--output",
        str(runs.parent),
    ]
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 0, done.output
    result = EvaluationResult.model_validate_json(done.stdout)
    assert result.split == "track"
    assert result.leak_meter is not None
    assert "segment (LEAKY)" in (runs.parent / "report.html").read_text(encoding="utf-8")


def test_the_recipe_of_a_card_is_the_recipe(music: Path, frozen: recipe.Recipe, runs: Path) -> None:
    evaluate(frozen, runs, "track")
    card = registry.find(runs / "track-seed-0" / "model").card
    source = str(music / "manifest.csv")
    cache = f'data.cache="{music / "cache"}"'
    assert experiments.recipe_of(card, source, [cache]) == frozen
    with pytest.raises(RecipeError, match="has no recipe; give a recipe's file"):
        experiments.recipe_of(card.model_copy(update={"recipe": {}}), source)


def test_shuffled_labels_give_chance(music: Path, frozen: recipe.Recipe, runs: Path) -> None:
    header, *rows = (music / "manifest.csv").read_text().splitlines()
    genres = np.random.default_rng(1).permutation([row.split(",")[1] for row in rows])
    shuffled = [f"{row.split(',')[0]},{genre}," for row, genre in zip(rows, genres, strict=True)]
    (music / "shuffled.csv").write_text("\n".join([header, *shuffled]) + "\n")
    data = frozen.data.model_copy(update={"source": str(music / "shuffled.csv")})
    settings = frozen.model_copy(update={"data": data})
    accuracy = evaluate(settings, runs / "shuffled", "track", n_folds=2).product.accuracy
    assert accuracy.low <= 0.5 <= accuracy.high


def test_training_never_decodes_the_test_part(
    music: Path, frozen: recipe.Recipe, runs: Path, tmp_path: Path
) -> None:
    """Statistics of test tracks cannot be fitted: without their audio the same model comes out."""
    (split,) = selection.divide(open_dataset(music / "manifest.csv"), "artist")
    damaged = shutil.copytree(music, tmp_path / "music", ignore=shutil.ignore_patterns("cache"))
    for track_id in split.test:
        (damaged / f"{track_id}.wav").write_bytes(b"no audio")
    data = frozen.data.model_copy(
        update={"source": str(damaged / "manifest.csv"), "cache": str(tmp_path / "cache")}
    )
    model = TrainingRun(
        frozen.model_copy(update={"data": data}), tmp_path / "run", print, split
    ).train()
    evaluate(frozen, runs, "artist")
    whole = registry.find(runs / "artist-seed-0" / "model").card
    assert model.card.onnx_sha256 == whole.onnx_sha256
    assert model.card.calibration == whole.calibration
    assert model.card.precision_curve == whole.precision_curve


def few(**genres: list[str]) -> Dataset:
    """Return tracks of these genres, each by the artist named."""
    tracks = [
        Track(f"{genre}{n}", Path("none.wav"), genre, artist)
        for genre, artists in genres.items()
        for n, artist in enumerate(artists)
    ]
    return Dataset("made", Path("made"), tuple(tracks))


@pytest.mark.parametrize(
    ("genres", "kind", "words"),
    [
        ({"a": ["x"], "b": ["y", "z"]}, "track", "genre 'a' has 1 track, which cannot be trained"),
        ({"a": ["x"] * 9, "b": ["y", "z"]}, "artist", "'a' has 1 artist group"),
        (
            {"a": ["x"] * 20 + ["v"], "b": ["y", "z"]},
            "artist",
            "group 'x' holds 20 of 23 tracks, but the largest part only 8",
        ),
        ({"a": ["x", "y"]}, "track", "holds one genre only"),
    ],
)
def test_folds_that_cannot_be_made(genres: dict[str, list[str]], kind: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        selection.divide(few(**genres), kind, 3)


def test_the_leak_meter_needs_artists() -> None:
    with pytest.raises(DatasetError, match="names no artists, so the leak cannot be measured"):
        comparison.leak_meter_kinds(few(a=["", ""], b=["", ""]))
