"""Fit what tells music from speech, noise and other sounds, for the embedded models.

Run it after an embedded model was replaced, with GTZAN at hand and the program espeak-ng installed:

    python scripts/fit_music_gate.py GTZAN

Music are the tracks that the models' cards name as training data, as they are and changed; the
other sounds are made here: speech by espeak-ng in 20 languages, and noises, tones, sweeps, hums,
clicks and cries. The cards are written anew.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from genrekit import audio, datasets, demo
from genrekit.models import registry
from genrekit.training import gate_fitting
from genrekit.training.gate_fitting import Sound

RATE = 22_050
SECONDS = 15
N_SPEECH = N_SOUNDS = 480
SPEECH_SECONDS = 20
VOICES = ["en-us", "en-gb", "de", "fr", "es", "ru", "it", "pt", "nl", "pl"]
VOICES += ["sv", "tr", "el", "hi", "cs", "fi", "hu", "ro", "da", "en-gb-scotland"]
VARIANTS = ["", *(f"+f{n}" for n in range(1, 6)), *(f"+m{n}" for n in range(1, 8)), "+whisper"]
FITTED_ON = (
    "music: the {n} training tracks, as they are and through a telephone's band or with noise, and "
    "the 3 made tracks of the demo; other "
    f"sounds: {N_SPEECH} of speech by espeak-ng in {len(VOICES)} languages and accents and "
    f"{N_SOUNDS} of noise, tones, sweeps, hum, clicks and cries, made by scripts/fit_music_gate.py"
)
Waveform = NDArray[Any]


def main() -> None:
    """Fit a gate for every embedded model and write its card."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("gtzan", type=Path)
    tracks = {
        track.track_id: track for track in datasets.open_dataset(parser.parse_args().gtzan).tracks
    }
    for name in registry.embedded_names():
        folder = registry.find(name)
        data = folder.card.training_data
        paths = [tracks[each].path for each in data.track_ids if each in tracks] if data else []
        fitted_on = FITTED_ON.format(n=len(paths))
        gate = gate_fitting.fit(folder, music(paths), sounds(), fitted_on)
        registry.write_card(folder.path, folder.card.model_copy(update={"music_gate": gate}))
        print(f"{name}: fitted on {len(paths)} tracks and {N_SPEECH + N_SOUNDS} other sounds")


def music(paths: list[Path]) -> Iterator[Sound]:
    """Give each track as it is, and changed in one way; and the demo's made tracks."""
    random = np.random.default_rng(0)
    for name in demo.NAMES:
        yield audio.downmix(demo.synthesise(name)), demo.SAMPLE_RATE
    for path in paths:
        waveform = audio.load(path, RATE)
        yield waveform, RATE
        change = telephone if random.random() < 0.5 else with_noise
        yield as_sound(change(waveform[0].astype(float), random), random)


def sounds() -> Iterator[Sound]:
    """Give speech and what else is no music."""
    random = np.random.default_rng(1)
    words = (Path(__file__).parents[1] / "LICENSE").read_text(encoding="utf-8").split()
    for _ in range(N_SPEECH):
        yield some_of(speech(words, random), random)
    makers = (noise, band, tone, sweep, hum, clicks, cries)
    for index in range(N_SOUNDS):
        made = makers[index % len(makers)](random) * envelope(random)
        whole = as_sound(made + 10 ** -random.uniform(1.5, 4) * noise(random), random)
        yield some_of(whole, random)


def speech(words: list[str], random: np.random.Generator) -> Sound:
    """Let espeak-ng read sixty words; half of it through a telephone, in a room or with noise."""
    first = int(random.integers(len(words) - 60))
    voice = str(random.choice(VOICES)) + str(random.choice(VARIANTS))
    pace, pitch = int(random.integers(110, 220)), int(random.integers(20, 80))
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        options = ["-v", voice, "-s", str(pace), "-p", str(pitch), "-w", file.name]
        command = ["espeak-ng", *options, " ".join(words[first : first + 60])]
        subprocess.run(command, check=True, capture_output=True)
        changed = audio.load(file.name, RATE)[0, : RATE * SPEECH_SECONDS].astype(float)
    for change in (telephone, in_room, with_noise):
        if random.random() < 0.4:
            changed = change(changed, random)
    return as_sound(changed, random)


def as_sound(waveform: Waveform, random: np.random.Generator) -> Sound:
    """Return a waveform at some level, as a model takes it."""
    peak = max(np.abs(waveform).max(), 1e-9)
    return (random.uniform(0.05, 0.95) * waveform / peak).astype(np.float32)[None], RATE


def some_of(sound: Sound, random: np.random.Generator) -> Sound:
    """Return half of the sounds as they are, of the others a moment: a word, a knock."""
    waveform, rate = sound
    if random.random() < 0.5:
        return sound
    n_samples = int(RATE * 10 ** random.uniform(-0.7, 0.5))
    first = int(random.integers(max(1, waveform.shape[1] - n_samples)))
    return waveform[:, first : first + n_samples], rate


def telephone(waveform: Waveform, random: np.random.Generator) -> Waveform:
    """Keep what a telephone, or a small loudspeaker, does."""
    edges = [random.uniform(80, 400), random.uniform(3000, 5000)]
    filters = signal.butter(4, edges, "band", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(filters, waveform))


def in_room(waveform: Waveform, random: np.random.Generator) -> Waveform:
    """Add the echoes of a room."""
    n_samples = int(RATE * random.uniform(0.1, 0.8))
    echo = random.standard_normal(n_samples) * np.exp(-5 * np.arange(n_samples) / n_samples)
    late = signal.fftconvolve(waveform, echo / np.linalg.norm(echo))[: len(waveform)]
    return np.asarray(waveform + 0.3 * late)


def with_noise(waveform: Waveform, random: np.random.Generator) -> Waveform:
    """Add hiss, 15 to 40 dB below the peak."""
    level = 10 ** (-random.uniform(15, 40) / 20) * np.abs(waveform).max()
    return np.asarray(waveform + level * random.standard_normal(len(waveform)) / 4)


def envelope(random: np.random.Generator) -> Waveform:
    """Return a level over time: steady, swaying, or bursts."""
    kind, seconds = random.integers(3), np.arange(RATE * SECONDS) / RATE
    if kind == 0:
        return np.ones(len(seconds))
    if kind == 1:
        return 0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(0.1, 8) * seconds)
    return bursts(random, int(random.integers(1, 40)), 1.5, lambda t, n: np.exp(-4 * t / n))


def bursts(
    random: np.random.Generator, n_bursts: int, longest: float, shape: Callable[..., Waveform]
) -> Waveform:
    """Return n_bursts short sounds at random times; shape makes one of its samples and length."""
    found = np.zeros(RATE * SECONDS)
    for start in random.integers(0, len(found), n_bursts):
        n_samples = min(int(RATE * random.uniform(0.02, longest)), len(found) - start)
        if n_samples > 8:
            found[start : start + n_samples] += shape(np.arange(n_samples), n_samples)
    return found


def noise(random: np.random.Generator) -> Waveform:
    """Return noise whose spectrum falls by 0 to 9 dB an octave: hiss to rumble."""
    spectrum = np.fft.rfft(random.standard_normal(RATE * SECONDS))
    found = np.fft.irfft(
        spectrum * np.arange(1, len(spectrum) + 1.0) ** -random.uniform(0, 1.5), RATE * SECONDS
    )
    return np.asarray(found / np.abs(found).max())


def band(random: np.random.Generator) -> Waveform:
    """Return a band of noise, such as wind or water."""
    low = random.uniform(50, 4000)
    edges = [low, min(low * random.uniform(1.2, 3), 10_000)]
    filters = signal.butter(2, edges, "band", fs=RATE, output="sos")
    found = np.asarray(signal.sosfilt(filters, noise(random)))
    return np.asarray(found / np.abs(found).max())


def tone(random: np.random.Generator) -> Waveform:
    """Return a tone."""
    seconds = np.arange(RATE * SECONDS) / RATE
    return np.asarray(np.sin(2 * np.pi * random.uniform(60, 4000) * seconds))


def sweep(random: np.random.Generator) -> Waveform:
    """Return a tone that rises, again and again as a siren does."""
    low, high = sorted(random.uniform(40, 8000, 2))
    period = SECONDS / random.integers(1, 12)
    place = (np.arange(RATE * SECONDS) / RATE) % period
    return np.asarray(np.sin(2 * np.pi * (low * place + (high - low) * place**2 / (2 * period))))


def hum(random: np.random.Generator) -> Waveform:
    """Return a hum with overtones, such as an engine's."""
    phase = 2 * np.pi * random.uniform(25, 200) * np.arange(RATE * SECONDS) / RATE
    orders = np.arange(1, 20)[:, None]
    found = (np.sin(orders * phase) * random.uniform(0, 1, (19, 1)) / orders).sum(axis=0)
    return np.asarray(found / np.abs(found).max())


def clicks(random: np.random.Generator) -> Waveform:
    """Return clicks, knocks or steps."""
    hits = np.zeros(RATE * SECONDS)
    hits[random.integers(0, len(hits), int(random.integers(5, 200)))] = random.uniform(0.3, 1)
    knock = noise(random)[:2000] * np.exp(-np.arange(2000) / random.uniform(20, 600))
    found = signal.fftconvolve(hits, knock)[: len(hits)]
    return np.asarray(found / np.abs(found).max())


def cries(random: np.random.Generator) -> Waveform:
    """Return short cries that glide and trill, such as a bird's."""

    def cry(samples: NDArray[np.int64], n_samples: int) -> Waveform:
        seconds, pitch = samples / RATE, random.uniform(200, 6000)
        trill = random.uniform(0, 30) * np.sin(2 * np.pi * random.uniform(3, 60) * seconds)
        glide = random.uniform(-1, 1) * pitch * seconds**2
        phase = 2 * np.pi * (pitch * seconds + glide) + trill
        return np.asarray(np.sin(phase) * np.hanning(n_samples))

    return bursts(random, int(random.integers(5, 60)), 0.6, cry)


if __name__ == "__main__":
    main()
