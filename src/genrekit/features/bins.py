"""Where the bins of a spectrogram lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrekit.features.mel import hz_to_mel, mel_to_hz
from genrekit.features.spec import FeatureSpec


def bin_hz(spec: FeatureSpec) -> NDArray[np.float64]:
    """Return the centre of every bin in Hz. Shape (n_bins,).

    >>> bin_hz(FeatureSpec(kind="log_stft", n_fft=2048, sample_rate=22050))[-1].item()
    11025.0
    """
    if spec.kind == "log_stft":
        return np.arange(spec.n_bins, dtype=np.float64) * (spec.sample_rate / spec.n_fft)
    f_max = spec.sample_rate / 2 if spec.f_max is None else spec.f_max
    low, high = hz_to_mel(np.array([spec.f_min, f_max]), spec.mel_scale)
    return mel_to_hz(np.linspace(low, high, spec.n_mels + 2), spec.mel_scale)[1:-1]
