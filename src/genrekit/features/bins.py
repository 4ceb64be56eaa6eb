"""Where the bins of a spectrogram lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrekit.features.mel import band_edges_hz
from genrekit.features.spec import FeatureSpec


def bin_hz(spec: FeatureSpec) -> NDArray[np.float64]:
    """Return the centre of every bin in Hz. Shape (n_bins,).

    >>> bin_hz(FeatureSpec(kind="log_stft", n_fft=2048, sample_rate=22050))[-1].item()
    11025.0
    """
    if spec.kind == "log_stft":
        return np.arange(spec.n_bins, dtype=np.float64) * (spec.sample_rate / spec.n_fft)
    return band_edges_hz(spec)[1:-1]
