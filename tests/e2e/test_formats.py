"""One song, many formats: the default model gives copies of a file the file's own prediction."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genrekit import Classifier, Prediction

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program"),
]

LOSSLESS = {
    "flac.flac": "-c:a flac",
    "wav16.wav": "-c:a pcm_s16le",
    "wav24.wav": "-c:a pcm_s24le",
    "aiff.aiff": "-c:a pcm_s16be",
    "au.au": "-c:a pcm_s16be",
}
LOSSY = {
    "aac128.m4a": "-c:a aac -b:a 128k",
    "opus96.opus": "-c:a libopus -b:a 96k",
    "vorbis.ogg": "-c:a libvorbis -q:a 4",
    "wav8.wav": "-c:a pcm_u8",
    "rate16.wav": "-ar 16000 -c:a pcm_s16le",
    "rate48.wav": "-ar 48000 -c:a pcm_s16le",
}
Predictions = dict[str, list[Prediction]]


@pytest.fixture(scope="module", params=[2, pytest.param(17, marks=pytest.mark.full)])
def predictions(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Predictions]:
    """The predictions of the originals and of each format's copies, in the originals' order."""
    n_songs: int = request.param
    originals = sorted((shared_data / "fma" / "audio" / "000").glob("*.mp3"))[:n_songs]
    assert len(originals) == n_songs
    folder = tmp_path_factory.mktemp("copies")
    formats = {**LOSSLESS, **LOSSY}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda original: copy(original, folder, formats), originals))
    paths = originals + [folder / f"{path.stem}-{name}" for name in formats for path in originals]
    found = list(Classifier().predict_files(paths))
    assert all(isinstance(its, Prediction) for its in found)
    rows = [found[first : first + n_songs] for first in range(0, len(found), n_songs)]
    yield dict(zip(["original", *formats], rows, strict=True))
    shutil.rmtree(folder)  # 0.5 GB


def copy(original: Path, folder: Path, formats: dict[str, str]) -> None:
    """Decode an MP3 once and write it in every format."""
    outputs: list[str] = []
    for name, options in formats.items():
        outputs += ["-map", "0:a", *options.split(), str(folder / f"{original.stem}-{name}")]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", original, *outputs], check=True)


def n_same(predictions: Predictions, name: str) -> int:
    pairs = zip(predictions["original"], predictions[name], strict=True)
    return sum(copied.label == original.label for original, copied in pairs)


def n_copies(predictions: Predictions) -> int:
    return len(predictions["original"])


def test_lossless_copies_have_the_same_genre(predictions: Predictions) -> None:
    same = {name: n_same(predictions, name) for name in LOSSLESS}
    assert sum(same.values()) >= 0.95 * n_copies(predictions) * len(LOSSLESS), same


def test_lossy_copies_have_the_same_genre(predictions: Predictions) -> None:
    same = {name: n_same(predictions, name) for name in LOSSY}
    assert sum(same.values()) >= 0.90 * n_copies(predictions) * len(LOSSY), same


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_copies_have_nearly_the_same_probabilities(
    predictions: Predictions, name: str
) -> None:
    for original, copied in zip(predictions["original"], predictions[name], strict=True):
        for label, probability in original.probabilities.items():
            assert copied.probabilities[label] == pytest.approx(probability, abs=0.05), label
