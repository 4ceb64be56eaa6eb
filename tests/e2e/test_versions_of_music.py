"""Real music in other forms keeps its genre: other channels, and several streams in one file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import Classifier
from genrekit.audio import mixing

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program"),
]
VERSIONS = {
    "right channel turned over": "pan=stereo|c0=c0|c1=-1*c1",
    "right channel nearly turned over": "pan=stereo|c0=c0|c1=-0.97*c1",
    "mono, one channel turned over": "pan=stereo|c0=c0+c1|c1=-1*c0-1*c1",
    "left channel alone": "pan=mono|c0=c0",
    "left of two, the other silent": "pan=stereo|c0=c0|c1=0*c1",
    "5.1, music in front": "pan=5.1|FL=c0|FR=c1|FC=0*c0|LFE=0*c0|BL=0*c0|BR=0*c0",
    "5.1, music everywhere": "pan=5.1|FL=c0|FR=c1|FC=0.5*c0+0.5*c1|LFE=0.3*c0|BL=0.7*c0|BR=0.7*c1",
}
JOINED = {
    "mp3": ["-c:a", "libmp3lame", "-b:a", "192k"],
    "aac": ["-c:a", "aac", "-b:a", "192k"],
    "ogg": ["-c:a", "libvorbis", "-q:a", "6"],
    "opus": ["-c:a", "libopus", "-b:a", "128k", "-ar", "48000"],
    "flac": ["-c:a", "flac"],
    "wav": ["-c:a", "pcm_s16le"],
}


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


@pytest.fixture(scope="module")
def songs(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "fma").rglob("*.mp3"))
    if len(found) < 2:
        pytest.skip("needs the FMA clips of ../shared/data")
    return found


def test_other_channels_keep_the_genre(songs: list[Path], tmp_path: Path) -> None:
    """In 95 % of the versions: a channel alone is another mix, which may lie across a border."""
    model = Classifier()
    kept: dict[str, list[bool]] = {name: [] for name in VERSIONS}
    for song in songs:
        ffmpeg("-i", song, "-ac", "2", tmp_path / "whole.wav")
        whole = model.predict_file(tmp_path / "whole.wav")
        assert mixing.CANCELLED not in whole.warnings  # it is mixed as ordinary stereo
        for name, mix in VERSIONS.items():
            ffmpeg("-i", tmp_path / "whole.wav", "-af", mix, tmp_path / "version.flac")
            kept[name].append(model.predict_file(tmp_path / "version.flac").label == whole.label)
    table = {name: f"{sum(each)} of {len(each)}" for name, each in kept.items()}
    assert np.mean([one for each in kept.values() for one in each]) >= 0.95, table


@pytest.mark.parametrize("suffix", JOINED)
def test_joined_files_have_the_genre_of_their_whole(
    songs: list[Path], tmp_path: Path, suffix: str
) -> None:
    model = Classifier()
    for first, second in zip(songs, [*songs[1:], songs[0]], strict=True):
        parts = []
        for index, (song, seconds) in enumerate([(first, "14"), (second, "9")]):
            parts.append(tmp_path / f"{index}.{suffix}")
            ffmpeg("-t", seconds, "-i", song, "-vn", *JOINED[suffix], parts[-1])
        joined = tmp_path / f"joined.{suffix}"
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        for index, part in enumerate(parts):
            ffmpeg("-i", part, "-ac", "1", "-ar", "44100", tmp_path / f"{index}.whole.wav")
        halves = [soundfile.read(tmp_path / f"{index}.whole.wav")[0] for index in range(2)]
        soundfile.write(tmp_path / "whole.wav", np.concatenate(halves), 44100)
        found, expected = (model.predict_file(path) for path in (joined, tmp_path / "whole.wav"))
        assert found.label == expected.label, first.name
        for name, probability in expected.probabilities.items():
            assert found.probabilities[name] == pytest.approx(probability, abs=0.1), first.name


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus", "m4a", "wv", "ac3"])
def test_surround_has_the_genre_of_its_mono_mix(
    songs: list[Path], tmp_path: Path, suffix: str
) -> None:
    model = Classifier()
    mix = VERSIONS["5.1, music everywhere"]
    for song in songs:
        surround = tmp_path / f"surround.{suffix}"
        rate = ["-ar", "48000"] if suffix in {"opus", "ac3"} else []
        ffmpeg("-i", song, "-vn", "-af", f"aformat=channel_layouts=stereo,{mix}", *rate, surround)
        ffmpeg("-i", surround, "-ac", "1", "-c:a", "pcm_f32le", tmp_path / "mono.wav")
        found, expected = (model.predict_file(path) for path in (surround, tmp_path / "mono.wav"))
        assert found.label == expected.label, song.name
