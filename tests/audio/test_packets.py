"""The packet digest: tags, pictures and names do not change it, one byte of audio does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import apev2, id3

import tag_files
from genrekit import audio
from genrekit.audio import packets
from genrekit.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
RATE = 22050
# soundfile writes these; ffmpeg the rest.
WRITTEN = ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.opus", "a.mp3"]
CONVERTED = {
    "a.m4a": ["-c:a", "aac"],
    "alac.m4a": ["-c:a", "alac"],
    "a.wma": ["-c:a", "wmav2"],
    "a.wv": ["-c:a", "wavpack"],
    "a.tta": ["-c:a", "tta"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packets")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * RATE, 2))
    for name in WRITTEN:
        rate = 48000 if name.endswith("opus") else RATE
        form = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
        soundfile.write(folder / name, noise, rate, **form)
    if shutil.which("ffmpeg"):
        outputs = [part for name, codec in CONVERTED.items() for part in (*codec, folder / name)]
        subprocess.run(["ffmpeg", "-v", "error", "-i", folder / "a.wav", *outputs], check=True)
    shutil.copy(tag_files.APE, folder / "a.ape")
    return folder


def retag(path: Path, title: str, picture: bytes) -> None:
    """Write a title and, where the format has such, a picture, by the format's own tags."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, id3.ID3):
        file.tags.add(id3.TIT2(encoding=3, text=[title]))
        file.tags.add(id3.APIC(encoding=3, mime="image/png", type=3, data=picture))
    elif path.suffix == ".m4a":
        file["\xa9nam"], file["covr"] = [title], [picture]
    else:
        file["Title"] = [title]
    file.save()


ALL = [*WRITTEN, "a.ape", *(pytest.param(name, marks=needs_ffmpeg) for name in CONVERTED)]


@pytest.mark.parametrize("name", ALL)
def test_tags_pictures_and_names_do_not_change_it(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / os.fsdecode(b"caf\xe9 \n:" + name.encode())
    shutil.copy(folder / name, copy)
    before = packets.digest(folder / name)
    assert len(before) == 64
    assert packets.digest(copy) == before
    for title, size in (("long " * 9000, 70_000), ("short", 10)):
        retag(copy, title, b"\x89PNG" + bytes(size))
        assert copy.read_bytes() != (folder / name).read_bytes()
        assert packets.digest(copy) == before


@pytest.mark.parametrize("name", ALL)
def test_one_byte_of_audio_changes_it(folder: Path, tmp_path: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    assert packets.digest(tmp_path / name) != packets.digest(folder / name)


def test_tags_behind_the_audio_do_not_change_it(folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(folder / "a.mp3", tmp_path))
    before = packets.digest(path)
    ape = apev2.APEv2()
    ape["Genre"] = "Rock"
    ape.save(path)
    assert packets.digest(path) == before
    tags = id3.ID3()
    tags.add(id3.TCON(encoding=3, text=["Rock"]))
    tags.save(path, v1=2)
    assert path.read_bytes()[-128:-125] == b"TAG"
    assert packets.digest(path) == before


@pytest.mark.parametrize("n_bytes", range(125, 138))
def test_an_apev2_tag_that_ends_like_id3v1_is_none(
    folder: Path, tmp_path: Path, n_bytes: int
) -> None:
    """Of one of 131 bytes, APETAGEX begins three bytes before the place of ID3v1's TAG."""
    path = Path(shutil.copy(folder / "a.mp3", tmp_path))
    ape = apev2.APEv2()
    ape["Title"] = "x" * (n_bytes - 78)
    ape.save(path)
    assert path.stat().st_size == (folder / "a.mp3").stat().st_size + n_bytes
    assert packets.digest(path) == packets.digest(folder / "a.mp3")


def test_the_same_samples_at_another_rate_are_other_audio(folder: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(folder / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "b.wav", samples, 2 * RATE)
    assert packets.digest(tmp_path / "b.wav") != packets.digest(folder / "a.wav")


def test_of_a_truncated_file_what_is_left_counts(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    assert packets.digest(tmp_path / "cut.flac") != packets.digest(folder / "a.flac")


def test_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no music here\n" * 100)
    with pytest.raises(AudioError, match="no audio can be found in it"):
        packets.digest(text)
    with pytest.raises(AudioError, match="no such file"):
        packets.digest(tmp_path / "absent.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    with pytest.raises(AudioError, match="is a pipe or a device"):
        packets.digest(tmp_path / "pipe.mp3")


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.mka"])
def test_the_stream_marked_default_is_the_music(tmp_path: Path, name: str) -> None:
    """Its samples and its packets, wherever it lies in the file."""
    made = ["-f", "lavfi", "-i", "sine=300:d=1", "-f", "lavfi", "-i", "sine=2000:d=1"]
    codec = ["-c:a", "aac"]
    both = [
        "-map",
        "0",
        "-map",
        "1",
        *codec,
        "-disposition:a:0",
        "0",
        "-disposition:a:1",
        "default",
    ]
    alone = ["-map", "1", *codec, tmp_path / f"alone_{name}"]
    command = ["ffmpeg", "-v", "error", *made, *both, tmp_path / name, *alone]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(
        audio.load(tmp_path / name), audio.load(tmp_path / f"alone_{name}")
    )
    assert packets.digest(tmp_path / name) == packets.digest(tmp_path / f"alone_{name}")
