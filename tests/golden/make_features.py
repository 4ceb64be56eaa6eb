"""Make features.npz: what librosa computes of a made signal, for several front ends.

Run once with librosa installed: ``python tests/golden/make_features.py``. The tests read the file
and need no librosa. Each case keeps its waveform (16-bit), its FeatureSpec and the decibels.
"""

from __future__ import annotations

import json
from pathlib import Path

import librosa
import numpy as np

CASES = {
    "mel_22050": {},
    "mel_16000": {"sample_rate": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 96},
    "mel_htk_zeros_band": {
        "sample_rate": 16000,
        "n_fft": 400,
        "hop_length": 160,
        "n_mels": 64,
        "mel_scale": "htk",
        "padding": "zeros",
        "f_min": 60.0,
        "f_max": 7600.0,
        "floor_db": -80.0,
    },
    "mel_44100_odd_hop": {"sample_rate": 44100, "hop_length": 441, "n_mels": 100, "f_min": 20.0},
    "stft_44100": {"kind": "log_stft", "sample_rate": 44100, "n_fft": 1024},
}
DEFAULTS = {
    "kind": "log_mel",
    "sample_rate": 22050,
    "n_fft": 2048,
    "hop_length": 512,
    "padding": "reflect",
    "n_mels": 128,
    "f_min": 0.0,
    "f_max": None,
    "mel_scale": "slaney",
    "floor_db": -100.0,
}


def made_signal(sample_rate: int) -> np.ndarray:
    """0.3 s of tone, chirp, click and noise, as int16.

    The noise keeps every bin within 90 dB of its frame's loudest, as far as float32 reaches to
    1e-3 dB; fainter bins are tested against double precision in test_features.py.
    """
    rng = np.random.default_rng(7)
    seconds = np.arange(round(0.3 * sample_rate)) / sample_rate
    chirp = np.sin(2 * np.pi * (100 * seconds + 0.45 * sample_rate * seconds**2 / 0.6))
    signal = 0.3 * np.sin(2 * np.pi * 440 * seconds) + 0.2 * chirp
    signal += 0.02 * rng.standard_normal(seconds.size)
    signal[seconds.size // 3] += 0.3
    return np.round(signal * 32767).astype(np.int16)


def reference_db(waveform: np.ndarray, spec: dict) -> np.ndarray:
    """Decibels by librosa, computed in double precision."""
    pad_mode = "constant" if spec["padding"] == "zeros" else "reflect"
    power = (
        np.abs(
            librosa.stft(
                waveform.astype(np.float64),
                n_fft=spec["n_fft"],
                hop_length=spec["hop_length"],
                pad_mode=pad_mode,
            )
        )
        ** 2
    )
    if spec["kind"] == "log_mel":
        power = librosa.feature.melspectrogram(
            S=power,
            sr=spec["sample_rate"],
            n_mels=spec["n_mels"],
            fmin=spec["f_min"],
            fmax=spec["f_max"],
            htk=spec["mel_scale"] == "htk",
        )
    decibels = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    return np.maximum(decibels, spec["floor_db"]).astype(np.float32)


def main() -> None:
    """Write features.npz beside this script."""
    arrays = {}
    for name, differences in CASES.items():
        spec = DEFAULTS | differences
        samples = made_signal(spec["sample_rate"])
        arrays[f"{name}.samples"] = samples
        arrays[f"{name}.spec"] = np.array(json.dumps(spec))
        arrays[f"{name}.decibels"] = reference_db(samples / 32768, spec)
    np.savez_compressed(Path(__file__).with_name("features.npz"), **arrays)


if __name__ == "__main__":
    main()
