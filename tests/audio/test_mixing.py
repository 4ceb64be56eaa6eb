"""The mono mix: what each channel weighs, and that music is not lost where channels oppose."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import audio
from genrekit.audio import mixing

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
RATE = 48000
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")
# Lossless or nearly so, and able to hold this many channels.
CODECS = {
    "pcm_s16le.wav": 16,
    "pcm_s16be.aiff": 16,
    "pcm_s16be.caf": 16,
    "flac.flac": 8,
    "alac.m4a": 6,
    "wavpack.wv": 8,
    "tta.tta": 16,
    "pcm_s24le.mka": 16,
    "libvorbis.ogg": 16,
    "aac.aac": 16,
    "aac.m4a": 16,
    "ac3.ac3": 6,
}


def noise(n_channels: int, seconds: float = 1.0) -> np.ndarray:
    """Band-limited noise, other in each channel. Shape (samples, channels)."""
    rng = np.random.default_rng(n_channels)
    white = rng.standard_normal((round(seconds * RATE) + 20, n_channels))
    smooth = np.apply_along_axis(np.convolve, 0, white, np.hanning(21) / 10.5, "valid")
    return np.ascontiguousarray(0.05 * smooth, "<f4")


def test_weights_follow_the_places() -> None:
    found = mixing.weights(6, SURROUND)
    np.testing.assert_allclose(np.array(found) / found[2], [0.7071, 0.7071, 1, 0, 0.5, 0.5], 1e-4)
    assert sum(found) == pytest.approx(1)
    assert mixing.weights(6) == found
    assert mixing.weights(2, ("FC", "LFE")) == (0.5, 0.5)
    assert mixing.weights(1, ("LFE",)) == (1.0,)
    assert mixing.weights(3) == pytest.approx((1 / 3,) * 3)
    assert mixing.weights(5, ("FL", "FR")) == pytest.approx((0.2,) * 5)


@pytest.mark.parametrize(
    "n_channels",
    [
        3,
        *(pytest.param(n, marks=pytest.mark.slow) for n in (8, 16)),
        *(pytest.param(n, marks=pytest.mark.full) for n in range(1, 17) if n not in (3, 8, 16)),
    ],
)
@needs_ffmpeg
def test_every_codec_and_number_of_channels_against_ffmpeg(tmp_path: Path, n_channels: int) -> None:
    """Vorbis, AAC and WavPack of eight channels and more failed; AIFF and CAF crashed."""
    (tmp_path / "raw").write_bytes(noise(n_channels).tobytes())
    command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(RATE), "-ac", str(n_channels)]
    names = [name for name, most in CODECS.items() if n_channels <= most]
    outputs = [("-c:a", name.split(".")[0], "-strict", "-2", tmp_path / name) for name in names]
    # FFmpeg 5 encodes no AAC of 9 to 15 channels and does not read its own TTA of five.
    odd = (
        {"aac.aac", "aac.m4a"}
        if 9 <= n_channels <= 15
        else {"tta.tta"}
        if n_channels == 5
        else set()
    )
    kept = [part for output in outputs if output[-1].name not in odd for part in output]
    subprocess.run([*command, "-i", tmp_path / "raw", *kept], check=True)
    for name in set(names) - odd:
        raw = ["ffmpeg", "-v", "error", "-i", tmp_path / name, "-f", "f32le", "-"]
        decoded = subprocess.run(raw, check=True, capture_output=True).stdout
        info = audio.probe(tmp_path / name)
        channels = np.frombuffer(decoded, "<f4").reshape(-1, info.n_channels).T
        wanted = np.array(mixing.weights(info.n_channels, info.channel_names)) @ channels
        found = audio.load(info)[0]
        assert abs(len(found) - len(wanted)) <= 1152, name  # padding that an edit list cuts off
        size = min(len(found), len(wanted))
        np.testing.assert_allclose(found[:size], wanted[:size], atol=2e-4, err_msg=name)


@needs_ffmpeg
def test_a_stream_that_becomes_eight_channels_on_the_way(tmp_path: Path) -> None:
    """PyAV's ninth plane lies nowhere: reading it ended the process."""
    for n_channels in (2, 8):
        (tmp_path / "raw").write_bytes(noise(n_channels).tobytes())
        command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(RATE), "-ac"]
        output = [str(n_channels), "-i", tmp_path / "raw", tmp_path / f"{n_channels}.aac"]
        subprocess.run([*command, *output], check=True)
    parts = [(tmp_path / f"{n}.aac").read_bytes() for n in (2, 8, 2)]
    (tmp_path / "a.aac").write_bytes(b"".join(parts))
    assert audio.load(tmp_path / "a.aac").shape == (
        1,
        sum(_adts_frames(part) for part in parts) * 1024,
    )
    assert audio.load(tmp_path / "a.aac", mono=False).shape[0] == 2


def _adts_frames(data: bytes) -> int:
    position, n_frames = 0, 0
    while position < len(data):
        position += (
            (data[position + 3] & 3) << 11 | data[position + 4] << 3 | data[position + 5] >> 5
        )
        n_frames += 1
    return n_frames


@pytest.mark.parametrize(
    "gains", [(1, -1), (1, -0.97), (1, -0.3), (1, -1, 1, -1), (0, 1, -1, 0), (-0.9, 1)]
)
def test_opposite_polarity_does_not_cancel(tmp_path: Path, gains: tuple[float, ...]) -> None:
    music = noise(1, 5.0)
    soundfile.write(tmp_path / "a.wav", music * np.array(gains), RATE, subtype="FLOAT")
    said: list[str] = []
    mixed = audio.load(tmp_path / "a.wav", on_warning=said.append)[0]
    assert said == [mixing.CANCELLED]
    polarity = np.sign(mixed @ music[:, 0])
    loud = np.abs(gains).sum() / len(gains)
    np.testing.assert_allclose(mixed, polarity * loud * music[:, 0], atol=1e-5)
    parts = audio.read_segments(tmp_path / "a.wav", RATE, [1.3, 3.1], 1.0)
    np.testing.assert_array_equal(parts[0], mixed[round(1.3 * RATE) :][:RATE])
    blocks = np.concatenate(list(audio.blocks(tmp_path / "a.wav", block_seconds=0.7)), axis=1)
    np.testing.assert_array_equal(blocks[0], mixed)


def test_music_that_turns_over_on_the_way_is_kept(tmp_path: Path) -> None:
    music = noise(1, 6.0)
    stereo = np.repeat(music, 2, axis=1)
    stereo[3 * RATE :, 1] *= -1
    soundfile.write(tmp_path / "a.flac", stereo, RATE)
    mixed = audio.load(tmp_path / "a.flac")[0]
    turning = 3 * RATE // mixing.WINDOW_SAMPLES * mixing.WINDOW_SAMPLES
    after = turning + mixing.WINDOW_SAMPLES
    for part in (slice(turning), slice(after, None)):
        np.testing.assert_allclose(np.abs(mixed[part]), np.abs(music[part, 0]), atol=1e-4)
    part = slice(turning, after)  # the window in which it turns keeps the louder half
    assert np.std(mixed[part]) > 0.7 * np.std(music[part])


@pytest.mark.parametrize("gains", [(1, 1), (1, 0), (1, 0.5), (1, -0.1), (0, 0)])
def test_ordinary_stereo_is_the_plain_mean_to_the_bit(gains: tuple[float, float]) -> None:
    stereo = (noise(1) * np.array(gains) + 0.3 * noise(2)).astype(np.float32).T
    wanted = np.add(stereo[:1], stereo[1:]) * np.float32(0.5)
    np.testing.assert_array_equal(audio.downmix(stereo), wanted)
    np.testing.assert_array_equal(audio.downmix(np.asfortranarray(stereo)), wanted)


def test_music_in_the_low_frequency_channel_alone_is_kept() -> None:
    channels = np.zeros((6, RATE), np.float32)
    channels[3] = noise(1)[:, 0]
    np.testing.assert_allclose(audio.downmix(channels, SURROUND)[0], channels[3] / 6, rtol=1e-6)
