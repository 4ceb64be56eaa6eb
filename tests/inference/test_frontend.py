"""The front end: one cut of a track, the features of every view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from genrekit import audio, demo, features
from genrekit.features.spec import FeatureSpec
from genrekit.inference import segments
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.card import ModelCard, View, one_view

TWO_VIEWS = registry.read(Path(__file__).parents[1] / "golden" / "tiny-two-views").card.views


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Twelve seconds, of shape (1, samples)."""
    whole = np.tile(demo.synthesise("drums"), (1, 2))
    return np.ascontiguousarray(whole[:, : 12 * demo.SAMPLE_RATE])


def test_every_view_is_of_the_same_segments(music: np.ndarray) -> None:
    front_end = FrontEnd(TWO_VIEWS)
    found = front_end.open_waveform(music, demo.SAMPLE_RATE).all()
    assert front_end.sample_rate == 22050
    assert set(found.features) == {"coarse", "fine"}
    assert found.features["coarse"].shape == (len(found.starts_seconds), 48, 188)
    assert found.features["fine"].shape == (len(found.starts_seconds), 64, 130)


def test_a_view_of_a_lower_rate_is_resampled_from_the_cut(music: np.ndarray) -> None:
    """Away from the segment's ends it equals the view computed alone from the whole track."""
    both = FrontEnd(TWO_VIEWS).open_waveform(music, demo.SAMPLE_RATE).all().features["coarse"]
    alone = FrontEnd(TWO_VIEWS[:1]).open_waveform(music, demo.SAMPLE_RATE).all()
    (expected,) = alone.features.values()
    std = TWO_VIEWS[0].features.std
    np.testing.assert_allclose(both[:, :, 4:-4] * std, expected[:, :, 4:-4] * std, atol=0.1)


def test_files_and_waveforms_give_the_same(music: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music.T, demo.SAMPLE_RATE, subtype="FLOAT")
    front_end = FrontEnd(TWO_VIEWS)
    from_file = front_end.open(path).all()
    from_waveform = front_end.open_waveform(music, demo.SAMPLE_RATE).all()
    assert from_file.starts_seconds == from_waveform.starts_seconds
    for name, rows in from_waveform.features.items():
        np.testing.assert_allclose(from_file.features[name], rows, atol=1e-3)


def test_one_view_is_what_compute_gives(music: np.ndarray) -> None:
    spec = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=48)
    found = FrontEnd(one_view(spec)).open_waveform(music, demo.SAMPLE_RATE).all()
    resampled = audio.resample(music, demo.SAMPLE_RATE, spec.sample_rate)
    cut = segments.cut_spread(resampled, spec, found.starts_seconds)
    np.testing.assert_array_equal(found.features["features"], features.compute(cut, spec))


@pytest.mark.parametrize("choice", [None, "all", 3])
@pytest.mark.parametrize("seconds", [2.0, 3.0, 11.0, 70.0])
@pytest.mark.parametrize("hop_seconds", [1.5, 3.0])
def test_starts_are_where_the_front_end_cuts(
    choice: segments.SegmentChoice, seconds: float, hop_seconds: float
) -> None:
    spec = FeatureSpec(sample_rate=8000, n_fft=256, hop_length=128, n_mels=8)
    spec = spec.model_copy(update={"segment_hop_seconds": hop_seconds})
    silence = np.zeros((1, round(seconds * 8000)), np.float32)
    cut = FrontEnd(one_view(spec)).open_waveform(silence, 8000, choice).all().starts_seconds
    assert segments.starts(seconds, spec, choice) == pytest.approx(cut)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([*one_view(FeatureSpec()), *one_view(FeatureSpec())], "names of views must differ"),
        (
            [View(features=FeatureSpec()), View(name="b", features=FeatureSpec(segment_seconds=2))],
            "the same segment_seconds; got 2.0, 3.0",
        ),
        (
            [
                View(features=FeatureSpec()),
                View(name="b", features=FeatureSpec(kind="handcrafted")),
            ],
            "hand-crafted columns must be the only view",
        ),
        ([], "at least 1 item"),
    ],
)
def test_views_that_do_not_go_together(views: list[View], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelCard(
            name="m",
            version="1",
            description="",
            labels=("a", "b"),
            views=tuple(views),
            license="MIT",
            onnx_sha256="",
        )
