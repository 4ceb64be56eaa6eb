"""The 57 hand-crafted columns by librosa: what genrekit's are compared with.

Nothing of genrekit is imported: ``peers.py`` runs this where only librosa is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 22_050
REFLECT: dict[str, Any] = {"pad_mode": "reflect"}

Waveform = NDArray[np.float32]


def plain(waveform: Waveform) -> NDArray[np.float64]:
    """Compute the columns by librosa's plain calls, each of them for itself."""
    import librosa

    feature = librosa.feature
    parts = [
        feature.chroma_stft(y=waveform, sr=RATE, **REFLECT),
        feature.rms(y=waveform, **REFLECT),
        feature.spectral_centroid(y=waveform, sr=RATE, **REFLECT),
        feature.spectral_bandwidth(y=waveform, sr=RATE, **REFLECT),
        feature.spectral_rolloff(y=waveform, sr=RATE, **REFLECT),
        feature.zero_crossing_rate(waveform),
        librosa.effects.harmonic(waveform, **REFLECT),
        librosa.effects.percussive(waveform, **REFLECT),
    ]
    onsets = librosa.onset.onset_strength(y=waveform, sr=RATE, aggregate=np.median, **REFLECT)
    tempo = feature.tempo(onset_envelope=onsets, sr=RATE)[0]
    return _row(parts, tempo, feature.mfcc(y=waveform, sr=RATE, **REFLECT))


def shared(waveform: Waveform) -> NDArray[np.float64]:
    """Compute the columns by librosa's best arrangement: one spectrum, one mel, HPSS once."""
    import librosa

    feature = librosa.feature
    spectrum = librosa.stft(waveform, **REFLECT)
    magnitude = np.abs(spectrum)
    power = magnitude**2
    log_mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=RATE))
    # Cut at the last whole hop, as the published table's parts are.
    harmonic, percussive = (
        librosa.util.fix_length(librosa.istft(part), size=waveform.size)
        for part in librosa.decompose.hpss(spectrum)
    )
    centroid = feature.spectral_centroid(S=magnitude, sr=RATE)
    parts = [
        feature.chroma_stft(S=power, sr=RATE),
        feature.rms(y=waveform, **REFLECT),
        centroid,
        feature.spectral_bandwidth(S=magnitude, sr=RATE, centroid=centroid),
        feature.spectral_rolloff(S=magnitude, sr=RATE),
        feature.zero_crossing_rate(waveform),
        harmonic,
        percussive,
    ]
    onsets = librosa.onset.onset_strength(S=log_mel, sr=RATE, aggregate=np.median)
    tempo = feature.tempo(onset_envelope=onsets, sr=RATE)[0]
    return _row(parts, tempo, feature.mfcc(S=log_mel))


def _row(
    parts: list[NDArray[Any]], tempo: float, cepstra: NDArray[np.float64]
) -> NDArray[np.float64]:
    moments = [moment for part in parts for moment in (part.mean(), part.var())]
    return np.array([*moments, tempo, *(m for c in cepstra for m in (c.mean(), c.var()))])
