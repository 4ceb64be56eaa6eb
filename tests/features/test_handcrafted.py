"""The 57 columns against librosa's golden file, the published table and theory."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from genrekit.errors import AudioError
from genrekit.features import FeatureSpec, compute, handcrafted
from genrekit.features.handcrafted import COLUMNS, chroma, hpss, spectrum, tempo
from genrekit.features.handcrafted.spectrum import SPEC

GOLDEN = Path(__file__).parents[1] / "golden" / "handcrafted.npz"
RATE = SPEC.sample_rate


def tone(hz: float, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def column(waveform: np.ndarray, name: str) -> float:
    return float(handcrafted.values(waveform)[COLUMNS.index(name)])


@pytest.mark.parametrize("case", ["band", "pauses", "short", "silence"])
def test_equals_librosa(case: str) -> None:
    with np.load(GOLDEN) as golden:
        found = handcrafted.values(golden[f"{case}.samples"].astype(np.float32) / 32768)
        expected = golden[f"{case}.columns"]
    exact = [COLUMNS.index("tempo"), COLUMNS.index("zero_crossing_rate_mean")]
    np.testing.assert_array_equal(found[exact], expected[exact])
    # Both sides round to float32 on the way; the means of harmony and perceptr and, in silence,
    # the coefficients are zero but for that rounding.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.shared
def test_equals_the_published_table(shared_data: Path) -> None:
    """Each of the 20 clips that are there bit by bit."""
    import soundfile

    with (shared_data / "gtzan/features_30_sec.csv").open() as stream:
        published = {row["filename"]: row for row in csv.DictReader(stream)}
    assert tuple(next(iter(published.values())))[2:-1] == COLUMNS
    clips = sorted((shared_data / "gtzan/lossless").glob("*.flac"))
    assert len(clips) == 20
    for clip in clips:
        samples, sample_rate = soundfile.read(clip, dtype="float32")
        assert sample_rate == RATE
        row = published[f"{clip.stem}.wav"]
        found = dict(zip(COLUMNS, handcrafted.values(samples), strict=True))
        assert len(samples) == int(row["length"])
        assert found["tempo"] == float(row["tempo"])
        assert found["zero_crossing_rate_mean"] == float(row["zero_crossing_rate_mean"])
        expected = {name: pytest.approx(float(row[name]), rel=2e-5, abs=1e-9) for name in COLUMNS}
        # Differences of almost equal numbers, some 1e-6 in size, summed in float32 back then.
        for name in ("harmony_mean", "perceptr_mean"):
            expected[name] = pytest.approx(float(row[name]), rel=2e-4)
        assert found == expected, clip.name


def test_compute_gives_the_columns_as_they_are() -> None:
    spec = FeatureSpec(kind="handcrafted", segment_seconds=0.5, segment_hop_seconds=0.5)
    assert (spec.n_bins, spec.n_frames) == (len(COLUMNS), 1) == (57, 1)
    segments = noise(2, 3, spec.segment_samples)
    found = compute(segments, spec)
    assert found.shape == (2, 3, 57, 1)
    assert found.dtype == np.float32
    alone = handcrafted.values(segments[1, 2]).astype(np.float32)
    np.testing.assert_array_equal(found[1, 2, :, 0], alone)


def test_no_segments_give_no_rows() -> None:
    assert handcrafted.values(noise(0, 4000)).shape == (0, 57)


@pytest.mark.parametrize(
    "wrong", [{"sample_rate": 16000}, {"padding": "zeros"}, {"mean": -30.0}, {"n_mels": 64}]
)
def test_the_spec_allows_no_other_numbers(wrong: dict) -> None:
    with pytest.raises(ValidationError, match=f"fixed parameters; got {next(iter(wrong))}"):
        FeatureSpec(kind="handcrafted", **wrong)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.full(4000, np.nan, np.float32), "finite"),
        (np.zeros(2047, np.float32), "2047 samples"),
        (np.zeros(4000, np.int16), "int16"),
    ],
)
def test_refuses_what_is_no_waveform(waveform: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        handcrafted.values(waveform)


def test_a_tone_is_where_it_sounds() -> None:
    waveform = tone(1000.0, 5.0)
    assert column(waveform, "spectral_centroid_mean") == pytest.approx(1000.0, rel=0.03)
    assert column(waveform, "rolloff_mean") == pytest.approx(1000.0, rel=0.03)
    assert column(waveform, "rms_mean") == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert column(waveform, "zero_crossing_rate_mean") == pytest.approx(2000 / RATE, rel=0.06)


def test_zero_crossings_are_counted() -> None:
    """Every frame of +1, -1, +1, ... changes sign at each sample but its first one."""
    samples = np.tile(np.array([1, -1], np.float32), 4000)
    rates = spectrum.zero_crossing_rate(samples)
    assert rates[4] == 2047 / 2048
    assert rates[0] == 1023 / 2048  # its first half repeats the first sample
    quiet = samples * np.float32(1e-11)  # counts as zero
    assert not spectrum.zero_crossing_rate(quiet).any()


def test_loudness_moves_only_what_depends_on_it() -> None:
    loud, quiet = handcrafted.values(np.stack([noise(30000), noise(30000) / 4]))
    moved = {name for name, a, b in zip(COLUMNS, loud, quiet, strict=True) if a != pytest.approx(b)}
    power = {"rms_mean", "rms_var", "harmony_mean", "harmony_var", "perceptr_mean", "perceptr_var"}
    assert moved == power | {"mfcc1_mean"}


def test_lasting_is_harmonic_and_sudden_is_percussive() -> None:
    clicks = np.zeros(3 * RATE, np.float32)
    clicks[:: RATE // 4] = 0.9
    held = tone(440.0, 3.0)
    assert column(held, "harmony_var") > 100 * column(held, "perceptr_var")
    assert column(clicks, "perceptr_var") > 100 * column(clicks, "harmony_var")


@pytest.mark.parametrize("beats_per_minute", [90.0, 120.0, 160.0])
def test_tempo_of_a_metronome(beats_per_minute: float) -> None:
    clicks = noise(12 * RATE) / 1000
    beats = np.arange(0, 12, 60 / beats_per_minute)
    for beat in (beats * RATE).astype(int):
        clicks[beat : beat + 200] += noise(200, seed=beat)[: len(clicks) - beat]
    # A lag is a whole number of frames, some 3 % of such a period.
    assert column(clicks, "tempo") == pytest.approx(beats_per_minute, rel=0.03)


def test_tempo_of_nothing_is_zero() -> None:
    assert tempo.tempo(np.zeros(50, np.float32)) == 0.0


@pytest.mark.parametrize("cents", [-40, 0, 25])
def test_tuning_is_found(cents: int) -> None:
    notes = 440.0 * 2.0 ** ((np.array([-5, -1, 0, 3, 7]) + cents / 100) / 12)
    found = chroma.tuning(notes, np.ones(5))
    assert found == pytest.approx(cents / 100, abs=0.0101)


def test_no_pitch_is_in_tune() -> None:
    assert chroma.tuning(np.zeros(0), np.zeros(0)) == 0.0


@pytest.mark.parametrize("n_rows", [1, 2, 15, 16, 17, 31, 33, 64, 100])
@pytest.mark.parametrize("n_columns", [1, 7])
def test_median_by_the_definition(n_rows: int, n_columns: int) -> None:
    rows = noise(n_rows, n_columns, seed=n_rows)
    rows[n_rows // 2 :] = np.round(rows[n_rows // 2 :], 1)  # with ties
    mirrored = np.pad(rows, ((15, 15), (0, 0)), mode="symmetric")
    expected = np.stack([np.median(mirrored[i : i + 31], axis=0) for i in range(n_rows)])
    np.testing.assert_array_equal(hpss.running_median(rows), expected)


def test_median_reads_any_strides_in_many_blocks() -> None:
    rows = noise(900, 700)
    found = hpss.running_median(rows.T)
    assert found.shape == (700, 900)
    np.testing.assert_array_equal(found[:, ::50], hpss.running_median(rows[::50].T.copy()))
