"""Samples and channel names of the frames that FFmpeg decodes: the only code that uses PyAV's.

PyAV 18 finds a frame's planes by going on until a null pointer, so eight planar channels have a
ninth that lies nowhere, and ``to_ndarray`` reads it. It also copies a layout with a list of its own
(eight channels of an AIFF, say) without the list, which is then freed twice.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.mixing import downmix
from genrekit.audio.readers import DecodeError

Waveform = NDArray[np.float32]

_DTYPES = {
    name: np.dtype(code)
    for name, code in (
        ("u8", "u1"), ("s16", "i2"), ("s32", "i4"), ("s64", "i8"), ("flt", "f4"), ("dbl", "f8")
    )
}  # fmt: skip
# By FFmpeg's name of a sample format: the type, and whether each channel has a plane of its own.
_FORMATS = {
    name + suffix: (dtype, bool(suffix)) for name, dtype in _DTYPES.items() for suffix in ("", "p")
}
_FLOAT = _DTYPES["flt"]
_UNKNOWN_CHANNEL = {"NONE", "UNK", "UNSD", ""}


def copy_samples(frame: Any, first: int, target: Waveform) -> None:
    """Write a frame's samples from first on, in any sample format, as float32 in [-1, 1].

    Args:
        frame: from the decoder.
        first: the first sample of the frame to copy.
        target: where to copy, shape (channels, samples). If the frame has another number of
            channels, each of these gets its mono mix.

    Raises:
        DecodeError: the frame's data does not match its description.
    """
    n_channels = int(frame.layout.nb_channels)
    try:
        if frame.format.name == "fltp" and n_channels == len(target):
            _copy_floats(frame.planes, first, target)
            return
        rows = _rows(frame, n_channels, first, first + target.shape[1])
    except (IndexError, KeyError, ValueError) as error:
        raise DecodeError(f"a frame does not hold the {n_channels} channels it should") from error
    if n_channels == len(target):
        for row, values in zip(target, rows, strict=True):
            row[:] = _scaled(values)
    else:
        waveform = np.stack([_scaled(values) for values in rows])
        target[:] = downmix(waveform, channel_names(frame))


def _copy_floats(planes: Sequence[Any], first: int, target: Waveform) -> None:
    """Copy what most decoders give, in a third of the time that any format takes.

    Frames are so short that this is a fifth of the time of decoding AAC.
    """
    n_samples, offset = target.shape[1], 4 * first
    for row in range(len(target)):
        target[row] = np.frombuffer(planes[row], _FLOAT, n_samples, offset)


def _rows(frame: Any, n_channels: int, first: int, stop: int) -> list[NDArray[Any]]:
    planes = frame.planes
    dtype, is_planar = _FORMATS[frame.format.name]
    if is_planar:
        count, offset = stop - first, first * dtype.itemsize
        return [np.frombuffer(planes[row], dtype, count, offset) for row in range(n_channels)]
    packed = np.frombuffer(planes[0], dtype, frame.samples * n_channels)
    return list(packed.reshape(-1, n_channels)[first:stop].T)


def _scaled(array: NDArray[Any]) -> Waveform:
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - np.float32(128)) / np.float32(128)
    if array.dtype.kind == "i":
        return array.astype(np.float32) / np.float32(2 ** (8 * array.dtype.itemsize - 1))
    return np.asarray(array, np.float32)


def keep_layout(owner: Any) -> Any:
    """Return a frame's or a codec's layout, kept for good where freeing it would free it twice."""
    layout = owner.layout
    if "channels (" in layout.name or "ambisonic" in layout.name:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout


def channel_names(frame: Any) -> tuple[str, ...]:
    """Return FFmpeg's names of a frame's channels ("FL", "LFE"), or nothing where one has none."""
    names = tuple(str(channel.name) for channel in frame.layout.channels)
    return () if _UNKNOWN_CHANNEL.intersection(names) else names
