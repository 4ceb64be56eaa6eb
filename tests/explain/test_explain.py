"""Explanations: a cue planted at a known place is found there, and false evidence is found out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from onnx import TensorProto, helper, numpy_helper

from genrekit import Classifier, files
from genrekit.errors import GenrekitError, ModelError
from genrekit.explain import deletion, evidence, explain, explanation, saving
from genrekit.explain.evidence import Grid
from genrekit.features.spec import FeatureSpec
from genrekit.inference.frontend import Segments
from genrekit.models import card as cards
from genrekit.models.card import ModelCard, one_view
from genrekit.networks.gradcam import GradCam
from genrekit.training.export import to_onnx

TINY = Path(__file__).parents[1] / "golden" / "tiny"
SPEC = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=96)
# The cue: a 3 kHz tone inside the window from 7.0 to 7.5 s, in twelve seconds of quiet noise.
CUE_HZ, CUE_SECONDS, DURATION_SECONDS = 3000.0, (7.06, 7.44), 12.0
NOISE_DB = -40.0


def write_model(folder: Path, weights: np.ndarray, spec: FeatureSpec, **fields: object) -> Path:
    """Write a network whose logit of "cue" is the loudest frame's weighted sum of decibels."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["weights", "features"], ["by_frame"]),  # (n, 2, n_frames)
        helper.make_node("ReduceMax", ["by_frame", "axes"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "planted",
        [value("features", TensorProto.FLOAT, ["batch", spec.n_bins, spec.n_frames])],
        [value("logits", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(np.array([2], np.int64), "axes"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return write_folder(folder, model.SerializeToString(), spec, **fields)


def write_folder(
    folder: Path, model: bytes, spec: FeatureSpec, feature_means: tuple[float, ...] = ()
) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    card = ModelCard(
        name="planted",
        version="1",
        description="Knows one cue.",
        labels=("cue", "other"),
        views=one_view(spec, feature_means),
        license="MIT",
        onnx_sha256=files.sha256(folder / "model.onnx"),
    )
    (folder / "card.json").write_text(cards.to_json(card), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cue_bin() -> int:

    return int(np.abs(SPEC.bin_hz - CUE_HZ).argmin())


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, cue_bin: int) -> Path:
    weights = np.zeros((2, SPEC.n_bins))
    weights[0, cue_bin - 1 : cue_bin + 2] = 0.05
    means = (NOISE_DB,) * SPEC.n_bins
    folder = tmp_path_factory.mktemp("models") / "planted"
    return write_model(folder, weights, SPEC, feature_means=means)


@pytest.fixture(scope="module")
def loud_cnn() -> torch.nn.Module:
    """A CNN whose logit of "cue" is the mean of a map of what is louder than noise."""
    convolution = torch.nn.Conv2d(1, 2, 3, padding=1)
    linear = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1 / 9, -1 / 9])[:, None, None, None])
        convolution.bias.copy_(torch.tensor([10.0, -60.0]))  # above -10 dB, and below -60
        linear.weight.copy_(torch.tensor([[30.0, 0.0], [0.0, 30.0]]))
    layers = [convolution, torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(4)]
    pool = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), linear]
    return torch.nn.Sequential(torch.nn.Unflatten(1, (1, SPEC.n_bins)), *layers, *pool)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rate = 44100
    time = np.arange(round(DURATION_SECONDS * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.01, time.size)
    tone = 0.3 * np.sin(2 * np.pi * CUE_HZ * time)
    there = (time >= CUE_SECONDS[0]) & (time < CUE_SECONDS[1])
    path = tmp_path_factory.mktemp("audio") / "song.wav"
    soundfile.write(path, np.stack([noise + tone * there] * 2, axis=1), rate)
    return path


def test_a_planted_cue_is_found_at_its_time_and_in_its_band(
    planted: Path, song: Path, cue_bin: int
) -> None:
    found = explain(Classifier(planted), song, "cue")
    blocks = found.blocks[0]  # (n_segments, n_bands, n_windows)
    segment, band, window = np.unravel_index(blocks.argmax(), blocks.shape)
    start = found.starts_seconds[segment] + window * 0.5
    assert start == pytest.approx(7.0)
    edges = Grid.of(one_view(SPEC)).bin_edges["features"]
    assert edges[band] <= cue_bin < edges[band + 1]
    # Nothing else supports it: the next block has less than a fifth.
    others = np.sort(blocks.ravel())[-2]
    assert others < 0.2 * blocks.max()
    passage = max(found.deciding(), key=lambda p: p.evidence)
    assert passage.start_seconds <= CUE_SECONDS[0]
    assert passage.end_seconds >= CUE_SECONDS[1]
    assert found.windows[0].max() == found.windows[0][segment, window]
    assert found.segments[0].argmax() == segment
    assert found.replaced_by == "the mean of the training tracks"


def test_the_evidence_of_the_other_genre_is_the_opposite(planted: Path, song: Path) -> None:
    found = explain(Classifier(planted), song)
    np.testing.assert_allclose(found.blocks[0], -found.blocks[1], atol=1e-4)
    assert found.genre == found.prediction.label


def test_the_curves_tell_true_evidence_from_false(planted: Path, song: Path) -> None:
    classifier = Classifier(planted)
    found = explain(classifier, song, "cue")
    assert found.curves.better_than_random
    assert found.curves.deletion[0] == pytest.approx(found.curves.insertion[-1])
    assert found.curves.deletion[-1] == pytest.approx(found.curves.insertion[0])
    inputs = []
    classifier.predict_file(song, lambda batch: inputs.append(batch.features["features"].copy()))
    fill = {"features": np.array(classifier.card.views[0].feature_means, np.float32)}
    false = deletion.measure(
        classifier.segment_probabilities,
        {"features": np.concatenate(inputs)},
        fill,
        Grid.of(one_view(SPEC)),
        -found.blocks[0],  # the least important blocks first
        0,
        lambda: None,
    )
    assert not false.better_than_random


def test_gradcam_finds_the_planted_cue_too(
    loud_cnn: torch.nn.Module, song: Path, cue_bin: int, tmp_path: Path
) -> None:
    model = to_onnx(loud_cnn, SPEC, ["logits"])
    means = (NOISE_DB,) * SPEC.n_bins
    classifier = Classifier(write_folder(tmp_path / "loud", model, SPEC, feature_means=means))
    found = explain(classifier, song, "cue", gradcam=GradCam(loud_cnn))
    assert found.method == json.loads(saving.to_json(found))["method"] == "gradcam"
    blocks = found.blocks[0]  # (n_segments, n_bands, n_windows)
    segment, band, window = np.unravel_index(blocks.argmax(), blocks.shape)
    assert found.starts_seconds[segment] + window * 0.5 == pytest.approx(7.0)
    edges = Grid.of(one_view(SPEC)).bin_edges["features"]
    assert edges[band] <= cue_bin < edges[band + 1]
    assert blocks[segment, band, window] > 0.5 * blocks.sum(), "its neighbours get the smear"
    # With a linear layer after the mean of the map, the evidence adds up to the logit.
    inputs = []
    classifier.predict_file(song, lambda batch: inputs.append(batch.features["features"].copy()))
    with torch.no_grad():
        logits = loud_cnn(torch.from_numpy(np.concatenate(inputs)))[:, 0].numpy()
    np.testing.assert_allclose(found.segments[0], logits, atol=1e-3)
    np.testing.assert_allclose(found.blocks[0].sum(axis=(1, 2)), found.segments[0], rtol=1e-4)
    assert found.curves.better_than_random
    upside_down = np.concatenate(inputs)[:, ::-1].copy()
    np.testing.assert_allclose(
        GradCam(loud_cnn, low_bins_first=False).maps(upside_down),
        GradCam(loud_cnn).maps(np.concatenate(inputs)),
        atol=1e-3,
    )


def test_gradcam_refuses_what_ends_in_no_map() -> None:
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(2))
    features = np.zeros((1, SPEC.n_bins, SPEC.n_frames), np.float32)
    with pytest.raises(ModelError, match="no such CNN; use --method occlusion"):
        GradCam(flat).maps(features)


def test_a_table_of_features_is_explained_by_its_columns(tmp_path: Path, song: Path) -> None:
    spec = FeatureSpec(kind="handcrafted", segment_seconds=3.0)
    weights = np.zeros((2, 57))
    weights[0, 3] = 1e-3
    means = tuple(np.full(57, 100.0).tolist())
    folder = write_model(tmp_path / "table", weights, spec, feature_means=means)
    found = explain(Classifier(folder), song, "cue")
    assert found.blocks.shape == (2, 4, 57, 1)
    assert np.flatnonzero(np.abs(found.blocks[0]).sum(axis=(0, 2)) > 1e-6).tolist() == [3]
    np.testing.assert_allclose(found.windows[0][:, 0], found.segments[0], atol=1e-5)
    assert not found.spectrogram["seen_by_network"]


def test_without_means_the_track_stands_in_for_itself(
    planted: Path, tmp_path: Path, song: Path
) -> None:
    weights = np.ones((2, SPEC.n_bins)) * [[0.001], [0.0]]
    folder = write_model(tmp_path / "plain", weights, SPEC)
    assert explain(Classifier(folder), song).replaced_by.startswith("the mean of the track")
    table = FeatureSpec(kind="handcrafted", segment_seconds=30.0)
    folder = write_model(tmp_path / "table", np.zeros((2, 57)), table)
    with pytest.raises(ModelError, match="no feature_means"):
        explain(Classifier(folder), song)


def test_an_unknown_genre_is_refused(song: Path) -> None:
    with pytest.raises(ModelError, match="unknown genre 'jaz'; did you mean 'jazz'"):
        explain(Classifier(TINY), song, "jaz")


def test_a_long_track_is_explained_at_evenly_spread_segments() -> None:
    kept = explanation.SpreadSegments()
    for first in range(0, 1000, 16):
        starts = [3.0 * index for index in range(first, first + 16)]
        kept.add(Segments(starts, {"features": np.zeros((16, 2, 2), np.float32)}))
    assert kept.n_segments == 16 * 63
    assert explanation.MAX_SEGMENTS / 2 <= len(kept.starts_seconds) <= explanation.MAX_SEGMENTS
    assert len(set(np.diff(kept.starts_seconds))) == 1
    assert kept.starts_seconds[0] == 0.0
    assert kept.starts_seconds[-1] > 3.0 * 1000 * 0.9


def test_an_explanation_reports_how_much_of_the_track_it_covers(
    planted: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = explain(Classifier(planted), song)
    assert whole.coverage.startswith("all 4 segments were explained; each is 3 s long")
    monkeypatch.setattr(explanation, "MAX_SEGMENTS", 3)
    part = explain(Classifier(planted), song)
    assert part.starts_seconds == (0.0, 6.0)
    assert part.coverage == (
        "2 of 4 segments were explained, evenly spread; each is 3 s long, the track lasts 12 s"
    )
    assert part.to_dict()["n_segments"] == 4


def test_log_odds() -> None:
    found = evidence.log_odds(np.array([0.5, 0.75, 0.0, 1.0]))
    np.testing.assert_allclose(found[:2], [0.0, np.log(3)])
    assert found[3] == pytest.approx(-found[2])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("seconds", [3.0, 30.0])
def test_the_grid_covers_every_value_once(seconds: float) -> None:
    spec = FeatureSpec(segment_seconds=seconds)
    grid = Grid.of(one_view(spec))
    times_covered = np.zeros((spec.n_bins, spec.n_frames), int)
    for band in range(grid.n_bands):
        for window in range(grid.n_windows):
            times_covered[grid.block("features", band, window)] += 1
    assert (times_covered == 1).all()


def test_every_form_is_written(planted: Path, song: Path, tmp_path: Path) -> None:
    found = explain(Classifier(planted), song, "cue")
    for name in ("why.html", "why.json", "why.png", "why.wav"):
        saving.write(found, song, tmp_path / name)
    fields = json.loads((tmp_path / "why.json").read_text(encoding="utf-8"))
    assert fields["evidence"]["cue"]["deciding"] == [
        passage.model_dump() for passage in found.deciding()
    ]
    assert np.array(fields["evidence"]["other"]["blocks"]).shape == (4, 12, 6)
    waveform, rate = soundfile.read(tmp_path / "why.wav")
    pauses = saving.PAUSE_SECONDS * (len(found.deciding()) - 1)
    lengths = sum(s.end_seconds - s.start_seconds for s in found.deciding())
    assert waveform.shape[1] == 2
    assert len(waveform) / rate == pytest.approx(lengths + pauses, abs=0.01)
    assert np.abs(waveform).max() > 0.25, "the tone is in it"
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    html = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "{{" not in html, "every place of the template is filled"
    assert 'src="data:audio/wav' in html
    assert "http" not in html.replace("http-equiv", "")


def test_no_sound_where_nothing_supports_the_genre(
    planted: Path, song: Path, tmp_path: Path
) -> None:
    found = explain(Classifier(planted), song, "other")
    assert found.deciding() == []
    with pytest.raises(GenrekitError, match="choose another genre"):
        saving.write(found, song, tmp_path / "why.wav")
