"""The mono mix: the weight of each channel, and the handling of channels that cancel out.

The low-frequency channel is left out.

Source: ITU-R BS.775-3, annex 4 (centre and surround channels 3 dB below the front ones in a mix to
stereo), which FFmpeg's swresample follows in its mix to mono.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]

# Of channels whose places are not known, these numbers have only one order in use.
_USUAL = {
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_WEIGHTS = {
    **dict.fromkeys(("FL", "FR", "FLC", "FRC", "DL", "DR"), 0.5**0.5),
    "FC": 1.0,
    **dict.fromkeys(("LFE", "LFE2"), 0.0),
}
_SURROUND = 0.5
# The mix of two equally loud channels loses this much where their correlation is -0.4: ordinary
# stereo stays above, wide music with one channel turned over does not.
LOST_SHARE = 0.4
WINDOW_SAMPLES = 1 << 16
_PRODUCT_SAMPLES = 4096  # of a longer product OpenBLAS makes several threads
_SILENT_POWER = 1e-8  # -80 dB re full scale
CANCELLED = (
    "its channels cancel each other out in a mono mix, which would lose more than "
    f"{100 * LOST_SHARE:.0f} % of their energy; they were mixed with one polarity"
)


def weights(n_channels: int, names: Sequence[str] = ()) -> tuple[float, ...]:
    """Return the weight of each channel in a mono mix; they sum to one.

    Args:
        n_channels: how many there are. One and two count alike, whatever they are called.
        names: FFmpeg's names of the channels; without them six are taken for 5.1, eight for 7.1
            and all others count alike.

    >>> weights(3, ["FL", "FR", "LFE"])
    (0.5, 0.5, 0.0)
    """
    named = tuple(names) or _USUAL.get(n_channels, ())
    found = [_WEIGHTS.get(name, _SURROUND) for name in named]
    if n_channels <= 2 or len(found) != n_channels or not any(found):
        found = [1.0] * n_channels
    return tuple(weight / sum(found) for weight in found)


class Mixer:
    """Mix channels to one, and notice where they cancel out.

    The mix is measured in windows. Where it has lost more than LOST_SHARE of the energy that its
    channels would have if they had nothing in common, those that oppose the loudest one are turned
    over first.
    """

    def __init__(self, channel_weights: Sequence[float]) -> None:
        """Prepare for channels with these weights."""
        self._weights = np.array(channel_weights, np.float32)
        self.has_cancelled = False

    def mix(self, waveform: Waveform, out: Waveform | None = None, first: int = 0) -> Waveform:
        """Mix to mono.

        Args:
            waveform: shape (channels, samples).
            out: where to write the mix, shape (1, samples).
            first: the first sample's place in the track. Windows begin at its multiples.

        Returns:
            Shape (1, samples); the waveform itself when it is mono already.
        """
        if waveform.shape[0] == 1:
            return waveform
        n_samples = waveform.shape[1]
        if out is None:
            out = np.empty((1, n_samples), np.float32)
        start = 0
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            while start < n_samples:
                stop = min(n_samples, start + WINDOW_SAMPLES - (first + start) % WINDOW_SAMPLES)
                self._mix_window(waveform[:, start:stop], out[:, start:stop])
                start = stop
        return out

    def _mix_window(self, waveform: Waveform, out: Waveform) -> None:
        self._sum(waveform, self._weights, out)
        if _energy(out) < (1 - LOST_SHARE) * self._expected_energy(waveform):
            self._mix_aligned(waveform, out)

    def _sum(self, waveform: Waveform, channel_weights: Waveform, out: Waveform) -> None:
        if len(waveform) == 2 and waveform.flags.f_contiguous and out.flags.c_contiguous:
            _sum_pairs(waveform, channel_weights, out[0])
            return
        if np.ptp(channel_weights) == 0:
            np.add(waveform[:1], waveform[1:2], out=out)
            for channel in waveform[2:]:
                out += channel
            out *= channel_weights[0]
            return
        np.multiply(waveform[:1], channel_weights[0], out=out)
        for channel, weight in zip(waveform[1:], channel_weights[1:], strict=True):
            if weight:
                out += weight * channel

    def _expected_energy(self, waveform: Waveform) -> float:
        """Return the energy of the mix if its channels had nothing in common."""
        if len(waveform) == 2:
            return _energy(waveform) / 4
        energies = np.array([_energy(channel) for channel in waveform])
        # A channel that is left out counts as one of the rest: it may be all that there is.
        shares = np.where(self._weights == 0, 1 / len(waveform), self._weights)
        return float(energies @ shares**2)

    def _mix_aligned(self, waveform: Waveform, out: Waveform) -> None:
        energies = np.array([_energy(channel) for channel in waveform])
        if not energies.max() > _SILENT_POWER * waveform.shape[1]:
            return
        self.has_cancelled = True
        # The first of the loud ones, so that the choice does not change on the way.
        loudest = waveform[int(np.argmax(energies >= energies.max() / 4))]
        signs = [-1 if np.dot(row, loudest) < 0 else 1 for row in waveform]
        self._sum(waveform, np.array(signs, np.float32) / np.float32(len(waveform)), out)
        if _energy(out) < (1 - LOST_SHARE) * float(energies.mean() / len(waveform)):
            out[:] = loudest


def _sum_pairs(waveform: Waveform, channel_weights: Waveform, out: Waveform) -> None:
    """Write the mix of two interleaved channels into out, of shape (samples,)."""
    pairs = waveform.T
    n_whole = len(pairs) - len(pairs) % _PRODUCT_SAMPLES
    blocks = pairs[:n_whole].reshape(-1, _PRODUCT_SAMPLES, 2)
    np.matmul(blocks, channel_weights, out=out[:n_whole].reshape(-1, _PRODUCT_SAMPLES))
    np.matmul(pairs[n_whole:], channel_weights, out=out[n_whole:])


def _energy(waveform: Waveform) -> float:
    if waveform.ndim > 1 and waveform.flags.f_contiguous:  # as libsndfile interleaves
        waveform = waveform.ravel(order="K")
    if waveform.ndim == 1:
        return float(np.dot(waveform, waveform))
    return sum(float(np.dot(row, row)) for row in waveform)


def downmix(waveform: Waveform, names: Sequence[str] = ()) -> Waveform:
    """Mix to mono, as a file with these channels is mixed.

    Args:
        waveform: shape (channels, samples).
        names: FFmpeg's names of the channels, where they are known.

    Returns:
        Shape (1, samples); the waveform itself when it is mono already.
    """
    return Mixer(weights(len(waveform), names)).mix(waveform)
