"""Decode a chained file as one track, at one sample rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

import numpy as np

from genrekit.audio.info import AudioInfo, Link
from genrekit.audio.mixing import downmix
from genrekit.audio.readers import DecodeError, Reader, Waveform
from genrekit.audio.signal import Alignment, resample

_KEPT_SAMPLES = 1 << 15  # more than a resampler's margin at both ends of a part
_MISSING_SECONDS = 0.1  # a link may end this much early without a warning


class ChainReader:
    """The links of a file in sequence; those of another rate are resampled.

    If the links differ in their channels, each is mixed to mono.
    """

    def __init__(self, info: AudioInfo, open_link: Callable[[Link], Reader]) -> None:
        """Open the first link.

        Raises:
            DecodeError: it can no longer be opened.
        """
        self.sample_rate, self.n_channels = info.sample_rate, info.n_channels
        self._links, self._open_link = info.links, open_link
        lengths = [link.n_samples_at(info.sample_rate) for link in info.links]
        self._firsts = [0, *accumulate(lengths)]
        self._n_damaged = 0
        self._position = 0
        self._index = 0
        self._kept = np.zeros((1, 0), np.float32)
        self._kept_first = 0
        self._reader: Reader | None = open_link(info.links[0])

    @property
    def n_damaged(self) -> int:
        """The number of damaged packets skipped and parts that could not be decoded."""
        return self._n_damaged + (self._reader.n_damaged if self._reader else 0)

    def seek(self, sample: int) -> None:
        """Seek to a sample of the track."""
        self._position = sample

    def read(self, n_samples: int) -> Waveform:
        """Decode on, to the end of the link at most: shape (n_channels, n).

        Where a link cannot be decoded, zeros stand for it, so that the next one keeps its place.
        """
        if self._position >= self._firsts[-1]:
            return np.zeros((self.n_channels, 0), np.float32)
        index = bisect_right(self._firsts, self._position) - 1
        first = self._position - self._firsts[index]
        stop = min(first + n_samples, self._firsts[index + 1] - self._firsts[index])
        link = self._links[index]
        part = self._fit(self._read_part(index, first, stop), link)
        n_missing = stop - first - part.shape[1]
        if n_missing:
            self._n_damaged += n_missing > _MISSING_SECONDS * self.sample_rate
            part = np.pad(part, ((0, 0), (0, n_missing)))
        self._position += part.shape[1]
        return part

    def _at(self, index: int) -> Reader:
        if self._reader is None or index != self._index:
            self.close()
            self._kept = self._kept[:, :0]
            self._reader, self._index = self._open_link(self._links[index]), index
        return self._reader

    def _read_part(self, index: int, first: int, stop: int) -> Waveform:
        link = self._links[index]
        alignment = Alignment(link.sample_rate, self.sample_rate)
        input_first, input_stop = alignment.input_span(first, stop)
        try:
            decoded = self._decode(index, input_first, min(input_stop, link.n_samples))
        except DecodeError:
            return np.zeros((link.n_channels, 0), np.float32)
        offset = first - alignment.output_of(input_first)
        part = resample(decoded, link.sample_rate, self.sample_rate)
        return part[:, offset : offset + stop - first]

    def _decode(self, index: int, first: int, stop: int) -> Waveform:
        """Return a link's samples [first, stop); what the part before ended with is kept."""
        reader, n_kept = self._at(index), self._kept.shape[1]
        if n_kept and self._kept_first <= first <= self._kept_first + n_kept < stop:
            begin = self._kept[:, first - self._kept_first :]
            rest = reader.read(stop - first - begin.shape[1])
            decoded = np.concatenate([begin, rest], axis=1)
        else:
            reader.seek(first)
            decoded = reader.read(stop - first)
        self._kept = decoded[:, -_KEPT_SAMPLES:].copy()
        self._kept_first = first + decoded.shape[1] - self._kept.shape[1]
        return decoded

    def _fit(self, part: Waveform, link: Link) -> Waveform:
        return part if len(part) == self.n_channels else downmix(part, link.channel_names)

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._n_damaged += self._reader.n_damaged
            self._reader.close()
            self._reader = None
