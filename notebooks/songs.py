"""The songs that the notebooks work on: your own, or synthetic ones.

Set MUSIC to a folder of music (one folder per genre, a copy of GTZAN, or a manifest that names
artists). Without it, songs are synthesised: four genres by eight artists each. The artist shapes
the sound of a synthetic song more than its genre does, as in real music.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import soundfile

from genrekit import datasets
from genrekit.datasets import Dataset

SAMPLE_RATE = 22_050
SECONDS = 12.0
ARTISTS, SONGS = 8, 3
# Beats per minute, beats per bar, and notes per beat of each genre.
GENRES = {"ballad": (70, 4, 1), "march": (115, 2, 1), "reel": (118, 4, 4), "waltz": (150, 3, 1)}
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def open_dataset() -> Dataset:
    """Return the dataset of MUSIC, or else synthetic songs, which are written on the first call."""
    music = os.environ.get("MUSIC")
    if music:
        return datasets.open_dataset(music)
    folder = Path("made-songs")
    if not (folder / "manifest.csv").exists():
        _write(folder)
    return datasets.open_dataset(folder)


def _write(folder: Path) -> None:
    rows = []
    for g, genre in enumerate(GENRES):
        for artist in range(ARTISTS):
            for number in range(SONGS):
                path = Path(genre) / f"artist{artist}-{number}.flac"
                (folder / genre).mkdir(parents=True, exist_ok=True)
                song = _song(
                    genre, artist_seed=100 * g + artist, seed=1000 * g + 10 * artist + number
                )
                soundfile.write(folder / path, song, SAMPLE_RATE)
                rows.append((path.as_posix(), genre, f"{genre} artist {artist}"))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "genre", "artist"), *rows])


def _song(genre: str, artist_seed: int, seed: int) -> np.ndarray:
    """Play a random tune in an artist's sound and a genre's rhythm. Shape (samples,)."""
    artist, rng = np.random.default_rng(artist_seed), np.random.default_rng(seed)
    overtones = artist.uniform(0.1, 1.0, 6) / np.arange(1, 7) ** artist.uniform(0.3, 1.5)
    decay, key, noise = artist.uniform(2, 12), artist.uniform(50, 66), artist.uniform(0.001, 0.05)
    tempo, n_beats, n_notes = GENRES[genre]
    step_seconds = 60 / (tempo * rng.uniform(0.85, 1.15)) / n_notes
    mix = noise * rng.standard_normal(round(SECONDS * SAMPLE_RATE))
    for step in range(int(SECONDS / step_seconds)):
        on_the_one = step % (n_beats * n_notes) == 0
        pitch = key + SCALE[rng.integers(len(SCALE))] - (12 if on_the_one else 0)
        note = _note(440 * 2 ** ((pitch - 69) / 12), overtones, decay) * (1.6 if on_the_one else 1)
        start = round(step * step_seconds * SAMPLE_RATE)
        room = mix[start : start + len(note)]
        room += note[: len(room)]
    return 0.7 * mix / np.abs(mix).max()


def _note(hertz: float, overtones: np.ndarray, decay: float) -> np.ndarray:
    time = np.arange(round(0.6 * SAMPLE_RATE)) / SAMPLE_RATE
    partials = [
        level * np.sin(2 * np.pi * k * hertz * time) * np.exp(-decay * k**0.5 * time)
        for k, level in enumerate(overtones, start=1)
    ]
    return np.sum(partials, axis=0)
