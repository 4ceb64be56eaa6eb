"""Ogg files whose pages count wrongly while their packets are whole: all of them is decoded."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from genrekit import audio
from genrekit.audio import ogg_pages, ogg_timeline

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
SECONDS = 2
N_SAMPLES = 48000 * SECONDS
FILES = {
    "a.opus": ["-c:a", "libopus", "-page_duration", "150000"],
    "long.opus": ["-c:a", "libopus", "-frame_duration", "60", "-page_duration", "180000"],
    "a.ogg": ["-c:a", "libvorbis", "-page_duration", "150000"],
    "a.oga": ["-c:a", "flac", "-page_duration", "150000"],
}


@dataclass(frozen=True)
class OggPage:
    """What a test changes of a page."""

    flags: int
    granule: int
    sequence: int
    lacing: bytes
    body: bytes

    def packed(self) -> bytes:
        head = b"OggS\0" + bytes([self.flags]) + self.granule.to_bytes(8, "little", signed=True)
        head += (7).to_bytes(4, "little") + self.sequence.to_bytes(4, "little")
        rest = bytes([len(self.lacing)]) + self.lacing + self.body
        return head + ogg_pages.checksum(head + bytes(4) + rest) + rest


def read_pages(data: bytes) -> list[OggPage]:
    pages, at = [], 0
    while at < len(data):
        body = at + 27 + data[at + 26]
        lacing = data[at + 27 : body]
        granule = int.from_bytes(data[at + 6 : at + 14], "little")
        sequence = int.from_bytes(data[at + 18 : at + 22], "little")
        at, flags = body + sum(lacing), data[at + 5]
        pages.append(OggPage(flags, granule, sequence, lacing, data[body:at]))
    return pages


Pages = list[OggPage]
HEADERS = 2  # pages that ffmpeg writes before the audio, or whose granule positions are 0


def moved(pages: Pages, first: int, stop: int | None, n_samples: int) -> Pages:
    """Pages [first, stop) of the audio with other granule positions, none of them negative."""
    audio_pages = range(len(pages))[HEADERS:][first:stop]
    return [
        replace(page, granule=max(0, page.granule + n_samples)) if index in audio_pages else page
        for index, page in enumerate(pages)
    ]


def swapped(pages: Pages) -> Pages:
    """Several in a row go back."""
    granules = [page.granule for page in pages[3:-1]][::-1]
    middle = zip(pages[3:-1], granules, strict=True)
    return [*pages[:3], *(replace(page, granule=granule) for page, granule in middle), pages[-1]]


def spliced(pages: Pages) -> Pages:
    """The audio twice, as one stream, as a tool joins that knows nothing of granule positions."""
    once = [replace(page, flags=page.flags & ~ogg_pages.LAST) for page in pages]
    both = [*once, *pages[HEADERS:]]
    return [replace(page, sequence=sequence) for sequence, page in enumerate(both)]


def without_middle(pages: Pages) -> Pages:
    rest = [*pages[: len(pages) // 2], *pages[len(pages) // 2 + 1 :]]
    return [replace(page, sequence=sequence) for sequence, page in enumerate(rest)]


CHANGES: dict[str, Callable[[Pages], Pages]] = {
    "one lower": lambda pages: moved(pages, 2, 3, -5000),
    "one zero": lambda pages: moved(pages, 2, 3, -(1 << 40)),
    "one ahead": lambda pages: moved(pages, 2, 3, 1 << 33),
    "swapped": swapped,
    "tail back": lambda pages: moved(pages, 3, None, -40_000),
    "tail ahead": lambda pages: moved(pages, 3, None, 40_000),
    "first too low": lambda pages: moved(pages, 0, 1, -3000),
    "first zero": lambda pages: moved(pages, 0, 1, -(1 << 40)),
    "all lower": lambda pages: moved(pages, 0, None, -3000),
    "all ahead": lambda pages: moved(pages, 0, None, 96_000),
    "all zero": lambda pages: moved(pages, 0, None, -(1 << 40)),
    "last back": lambda pages: moved(pages, -1, None, -50_000),
    "last ahead": lambda pages: moved(pages, -1, None, 30_000),
    "spliced": spliced,
    "without middle": without_middle,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    chirp = f"aevalsrc=0.4*sin(2*PI*(300*t+100*t*t))|0.3*sin(2000*t):s=48000:d={SECONDS}"
    outputs: list[str | Path] = []
    for name, codec in FILES.items():
        outputs += [*codec, folder / name]
    command: list[str | Path] = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", chirp, *outputs]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def changed(folder: Path) -> Path:
    """Every file with every change, and what the ffmpeg program makes of them."""
    inputs: list[str | Path] = []
    outputs: list[str | Path] = []
    for name in FILES:
        for change, function in CHANGES.items():
            path = folder / f"{change} {name}"
            write(path, function(read_pages((folder / name).read_bytes())))
            outputs += ["-map", str(len(inputs) // 2), "-f", "f32le", f"{path}.raw"]
            inputs += ["-i", path]
    command: list[str | Path] = ["ffmpeg", "-v", "quiet", *inputs, *outputs]
    subprocess.run(command, check=True)
    return folder


def write(path: Path, pages: Pages) -> None:
    path.write_bytes(b"".join(page.packed() for page in pages))


def decoded(path: Path) -> tuple[audio.AudioInfo, np.ndarray, list[str]]:
    """What is known of a file, its waveform, and what was said while it was decoded."""
    said: list[str] = []
    info = audio.probe(path)
    return info, audio.load(info, mono=False, on_warning=said.append), said


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_whole_packets_are_decoded_without_a_word(changed: Path, name: str, change: str) -> None:
    path = changed / f"{change} {name}"
    info, waveform, said = decoded(path)
    assert (info.warnings, said) == ((), [])
    assert waveform.shape == (2, info.n_samples)
    wanted = np.fromfile(f"{path}.raw", "<f4").reshape(-1, 2).T
    assert wanted.shape == waveform.shape
    if info.decoder == "pyav":  # of a stream that was joined late libsndfile keeps the pre-skip
        assert np.abs(waveform - wanted).max() < 1e-3  # another release of FFmpeg


@pytest.mark.parametrize("name", FILES)
def test_an_ordinary_file_is_counted(folder: Path, name: str) -> None:
    timeline = ogg_timeline.read(folder / name)
    assert timeline is not None
    assert (timeline.n_samples, timeline.is_counted, timeline.is_whole) == (N_SAMPLES, True, True)
    assert audio.probe(folder / name).n_samples == N_SAMPLES


@pytest.mark.parametrize("name", ["a.opus", "a.ogg"])
def test_the_last_page_may_trim_the_end(folder: Path, tmp_path: Path, name: str) -> None:
    """RFC 7845, section 4.4; Vorbis I specification, section A.2."""
    path = tmp_path / name
    pages = moved(read_pages((folder / name).read_bytes()), -1, None, -100)
    write(path, pages)
    info, waveform, said = decoded(path)
    assert (info.n_samples, waveform.shape[1], said) == (N_SAMPLES - 100, N_SAMPLES - 100, [])


@pytest.mark.parametrize("change", ["one lower", "tail back", "first too low"])
def test_segments_are_where_they_are_in_the_whole(changed: Path, change: str) -> None:
    path = changed / f"{change} a.opus"
    whole = audio.load(path, 16000)[0]
    starts = [1.5, 0.1, 0.9]
    segments = audio.read_segments(path, 16000, starts, 0.4)
    for row, start in zip(segments, starts, strict=True):
        np.testing.assert_allclose(row, whole[round(16000 * start) :][:6400], atol=1e-5)


@pytest.mark.parametrize("change", ["tail back", "one lower"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_page_is_warned_of(folder: Path, tmp_path: Path, name: str, change: str) -> None:
    """With a byte of it wrong, or without it, whatever the granule positions say."""
    path = tmp_path / name
    pages = CHANGES[change](read_pages((folder / name).read_bytes()))
    parts = [page.packed() for page in pages]
    bad = bytearray(parts[4])
    bad[-40] ^= 1
    for damaged in (bytes(bad), b""):
        path.write_bytes(b"".join([*parts[:4], damaged, *parts[5:]]))
        info, waveform, _ = decoded(path)
        assert len(info.warnings) == 1
        assert info.warnings[0].startswith("damaged: it lacks 1 of its")
        assert 0 < N_SAMPLES - info.n_samples <= 48000  # no page holds more than a second
        assert waveform.shape[1] == info.n_samples


@pytest.mark.parametrize("name", FILES)
def test_a_missing_end_is_warned_of(folder: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = (folder / name).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    info, waveform, said = decoded(path)
    assert info.warnings == ("its end mark is missing; it may be cut short",)
    assert (waveform.shape[1], said) == (info.n_samples, [])


def test_every_link_counts_by_its_packets(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.opus").read_bytes()
    path = tmp_path / "a.opus"
    write(path, CHANGES["tail back"](read_pages(data)))
    path.write_bytes(path.read_bytes() + data)
    info, waveform, said = decoded(path)
    assert [link.n_samples for link in info.links] == [N_SAMPLES, N_SAMPLES]
    assert (info.warnings, said, waveform.shape[1]) == ((), [], 2 * N_SAMPLES)
