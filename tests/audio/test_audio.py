"""The audio layer: made signals whose samples are known, in every format there is a writer for."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import audio
from genrekit.audio import mixing
from genrekit.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")

RATE = 44100
SECONDS = 14.0
STARTS = [9.3, 0.0, 4.21, 4.9, 13.2]


def music(n_channels: int = 2, rate: int = RATE, seconds: float = SECONDS) -> np.ndarray:
    """A chirp with clicks and noise: a shift by one sample shows. Shape (samples, channels)."""
    time = np.arange(round(seconds * rate)) / rate
    chirp = 0.4 * np.sin(2 * np.pi * (50 * time + 0.2 * rate * time**2 / (2 * seconds)))
    chirp[rate // 3 :: rate // 2] += 0.4
    noise = 0.02 * np.random.default_rng(0).standard_normal((len(time), n_channels))
    return (chirp[:, None] * np.linspace(1, 0.5, n_channels) + noise).clip(-1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    soundfile.write(folder / "a.wav", music(), RATE)
    return folder


@pytest.fixture(scope="module")
def convert(folder: Path) -> Callable[..., Path]:
    """Write a.wav in another format: by soundfile, or by ffmpeg where options are given."""

    def run(name: str, *options: str) -> Path:
        path = folder / name
        if not path.exists() and options:
            command = ["ffmpeg", "-v", "error", "-i", folder / "a.wav", *options, path]
            subprocess.run(command, check=True)
        elif not path.exists():
            soundfile.write(path, music(), RATE)
        return path

    return run


def cut(whole: np.ndarray, rate: int, starts: list[float], seconds: float) -> np.ndarray:
    padded = np.pad(whole[0], (0, round(20 * rate)))
    size = round(seconds * rate)
    return np.stack([padded[round(start * rate) :][:size] for start in starts])


# Down-mixing and resampling


def test_downmix_is_the_mean_of_the_channels() -> None:
    waveform = np.array([[1, 0.5], [0, 0.5], [-0.25, 0.5]], np.float32)
    np.testing.assert_allclose(audio.downmix(waveform), [[0.25, 0.5]], atol=1e-7)
    np.testing.assert_allclose(audio.downmix(waveform.T.copy().T), [[0.25, 0.5]], atol=1e-7)
    assert audio.downmix(waveform[:1]) is not None
    assert audio.downmix(waveform[:1]).base is waveform


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (8000, 22050), (96000, 22050)])
def test_a_resampled_tone_is_the_same_tone(from_hz: int, to_hz: int) -> None:
    def tone(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * rate) / rate)[None]

    resampled = audio.resample(tone(from_hz).astype(np.float32), from_hz, to_hz)
    assert resampled.dtype == np.float32
    assert resampled.shape == (1, 2 * to_hz)
    inner = slice(to_hz // 4, -to_hz // 4)
    np.testing.assert_allclose(resampled[:, inner], tone(to_hz)[:, inner], atol=2e-5)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    tone = np.sin(2 * np.pi * 12000 * np.arange(RATE) / RATE).astype(np.float32)[None]
    assert np.abs(audio.resample(tone, RATE, 16000)[:, 1000:-1000]).max() < 1e-5


def test_equal_rates_are_not_resampled() -> None:
    waveform = np.ones((2, 10), np.float32)
    assert audio.resample(waveform, 22050, 22050) is waveform


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(AudioError, match="got sample rate 0"):
        audio.resample(np.ones((1, 10), np.float32), 0, 16000)


# Formats: scale, channels, rates


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-23),
        ("FLOAT", 2**-23),
        ("DOUBLE", 2**-23),
    ],
)
def test_every_sample_format_has_the_same_scale(tmp_path: Path, subtype: str, step: float) -> None:
    wanted = music(1)
    soundfile.write(tmp_path / "a.wav", wanted, RATE, subtype=subtype)
    waveform = audio.load(tmp_path / "a.wav")
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, wanted.T, atol=1.01 * step)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec", "step"),
    [
        ("u8.mkv", "pcm_u8", 2**-7),
        ("s16.mkv", "pcm_s16le", 2**-15),
        ("s24.mkv", "pcm_s24le", 2**-15),
        ("f32.mkv", "pcm_f32le", 2**-15),
        ("f64.mkv", "pcm_f64le", 2**-15),
        ("flac24.mka", "flac", 2**-15),
        ("alac.m4a", "alac", 2**-15),
        ("wavpack.wv", "wavpack", 2**-15),
        ("tta.tta", "tta", 2**-15),
    ],
)
def test_pyav_has_the_same_scale(
    convert: Callable[..., Path], name: str, codec: str, step: float
) -> None:
    path = convert(name, "-c:a", codec, *(["-sample_fmt", "s32"] if codec == "flac" else []))
    assert audio.probe(path).decoder == "pyav"
    waveform = audio.load(path, mono=False)
    np.testing.assert_allclose(waveform, music().T, atol=1.01 * step)


def test_samples_of_64_bits_have_the_same_scale(tmp_path: Path) -> None:
    """libsndfile refuses such a WAV, and PyAV has no name for its samples."""
    waveform = np.stack([np.linspace(-0.9, 0.9, 4800), np.linspace(0.5, -0.5, 4800)])
    data = (waveform.T * 2**63).astype("<i8").tobytes()
    head = struct.pack("<HHIIHH", 1, 2, 48000, 48000 * 16, 16, 64)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data))
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks) + len(data)) + chunks + data)
    np.testing.assert_allclose(audio.load(path, mono=False), waveform, atol=1e-7)


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_channels(tmp_path: Path, n_channels: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    wanted = music(n_channels, seconds=2)
    soundfile.write(path, wanted, RATE)
    assert audio.probe(path).n_channels == n_channels
    names = {3: ("FL", "FR", "FC"), 4: ("FL", "FR", "BL", "BR")} if suffix == "flac" else {}
    mixed = wanted @ mixing.weights(n_channels, names.get(n_channels, ()))
    np.testing.assert_allclose(audio.load(path)[0], mixed, atol=1e-4)
    kept = audio.load(path, mono=False)
    assert kept.shape[0] == (n_channels if n_channels <= 2 else 1)
    wanted = wanted if n_channels <= 2 else mixed[:, None]
    np.testing.assert_allclose(kept, wanted.T, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_rates(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2, rate, 3.0), rate, subtype="FLOAT")
    info = audio.probe(path)
    assert (info.sample_rate, info.n_samples, info.duration_seconds) == (rate, 3 * rate, 3.0)
    whole = audio.load(info, 16000)
    assert whole.shape == (1, 48000)
    segments = audio.read_segments(info, 16000, [0.3, 1.7, 2.5], 1.0)
    np.testing.assert_allclose(segments, cut(whole, 16000, [0.3, 1.7, 2.5], 1.0), atol=1e-5)


# Seeking and blocks equal the whole

FORMATS = [
    pytest.param(name, options, id=name, marks=[needs_ffmpeg] if options else [])
    for name, options in {
        "a.wav": (),
        "a.flac": (),
        "a.aiff": (),
        "a.au": (),
        "a.caf": (),
        "a.ogg": (),
        "a.mp3": (),
        "a.opus": ("-c:a", "libopus"),
        "vbr.mp3": ("-q:a", "4"),
        "headerless.mp3": ("-q:a", "4", "-write_xing", "0"),
        "a.mp2": ("-b:a", "192k"),
        "a.m4a": ("-c:a", "aac"),
        "alac.m4a": ("-c:a", "alac"),
        "a.aac": ("-c:a", "aac"),
        "a.ac3": ("-c:a", "ac3"),
        "a.wma": ("-c:a", "wmav2"),
        "opus.webm": ("-c:a", "libopus"),
        "vorbis.mka": ("-c:a", "libvorbis"),
        "a.wv": ("-c:a", "wavpack"),
        "a.tta": ("-c:a", "tta"),
    }.items()
]


@pytest.mark.parametrize(("name", "options"), FORMATS)
def test_segments_and_blocks_equal_the_whole(
    convert: Callable[..., Path], name: str, options: tuple[str, ...]
) -> None:
    path = convert(name, *options)
    info = audio.probe(path)
    said: list[str] = []
    whole = audio.load(info, 16000, on_warning=said.append)
    assert (info.warnings, said) == ((), [])
    assert whole.shape[1] == round(info.n_samples * 16000 / info.sample_rate)
    assert info.duration_seconds == pytest.approx(SECONDS, abs=0.06)
    blocks = list(audio.blocks(info, 16000, block_seconds=2.7))
    assert len(blocks) > 4
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole, atol=1e-6)
    segments = audio.read_segments(info, 16000, STARTS, 1.5)
    np.testing.assert_allclose(segments, cut(whole, 16000, STARTS, 1.5), atol=1e-4)


@pytest.mark.parametrize(("name", "options"), FORMATS)
def test_the_music_is_where_it_was(
    convert: Callable[..., Path], name: str, options: tuple[str, ...]
) -> None:
    """The encoder's delay is removed, or it is known and stated in docs/audio.md."""
    delays = {"headerless.mp3": 1105, "a.mp2": 481, "a.aac": 1024, "a.ac3": 256, "a.wma": -2048}
    path = convert(name, *options)
    loaded, wanted = audio.load(path, RATE)[0], music().mean(axis=1)
    size = min(len(loaded), len(wanted), 5 * RATE)
    spectra = [np.fft.rfft(x[:size], 2 * size) for x in (loaded, wanted)]
    lag = int(np.argmax(np.fft.irfft(spectra[0] * spectra[1].conj())))
    lag = lag if lag < size else lag - 2 * size
    assert lag == pytest.approx(delays.get(name, 0), abs=1)


def test_many_seeks_in_vorbis_are_exact(tmp_path: Path) -> None:
    """libsndfile's own seek is not: 1 in 30 lands beside."""
    path = tmp_path / "a.ogg"
    soundfile.write(path, music(1, 22050, 40.0), 22050)
    whole = audio.load(path)
    starts = np.random.default_rng(7).uniform(0, 39.8, 60)
    for batch in starts.reshape(20, 3).tolist():
        segments = audio.read_segments(path, 22050, batch, 0.1)
        np.testing.assert_allclose(segments, cut(whole, 22050, batch, 0.1), atol=1e-6)


def test_stereo_blocks_equal_the_whole(folder: Path) -> None:
    whole = audio.load(folder / "a.wav", 22050, mono=False)
    assert whole.shape == (2, round(SECONDS * 22050))
    blocks = list(audio.blocks(folder / "a.wav", 22050, mono=False, block_seconds=1.1))
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole, atol=1e-6)
    (block,) = audio.blocks(folder / "a.wav", 22050, mono=False, block_seconds=SECONDS)
    np.testing.assert_array_equal(block, whole)


def test_a_part_equals_the_same_part_of_the_whole(folder: Path) -> None:
    whole = audio.load(folder / "a.wav", 16000)
    part = audio.load(folder / "a.wav", 16000, start_seconds=3.3, duration_seconds=2.0)
    np.testing.assert_allclose(part, whole[:, 52800:84800], atol=1e-6)
    rest = audio.load(folder / "a.wav", 16000, start_seconds=13.0, duration_seconds=9.0)
    np.testing.assert_allclose(rest, whole[:, 208000:], atol=1e-6)


@pytest.mark.parametrize("start", [-1.0, 14.0, 99.0])
def test_a_part_outside_the_track_is_refused(folder: Path, start: float) -> None:
    with pytest.raises(AudioError, match=r"no audio from.*14\.00 s long"):
        audio.load(folder / "a.wav", start_seconds=start)


def test_segments_in_any_order_overlapping_dense_and_behind_the_end(folder: Path) -> None:
    whole = audio.load(folder / "a.wav", 16000)
    starts = [13.5, *np.arange(0, 14, 0.25).tolist(), 0.1, 15.0]
    segments = audio.read_segments(folder / "a.wav", 16000, starts, 1.0)
    np.testing.assert_allclose(segments, cut(whole, 16000, starts, 1.0), atol=1e-6)
    assert not segments[-1].any()
    assert not segments[0, 8100:].any()
    assert audio.read_segments(folder / "a.wav", 16000, [], 1.0).shape == (0, 16000)


def test_a_segment_before_the_track_is_refused(folder: Path) -> None:
    with pytest.raises(AudioError, match="before the track"):
        audio.read_segments(folder / "a.wav", 16000, [1.0, -0.5], 1.0)


# Lengths that are promised and not kept


@needs_ffmpeg
def test_a_headerless_mp3_has_its_true_length(convert: Callable[..., Path]) -> None:
    path = convert("headerless.mp3", "-q:a", "4", "-write_xing", "0")
    claimed = soundfile.info(path).frames
    assert abs(claimed - SECONDS * RATE) > RATE  # libsndfile's guess, and all that it would decode
    info = audio.probe(path)
    assert info.decoder == "pyav"
    assert info.n_samples % 1152 == 0
    assert 0 <= info.n_samples - SECONDS * RATE < 3 * 1152
    assert audio.load(info).shape[1] == info.n_samples


def truncate(path: Path, share: float, folder: Path) -> Path:
    data = path.read_bytes()
    short = folder / f"short_{path.name}"
    short.write_bytes(data[: int(len(data) * share)])
    return short


TRUNCATED = [
    ("a.wav", ()),
    ("a.flac", ()),
    ("a.aiff", ()),
    ("a.au", ()),
    ("a.ogg", ()),
    ("a.mp3", ()),
    ("fast.m4a", ("-c:a", "aac", "-movflags", "+faststart")),
    ("a.wv", ("-c:a", "wavpack")),
    ("opus.webm", ("-c:a", "libopus")),
]


@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id=n, marks=[needs_ffmpeg] if o else []) for n, o in TRUNCATED],
)
def test_a_truncated_file_is_decoded_as_far_as_it_goes_and_says_so(
    convert: Callable[..., Path], tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    whole = audio.load(convert(name, *options), 16000)
    info = audio.probe(truncate(convert(name, *options), 0.5, tmp_path))
    assert 0.4 * SECONDS < info.duration_seconds < 0.6 * SECONDS
    assert len(info.warnings) == 1
    assert "cut short" in info.warnings[0]
    loaded = audio.load(info, 16000)
    assert abs(loaded.shape[1] / 16000 - info.duration_seconds) < 0.15
    size = loaded.shape[1] - 800
    np.testing.assert_allclose(loaded[:, :size], whole[:, :size], atol=1e-4)


@needs_ffmpeg
def test_a_truncated_m4a_without_its_index_cannot_be_decoded(
    convert: Callable[..., Path], tmp_path: Path
) -> None:
    path = truncate(convert("a.m4a", "-c:a", "aac"), 0.5, tmp_path)
    with pytest.raises(AudioError, match=r"soundfile: .*; PyAV: .*Convert it"):
        audio.probe(path)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_damage_in_the_middle_is_left_out_and_said(
    convert: Callable[..., Path], tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(convert(name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    path = tmp_path / name
    path.write_bytes(data)
    said: list[str] = []
    loaded = audio.load(path, 16000, on_warning=said.append)
    capfd.readouterr()  # libmpg123's notes
    assert len(said) == 1
    assert "damaged" in said[0]
    assert loaded.shape[1] > 0.9 * SECONDS * 16000
    quarter = round(SECONDS * 16000 / 4)
    np.testing.assert_allclose(
        loaded[:, :quarter], audio.load(convert(name), 16000)[:, :quarter], atol=1e-4
    )


def test_a_flac_of_unknown_length(convert: Callable[..., Path], tmp_path: Path) -> None:
    data = bytearray(convert("a.flac").read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    info = audio.probe(tmp_path / "a.flac")
    assert info.n_samples == SECONDS * RATE
    np.testing.assert_allclose(
        audio.load(info, mono=False), audio.load(convert("a.flac"), mono=False), atol=1e-6
    )


def test_a_file_that_vanishes_between_probe_and_load(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(1), RATE)
    info = audio.probe(path)
    path.unlink()
    with pytest.raises(AudioError, match="cannot be opened any more"):
        audio.load(info)


def test_a_file_that_is_deleted_or_cut_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(1), RATE)
    said: list[str] = []
    blocks = audio.blocks(path, block_seconds=1.0, on_warning=said.append)
    n_loaded = next(blocks).shape[1]
    os.truncate(path, 5 * 2 * RATE)
    path.unlink()
    n_loaded += sum(block.shape[1] for block in blocks)
    assert 4.9 * RATE < n_loaded <= 5 * RATE
    assert len(said) == 1


# Bad input: one clear sentence each


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp3"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "text":
        path.write_text("This is not music, whatever its name says.\n" * 99)
    elif kind == "playlist":
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.wav\n#EXT-X-ENDLIST\n")
    elif kind == "zero bytes":
        path.touch()
    elif kind == "zeros":
        path.write_bytes(bytes(10_000))
    elif kind == "no samples":
        path = folder / "none.wav"
        soundfile.write(path, np.zeros((0, 1)), RATE)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file; check the path"),
        ("folder", "is a folder; give an audio file"),
        pytest.param(
            "pipe",
            "is a pipe or a device; give a regular file",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX"),
        ),
        ("zero bytes", r"is empty \(0 bytes\)"),
        ("text", r"cannot be decoded \(soundfile: .+; PyAV: .+\); is it audio"),
        ("playlist", r"cannot be decoded \(soundfile: .+; PyAV: .+\); is it audio"),
        ("zeros", r"cannot be decoded \(soundfile: .+; PyAV: .+\); is it audio"),
        ("no samples", "has no audio samples"),
    ],
)
def test_bad_files(
    tmp_path: Path, kind: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(AudioError, match=message) as caught:
        audio.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@needs_ffmpeg
def test_a_protected_file(convert: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "bought.m4p"
    path.write_bytes(convert("a.m4a", "-c:a", "aac").read_bytes().replace(b"mp4a", b"drms"))
    with pytest.raises(AudioError, match=r"protected \(DRM\).*get an unprotected copy"):
        audio.probe(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    waveform = music(2)
    waveform[300_000, 1] = value
    path = tmp_path / "a.wav"
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    for refused in (
        lambda: audio.load(path),
        lambda: list(audio.blocks(path)),
        lambda: audio.read_segments(path, 16000, [6.5], 1.0),
    ):
        with pytest.raises(AudioError, match="not finite"):
            refused()


def test_absurd_but_finite_values_are_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(9, 1e30), RATE, subtype="FLOAT")
    assert audio.load(tmp_path / "a.wav").shape == (1, 9)


def test_ten_milliseconds_and_one_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2)[:441], RATE)
    assert audio.load(path, 16000).shape == (1, 160)
    assert audio.read_segments(path, 16000, [0.0], 3.0).shape == (1, 48000)
    soundfile.write(path, music(1)[:1], RATE)
    assert audio.load(path).shape == (1, 1)


@pytest.mark.skipif(os.name == "nt", reason="names as on POSIX")
@pytest.mark.parametrize("decoder", ["soundfile", "pyav"])
@pytest.mark.parametrize("name", [b"http:x?a%d.", b"caf\xe9 \xff.", b"-i 'a\nb'."])
def test_odd_names(folder: Path, tmp_path: Path, decoder: str, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name + (b"wav" if decoder == "soundfile" else b"mp3"))
    shutil.copy(folder / "a.wav", path)  # what calls itself MP3 and is not goes to PyAV
    info = audio.probe(path)
    assert (info.decoder, info.n_samples) == (decoder, SECONDS * RATE)
    assert audio.load(info, 8000).shape == (1, SECONDS * 8000)


# Costs


def run_python(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_the_track(tmp_path: Path) -> None:
    """Twenty minutes at 44.1 kHz in stereo would be 420 MB; docs/audio.md has ten hours."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", RATE, 2, compression_level=0.0) as file:
        for _ in range(20):
            file.write(np.zeros((60 * RATE, 2), np.int16))
    # VmHWM, because ru_maxrss would begin with what this process holds.
    code = f"""
from genrekit import audio
n = sum(block.shape[1] for block in audio.blocks({str(path)!r}, 16000))
rows = audio.read_segments({str(path)!r}, 16000, list(range(0, 1200, 100)), 3.0)
(peak,) = [line.split()[1] for line in open("/proc/self/status") if "VmHWM" in line]
print(n, len(rows), int(peak) // 1024)
"""
    n_samples, n_rows, peak_mb = map(int, run_python(code))
    assert (n_samples, n_rows) == (1200 * 16000, 12)
    assert peak_mb < 90


def test_import_is_light() -> None:
    code = "import sys, genrekit.audio; print('av' in sys.modules, 'torch' in sys.modules)"
    assert run_python(code) == ["False", "False"]


def test_silenced_decoders_leave_python_its_voice() -> None:
    code = """
import os, sys
from genrekit import audio
audio.silence_decoders()
os.write(2, b"a C library's note")
print("Python's", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == "Python's\n"


@pytest.mark.shared
def test_real_files(shared_data: Path) -> None:
    files = sorted(shared_data.glob("fma/audio/*/*.mp3"))[:3]
    files += sorted(shared_data.glob("gtzan/audio/*/*.ogg"))[::300]
    for path in files:
        info = audio.probe(path)
        assert info.decoder == "soundfile"
        assert info.warnings == ()
        assert info.duration_seconds == pytest.approx(30, abs=1)
        whole = audio.load(info, 16000)
        segments = audio.read_segments(info, 16000, [25.0, 3.0, 11.0], 3.0)
        np.testing.assert_allclose(segments, cut(whole, 16000, [25.0, 3.0, 11.0], 3.0), atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000])
def test_opus_that_names_another_rate_is_decoded_at_the_rate_of_the_codec(
    tmp_path: Path, rate: int
) -> None:
    """FFmpeg decodes at 48 kHz, so it could not go on where libsndfile, at another rate, stops."""
    path = tmp_path / "song.opus"
    soundfile.write(path, music(1, rate), rate, format="OGG", subtype="OPUS")
    info = audio.probe(path)
    n_samples = round(SECONDS * 48_000)
    assert (info.decoder, info.sample_rate, info.n_samples) == ("pyav", 48_000, n_samples)
    assert audio.load(path).shape == (1, n_samples)
