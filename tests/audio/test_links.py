"""Files of several streams: chained Ogg, joined MP3, AAC, FLAC and WAV, and damaged beginnings."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import audio
from genrekit.audio import frame_headers, links
from genrekit.audio.byte_range import AudioBytes
from genrekit.errors import AudioError

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
SECONDS = 2.0
CODECS = {
    "ogg": "libvorbis",
    "opus": "libopus",
    "oga": "flac",
    "mp3": "libmp3lame",
    "aac": "aac",
    "flac": "flac",
    "wav": "pcm_s16le",
    "aiff": "pcm_s16be",
}
OPUS_RATES = {44100: 48000, 48000: 24000, 22050: 16000}
PARTS = {"a": (44100, 2), "b": (44100, 2), "c": (48000, 2), "d": (22050, 1)}


def music(part: str) -> np.ndarray:
    """A chirp of its own range, shape (samples, 2) at 44.1 kHz."""
    time = np.arange(round(SECONDS * 44100)) / 44100
    low = 300 + 900 * list(PARTS).index(part)
    chirp = 0.4 * np.sin(2 * np.pi * (low * time + 200 * time**2))
    return np.stack([chirp, 0.8 * chirp], axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links")
    for part, (rate, n_channels) in PARTS.items():
        (folder / "raw").write_bytes(music(part).astype("<f4").tobytes())
        source = ["-f", "f32le", "-ar", "44100", "-ac", "2", "-i", folder / "raw"]
        outputs: list[str | Path] = []
        for suffix, codec in CODECS.items():
            hz = OPUS_RATES[rate] if suffix == "opus" else rate
            outputs += ["-c:a", codec, "-ac", str(n_channels), "-ar", str(hz)]
            outputs.append(folder / f"{part}.{suffix}")
        subprocess.run(["ffmpeg", "-v", "error", *source, *outputs], check=True)
    return folder


def join(folder: Path, target: Path, parts: str, suffix: str) -> Path:
    path = target / f"{parts}.{suffix}"
    path.write_bytes(b"".join((folder / f"{part}.{suffix}").read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("parts", ["ab", "aa", "ac", "dac"])
@pytest.mark.parametrize("suffix", CODECS)
def test_every_link_is_decoded(folder: Path, tmp_path: Path, suffix: str, parts: str) -> None:
    path = join(folder, tmp_path, parts, suffix)
    lengths = [audio.probe(folder / f"{part}.{suffix}").duration_seconds for part in parts]
    info = audio.probe(path)
    assert info.warnings == ()
    assert info.duration_seconds == pytest.approx(sum(lengths), abs=1e-3)
    said: list[str] = []
    whole = audio.load(info, 16000, on_warning=said.append)[0]
    assert said == []
    assert len(whole) == pytest.approx(16000 * sum(lengths), abs=20)
    first = 0
    for part, length in zip(parts, lengths, strict=True):
        alone = audio.load(folder / f"{part}.{suffix}", 16000)[0]
        inside = slice(1600, len(alone) - 1600)
        at = round(first * 16000)
        assert (
            np.corrcoef(whole[at:][: len(alone)][inside], alone[inside])[0, 1] > 0.9
        )  # rounded to a sample
        first += length
    starts = [2.7, 0.4, 1.6]  # the last one crosses the border
    segments = audio.read_segments(info, 16000, starts, 0.9)
    for row, start in zip(segments, starts, strict=True):
        np.testing.assert_allclose(row, whole[round(16000 * start) :][:14400], atol=1e-4)
    blocks = np.concatenate(list(audio.blocks(info, 16000, block_seconds=0.7)), axis=1)
    np.testing.assert_allclose(blocks[0], whole, atol=1e-5)


def test_a_link_that_cannot_be_decoded_is_named_with_its_length(
    folder: Path, tmp_path: Path
) -> None:
    bad = bytearray((folder / "b.ogg").read_bytes())
    second_page = bad.index(b"OggS", 4)
    bad[second_page:] = os.urandom(len(bad) - second_page)
    good = (folder / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(good + bad + good)
    info = audio.probe(tmp_path / "a.ogg")
    assert info.duration_seconds == pytest.approx(2 * SECONDS, abs=0.01)
    assert len(info.warnings) == 1
    assert f"1 of the 3 streams in it ({len(bad)} bytes) cannot be decoded" in info.warnings[0]


def test_links_of_which_none_can_be_decoded_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    """Found by make fuzz: cases 579 and 4995 of audio."""
    head = (folder / "a.flac").read_bytes()[:60]
    (tmp_path / "a.flac").write_bytes(head * 3)
    with pytest.raises(AudioError, match=r"cannot be decoded \(soundfile: .*; PyAV: .*\)"):
        audio.probe(tmp_path / "a.flac")


def test_streams_side_by_side_are_one_link(tmp_path: Path) -> None:
    made = ["-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=300:d=1"]
    command = ["ffmpeg", "-v", "error", *made, "-map", "0", "-map", "1", tmp_path / "a.ogg"]
    subprocess.run(command, check=True)
    assert len(links.find(tmp_path / "a.ogg")) == 1


def test_damage_in_an_mp3_does_not_split_it(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "a.mp3").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 700] = bytes(700)
    (tmp_path / "a.mp3").write_bytes(data)
    assert len(links.find_frames(tmp_path / "a.mp3", 0)) == 1


def id3_past_the_end(data: bytes) -> bytes:
    return b"ID3\4\0\0" + bytes([0x7F] * 4) + bytes(3000) + data


def junk(data: bytes) -> bytes:
    return np.random.default_rng(3).bytes(90_000).replace(b"\xff", b"\0") + data


def without_magic(data: bytes) -> bytes:
    return bytes(42) + data[42:]


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("mp3", id3_past_the_end),
        ("aac", id3_past_the_end),
        ("mp3", junk),
        ("aac", junk),
        ("flac", junk),
        ("ogg", junk),
        ("opus", junk),
        ("flac", without_magic),
    ],
)
def test_a_damaged_beginning_is_not_the_end(
    folder: Path, tmp_path: Path, suffix: str, damage: object
) -> None:
    assert callable(damage)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(damage((folder / f"a.{suffix}").read_bytes()))
    info = audio.probe(path)
    wanted = audio.load(folder / f"a.{suffix}", 16000)
    assert info.duration_seconds == pytest.approx(wanted.shape[1] / 16000, abs=0.5)
    assert audio.load(info, 16000).std() == pytest.approx(wanted.std(), rel=0.1)
    assert len(info.warnings) == 1
    assert "are not audio" in info.warnings[0]


@pytest.mark.untraced
def test_what_only_looks_like_frames_is_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    header = struct.pack(">I", 0xFFFB9064)
    for content in (b"\xff" * 300_000, (header + bytes(50)) * 3, header * 2):
        path.write_bytes(content)
        with pytest.raises(AudioError, match="cannot be decoded"):
            audio.probe(path)


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\xff\xfb\xf0", b"\xff\xf8"])
def test_few_places_are_tried_where_none_can_be_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filling: bytes
) -> None:
    tried: list[int] = []
    parse = frame_headers.parse

    def counted(data: AudioBytes, at: int) -> frame_headers.FrameHeader | None:
        tried.append(at)
        return parse(data, at)

    monkeypatch.setattr(frame_headers, "parse", counted)
    (tmp_path / "a.mp3").write_bytes(filling * (300_000 // len(filling)))
    with (tmp_path / "a.mp3").open("rb") as stream:
        assert frame_headers.runs(AudioBytes(stream), 0, 1 << 20, 10) == []
    assert len(tried) < 10


def test_a_header_across_the_border_of_a_window_is_found(tmp_path: Path) -> None:
    frame = struct.pack(">I", 0xFFFB9064) + bytes(413)
    for n_before in range((1 << 20) - 4, (1 << 20) + 2):
        (tmp_path / "a.mp3").write_bytes(b"\xff" * n_before + frame * 5)
        with (tmp_path / "a.mp3").open("rb") as stream:
            runs = frame_headers.runs(AudioBytes(stream), 0, 1 << 22, 10)
        assert [(run.first_byte, run.n_frames) for run in runs] == [(n_before, 5)]


def test_a_file_in_which_streams_pile_up_is_bounded(tmp_path: Path) -> None:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    wav = b"RIFF" + struct.pack("<I", 38) + b"WAVEfmt " + form
    (tmp_path / "a.wav").write_bytes((wav + b"data" + struct.pack("<I", 2) + b"\1\0") * 5000)
    assert len(links.find(tmp_path / "a.wav")) == links.MAX_LINKS


@pytest.mark.parametrize("n_seconds", [12, 40])
def test_a_long_flac_is_known_for_one_without_searching_it(tmp_path: Path, n_seconds: int) -> None:
    """Frames counted at a few places; two in one file, of one length too, are still found."""
    rng = np.random.default_rng(0)
    path = tmp_path / "one.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, (n_seconds * 44100, 2)), 44100)
    assert path.stat().st_size > 1 << 20
    with path.open("rb") as stream:
        data = AudioBytes(stream)
        data.find = None  # type: ignore[method-assign,assignment] # a search would fail
        assert list(links.flac_starts(data)) == [0]
    block = bytearray(path.read_bytes())
    at = len(block) // 16 + 1000  # what looks like a frame of another block size is none
    block[at : at + 8] = bytes.fromhex("fff8e96c7329acb5")
    (tmp_path / "chance.flac").write_bytes(block)
    with (tmp_path / "chance.flac").open("rb") as stream:
        data = AudioBytes(stream)
        data.find = None  # type: ignore[method-assign,assignment]
        assert list(links.flac_starts(data)) == [0]
    other = tmp_path / "other.flac"
    soundfile.write(other, rng.uniform(-0.4, 0.4, (n_seconds * 44100, 2)), 44100)
    joined = tmp_path / "joined.flac"
    joined.write_bytes(path.read_bytes() + other.read_bytes())
    assert [span.first_byte for span in links.find(joined)] == [0, path.stat().st_size]
