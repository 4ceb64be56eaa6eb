"""Down-mixing and resampling, each implemented only here."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from genrekit.errors import AudioError

Waveform = NDArray[np.float32]

QUALITY = "HQ"
# soxr's HQ filter reaches this many samples of the lower rate to each side, well rounded up:
# with 400 a part resampled by itself equals the same part of the whole to 1e-6
# (tests/audio/test_audio.py).
MARGIN_SAMPLES = 400


def resample(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """Resample with soxr HQ, only when the rates differ.

    Args:
        waveform: shape (channels, samples).
        from_hz: its sample rate.
        to_hz: the target sample rate.

    Returns:
        Shape (channels, round(samples * to_hz / from_hz)).

    Raises:
        AudioError: a rate is not above 0.

    Source: the SoX resampler library, quality HQ (20 bit, linear phase).
    """
    check_rate(from_hz)
    check_rate(to_hz)
    if from_hz == to_hz:
        return waveform
    if waveform.shape[0] == 1:
        return cast(Waveform, soxr.resample(waveform[0], from_hz, to_hz, quality=QUALITY)[None])
    return cast(Waveform, soxr.resample(waveform.T, from_hz, to_hz, quality=QUALITY).T)


class StreamResampler:
    """Resample contiguous blocks; together they equal ``resample`` of the whole."""

    def __init__(self, from_hz: int, to_hz: int, n_channels: int) -> None:
        """Start a stream of waveforms with n_channels."""
        self._n_channels = n_channels
        self._stream: Any = None
        if from_hz != to_hz:
            self._stream = soxr.ResampleStream(
                from_hz, to_hz, n_channels, dtype="float32", quality=QUALITY
            )

    def push(self, waveform: Waveform) -> Waveform:
        """Give the next block of shape (channels, samples); returns what is ready."""
        return waveform if self._stream is None else self._run(waveform, last=False)

    def finish(self) -> Waveform:
        """Return what remained inside the filter."""
        nothing = np.zeros((self._n_channels, 0), np.float32)
        return nothing if self._stream is None else self._run(nothing, last=True)

    def _run(self, waveform: Waveform, *, last: bool) -> Waveform:
        block = waveform[0] if self._n_channels == 1 else np.ascontiguousarray(waveform.T)
        done = self._stream.resample_chunk(block, last=last)
        return cast(Waveform, done[None] if self._n_channels == 1 else done.T)


class Alignment:
    """Where a part of the resampled track lies in the file, so that both rates' samples meet.

    With from_hz / to_hz = down / up in lowest terms, input sample k * down and output sample
    k * up are the same instant. A part is therefore decoded from such a sample on, early enough for
    the filter.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Prepare for one pair of rates in Hz."""
        check_rate(from_hz)
        check_rate(to_hz)
        self.to_hz = to_hz
        common = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        to_input = max(1.0, from_hz / to_hz)
        self._margin = 0 if from_hz == to_hz else math.ceil(MARGIN_SAMPLES * to_input)

    def n_output(self, n_input: int) -> int:
        """Return how many samples n_input samples become."""
        return round(n_input * self._up / self._down)

    def input_span(self, first: int, stop: int) -> tuple[int, int]:
        """Return the input samples [first, stop) that output samples [first, stop) need."""
        k = max(0, first // self._up - math.ceil(self._margin / self._down))
        return k * self._down, math.ceil(stop * self._down / self._up) + self._margin

    def output_of(self, input_sample: int) -> int:
        """Return the output sample at an input sample that input_span gave."""
        return input_sample // self._down * self._up


def check_rate(sample_rate: int) -> None:
    """Refuse a sample rate that is not above 0.

    Raises:
        AudioError: it is not.
    """
    if sample_rate <= 0:
        raise AudioError(f"got sample rate {sample_rate}; expected a number of Hz above 0")


def check_finite(waveform: Waveform, what: object) -> None:
    """Refuse values that are not finite.

    Raises:
        AudioError: there is a NaN or an infinity.
    """
    flat = waveform.ravel(order="K")
    # One product is five times faster than isfinite; it overflows only for absurd values.
    with np.errstate(over="ignore", invalid="ignore"):
        is_tame = np.isfinite(flat @ flat)
    if not is_tame and not np.isfinite(flat).all():
        raise AudioError(
            f"{what} has samples that are not finite (NaN or infinite); export it again"
        )
