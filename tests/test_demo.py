"""The made tracks: the same every time, in range, as different from one another as they claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import demo


@pytest.fixture(scope="module")
def tracks() -> dict[str, np.ndarray]:
    return {name: demo.synthesise(name) for name in demo.NAMES}


@pytest.mark.parametrize("name", demo.NAMES)
def test_a_track_is_stereo_float32_of_the_stated_length_with_its_peak_at_0_9(
    tracks: dict[str, np.ndarray], name: str
) -> None:
    track = tracks[name]
    assert track.dtype == np.float32
    assert track.shape == (2, round(demo.DURATION_SECONDS * demo.SAMPLE_RATE))
    assert np.abs(track).max() == pytest.approx(0.9, abs=1e-6)


def test_every_run_gives_the_same_bits(tracks: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(demo.synthesise("drums"), tracks["drums"])


def test_the_beat_of_the_drums_lies_at_124_beats_a_minute(tracks: dict[str, np.ndarray]) -> None:
    hop = 441  # 10 ms
    mono = tracks["drums"][0]
    energy = np.square(mono[: mono.size // hop * hop].reshape(-1, hop)).sum(axis=1)
    onset = np.maximum(np.diff(energy), 0)
    onset -= onset.mean()
    correlation = np.correlate(onset, onset, mode="full")[onset.size - 1 :]
    lags = np.arange(30, 71)  # 200 to 86 beats a minute
    assert lags[np.argmax(correlation[lags])] == round(60 / 124 / 0.01)


def test_the_strings_are_tonal_and_the_guitar_is_compressed(
    tracks: dict[str, np.ndarray],
) -> None:
    def crest(waveform: np.ndarray) -> float:
        return float(np.abs(waveform).max() / np.sqrt(np.square(waveform).mean()))

    def share_above_8_khz(waveform: np.ndarray) -> float:
        power = np.square(np.abs(np.fft.rfft(waveform[0])))
        return float(
            power[np.fft.rfftfreq(waveform.shape[1], 1 / 44100) > 8000].sum() / power.sum()
        )

    assert crest(tracks["guitar"]) < crest(tracks["strings"]) < crest(tracks["drums"])
    assert share_above_8_khz(tracks["strings"]) < 1e-4 < share_above_8_khz(tracks["drums"])


def test_written_files_hold_the_tracks_to_16_bits(
    tracks: dict[str, np.ndarray], tmp_path: Path
) -> None:
    paths = demo.write(tmp_path / "new folder")
    assert [path.stem for path in paths] == list(tracks)
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths), "nothing else is left behind"
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == demo.SAMPLE_RATE
        np.testing.assert_allclose(samples.T, tracks[path.stem], atol=1 / 32768)


def test_an_unknown_track_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'guitar'"):
        demo.synthesise("guitars")
