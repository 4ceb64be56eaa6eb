"""Does the genre survive a change of format? Copies made by ffmpeg, predicted beside the originals.

    python benchmarks/copies.py SONG... [--model accurate]

For each kind of copy: how many songs keep their most probable genre, and the largest change of any
genre's probability, the mean and the worst over the songs.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from genrekit import Classifier, Prediction

LOSSLESS = {
    "FLAC": ("flac", "-c:a flac"),
    "ALAC": ("m4a", "-c:a alac"),
    "WAV 32 bit": ("wav", "-c:a pcm_s32le"),
    "WAV 24 bit": ("wav", "-c:a pcm_s24le"),
    "WAV 16 bit": ("wav", "-c:a pcm_s16le"),
    "WAV float 32 bit": ("wav", "-c:a pcm_f32le"),
    "WAV float 64 bit": ("wav", "-c:a pcm_f64le"),
    "AIFF 16 bit": ("aiff", "-c:a pcm_s16be"),
    "AU 16 bit": ("au", "-c:a pcm_s16be"),
}
_FLOAT = "-c:a pcm_f32le"
CHANGED = {
    "12 dB quieter": ("wav", f"-af volume=-12dB {_FLOAT}"),
    "12 dB louder, not clipped": ("wav", f"-af aformat=flt,volume=12dB {_FLOAT}"),
    "WAV mono": ("wav", f"-ac 1 {_FLOAT}"),
    **{f"WAV at {hz} Hz": ("wav", f"-ar {hz}") for hz in (96000, 48000, 32000, 22050, 16000)},
    "WAV 8 bit": ("wav", "-c:a pcm_u8"),
    "M4A (AAC) 128 kbit/s": ("m4a", "-c:a aac -b:a 128k"),
    "Ogg Vorbis q4": ("ogg", "-c:a libvorbis -q:a 4"),
    "Opus 96 kbit/s": ("opus", "-c:a libopus -b:a 96k"),
    "MP3 again, 128 kbit/s": ("mp3", "-c:a libmp3lame -b:a 128k"),
    "WMA 128 kbit/s": ("wma", "-c:a wmav2 -b:a 128k"),
    "MP3 again, 64 kbit/s": ("mp3", "-c:a libmp3lame -b:a 64k"),
    "Opus 32 kbit/s": ("opus", "-c:a libopus -b:a 32k"),
    "M4A (AAC) 64 kbit/s": ("m4a", "-c:a aac -b:a 64k"),
    "WAV at 11025 Hz": ("wav", "-ar 11025"),
    "WAV at 8000 Hz": ("wav", "-ar 8000"),
    **{f"WAV with {n} channels": ("wav", f"-ac {n} {_FLOAT}") for n in (3, 4, 5, 6)},
}


def predict(classifier: Classifier, paths: Sequence[Path]) -> list[Prediction]:
    """Return the prediction of each file; stop where one cannot be decoded."""
    results = list(classifier.predict_files(paths))
    predictions = [result for result in results if isinstance(result, Prediction)]
    if len(predictions) < len(results):
        raise SystemExit(next(str(its) for its in results if not isinstance(its, Prediction)))
    return predictions


def copy(songs: Sequence[Path], kind: tuple[str, str], folder: Path) -> list[Path]:
    """Write a copy of each song into the folder."""
    suffix, options = kind
    copies = [folder / f"{index}.{suffix}" for index in range(len(songs))]
    for song, target in zip(songs, copies, strict=True):
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(song), "-map", "0:a"]
        subprocess.run([*command, *options.split(), str(target)], check=True)
    return copies


def compare(
    originals: Sequence[Prediction], copies: Sequence[Prediction]
) -> tuple[int, list[float]]:
    """Return how many songs keep their genre, and the largest change of each."""
    pairs = list(zip(originals, copies, strict=True))
    changes = [
        max(abs(old.probabilities[label] - new.probabilities[label]) for label in old.probabilities)
        for old, new in pairs
    ]
    return sum(old.label == new.label for old, new in pairs), changes


def main() -> None:
    """Print one row a kind of copy, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--model", help="default: the embedded model")
    options = parser.parse_args()
    classifier, n = Classifier(options.model), len(options.songs)
    originals = predict(classifier, options.songs)
    print("| copy | same top genre | change, mean | change, worst |\n|---|---|---|---|")
    for kinds in (LOSSLESS, CHANGED):
        n_same = 0
        for name, kind in kinds.items():
            with tempfile.TemporaryDirectory() as folder:
                copies = copy(options.songs, kind, Path(folder))
                same, changes = compare(originals, predict(classifier, copies))
            n_same += same
            mean, worst = sum(changes) / n, max(changes)
            print(f"| {name} | {same} of {n} | {mean:.3f} | {worst:.3f} |", flush=True)
        print(f"| sum | {n_same} of {n * len(kinds)} | | |")


if __name__ == "__main__":
    main()
