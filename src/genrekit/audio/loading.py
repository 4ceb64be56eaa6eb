"""Waveforms from files: entire tracks, blocks, or a few segments by seeking."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.chain import ChainReader
from genrekit.audio.info import AudioInfo, Link
from genrekit.audio.isolation import IsolatedReader
from genrekit.audio.mixing import CANCELLED, Mixer, weights
from genrekit.audio.probing import probe
from genrekit.audio.readers import DecodeError, Reader, SoundfileReader
from genrekit.audio.shared_block import BLOCK_SAMPLES
from genrekit.audio.signal import Alignment, StreamResampler, check_finite, resample
from genrekit.errors import AudioError

Waveform = NDArray[np.float32]
Source = str | os.PathLike[str] | AudioInfo
OnWarning = Callable[[str], None]

# After every read soundfile seeks to where it stands, for which an MP3's last frames are decoded
# again (75 us); larger pieces than this gain nothing more.
_PIECE_SAMPLES = 1 << 18
_GAP_SECONDS = 1.0  # nearer segments are decoded in one go: a seek costs as much as the gap
_RUN_SECONDS = 60.0
_MISSING_SECONDS = 0.1  # a track may end this much before its checked length without a word


def load(
    source: Source,
    sample_rate: int | None = None,
    *,
    mono: bool = True,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    on_warning: OnWarning | None = None,
) -> Waveform:
    """Decode a track, or a part of it, into memory.

    Args:
        source: a path, or what probe said of it (which saves probing again).
        sample_rate: the target rate in Hz; None keeps the file's own.
        mono: mix all channels to one; otherwise one channel stays one and two stay two. More than
            two become one by the weights of ``mixing``.
        start_seconds: where to start.
        duration_seconds: how much to decode, less at the end of the track; None is all.
        on_warning: called with one sentence per damage found while decoding.

    Returns:
        Shape (channels, samples).

    Raises:
        AudioError: the file cannot be decoded, holds values that are not finite, or ends before
            start_seconds.
    """
    info = _info_of(source)
    rate = sample_rate or info.sample_rate
    alignment = Alignment(info.sample_rate, rate)
    n_output = alignment.n_output(info.n_samples)
    first = round(start_seconds * rate)
    stop = n_output if duration_seconds is None else first + round(duration_seconds * rate)
    if start_seconds < 0 or not first < min(stop, n_output):
        raise AudioError(
            f"{info.path}: no audio from {start_seconds} s on; it is "
            f"{info.duration_seconds:.2f} s long"
        )
    with _open_track(info, mono, on_warning) as track:
        return _part(track, alignment, first, min(stop, n_output))


def blocks(
    source: Source,
    sample_rate: int | None = None,
    *,
    mono: bool = True,
    block_seconds: float = 30.0,
    on_warning: OnWarning | None = None,
) -> Iterator[Waveform]:
    """Decode a track block by block, in memory that does not grow with the track.

    Args:
        source: a path, or what probe said of it.
        sample_rate: the target rate in Hz; None keeps the file's own.
        mono: as in load.
        block_seconds: length of the decoded blocks; after resampling they differ by a little.
        on_warning: called with one sentence per damage found while decoding.

    Yields:
        Contiguous waveforms of shape (channels, samples), samples > 0; joined they equal load.

    Raises:
        AudioError: as load.
    """
    info = _info_of(source)
    rate = sample_rate or info.sample_rate
    n_block = max(1, round(block_seconds * info.sample_rate))
    with _open_track(info, mono, on_warning) as track:
        if info.n_samples <= n_block:  # in one piece, which costs less than a stream of one
            decoded = track.read(0, info.n_samples)
            if decoded.shape[1]:
                yield resample(decoded, info.sample_rate, rate)
            return
        resampler = StreamResampler(info.sample_rate, rate, track.n_channels)
        for first in range(0, info.n_samples, n_block):
            decoded = track.read(first, min(first + n_block, info.n_samples))
            if not decoded.shape[1]:
                break
            ready = resampler.push(decoded)
            if ready.shape[1]:
                yield ready
        rest = resampler.finish()
        if rest.shape[1]:
            yield rest


def read_segments(
    source: Source,
    sample_rate: int,
    start_seconds: Sequence[float],
    segment_seconds: float,
    *,
    on_warning: OnWarning | None = None,
) -> NDArray[np.float32]:
    """Decode mono segments by seeking: only what they need, as if cut from the whole track.

    Args:
        source: a path, or what probe said of it.
        sample_rate: the target rate in Hz.
        start_seconds: where each segment starts, in any order, overlapping or not.
        segment_seconds: their length.
        on_warning: called with one sentence per damage found while decoding.

    Returns:
        Shape (n_segments, segment_samples), rows as start_seconds; what lies behind the end of the
        track is zero.

    Raises:
        AudioError: as load, or nothing can be decoded where a segment should be.
    """
    info = _info_of(source)
    alignment = Alignment(info.sample_rate, sample_rate)
    n_output = alignment.n_output(info.n_samples)
    firsts = [round(start * sample_rate) for start in start_seconds]
    if any(first < 0 for first in firsts):
        raise AudioError(
            f"{info.path}: a segment starts at {min(start_seconds)} s, before the track"
        )
    size = round(segment_seconds * sample_rate)
    segments = np.zeros((len(firsts), size), np.float32)
    with _open_track(info, True, on_warning) as track:
        for run in _runs(firsts, size, sample_rate, n_output):
            run_first = firsts[run[0]]
            stop = min(max(firsts[row] for row in run) + size, n_output)
            part = _part(track, alignment, run_first, stop)[0]
            for row in run:
                cut = part[firsts[row] - run_first :][:size]
                segments[row, : len(cut)] = cut
    return segments


def _runs(firsts: list[int], size: int, sample_rate: int, n_output: int) -> Iterator[list[int]]:
    """Group rows whose segments lie near each other, in the order of the track."""
    rows = [row for row in np.argsort(firsts, kind="stable").tolist() if firsts[row] < n_output]
    run: list[int] = []
    for row in rows:
        is_near = run and firsts[row] - firsts[run[-1]] - size < _GAP_SECONDS * sample_rate
        if not is_near or firsts[row] - firsts[run[0]] > _RUN_SECONDS * sample_rate:
            if run:
                yield run
            run = []
        run.append(row)
    if run:
        yield run


def _part(track: _DecodedTrack, alignment: Alignment, first: int, stop: int) -> Waveform:
    """Return resampled samples [first, stop), decoding a margin for the filter around them."""
    input_first, input_stop = alignment.input_span(first, stop)
    decoded = track.read(input_first, min(input_stop, track.info.n_samples))
    if not decoded.shape[1]:
        at = first / alignment.to_hz
        raise AudioError(
            f"{track.info.path}: nothing could be decoded at {at:.1f} s{track.problem}; it is "
            "damaged"
        )
    offset = first - alignment.output_of(input_first)
    resampled = resample(decoded, track.info.sample_rate, alignment.to_hz)
    return resampled[:, offset : offset + stop - first]


class _DecodedTrack:
    """An open file that is read by position, and goes on with PyAV where libsndfile stops."""

    def __init__(self, info: AudioInfo, mono: bool, on_warning: OnWarning | None) -> None:
        self.info = info
        self.n_channels = info.n_channels if info.n_channels <= 2 and not mono else 1
        self._on_warning = on_warning or (lambda _: None)
        self._is_damaged = False
        self.problem = ""
        self._mixer = Mixer(weights(info.n_channels, info.channel_names))
        self._reader: Reader = _open_reader(info)
        self._position = 0
        n_values = 2 * _PIECE_SAMPLES if info.decoder == "soundfile" else BLOCK_SAMPLES
        self._piece_samples = max(1, n_values // max(2, info.n_channels))

    def read(self, first: int, stop: int) -> Waveform:
        """Decode samples [first, stop), fewer where the track ends before."""
        try:
            decoded = np.empty((self.n_channels, max(0, stop - first)), np.float32)
        except MemoryError as error:
            seconds = (stop - first) / self.info.sample_rate
            raise AudioError(
                f"{self.info.path} claims {seconds:,.0f} s, which do not fit into memory at once"
            ) from error
        n_done = 0
        while n_done < decoded.shape[1]:
            n_piece = min(self._piece_samples, decoded.shape[1] - n_done)
            piece = self._read_piece(first + n_done, n_piece)
            if not piece.shape[1]:
                self._miss(first + n_done, stop)
                break
            target = decoded[:, n_done : n_done + piece.shape[1]]
            if self.n_channels < piece.shape[0]:
                self._mixer.mix(piece, target, first + n_done)
            else:
                target[:] = piece
            n_done += piece.shape[1]
        check_finite(decoded[:, :n_done], self.info.path)
        return decoded[:, :n_done]

    def _read_piece(self, first: int, n_samples: int) -> Waveform:
        try:
            if first != self._position:
                self._reader.seek(first)
                self._position = first
            piece = self._reader.read(n_samples)
        except DecodeError as error:
            if not isinstance(self._reader, SoundfileReader):
                self.problem = f" ({error})"
                self._warn(f"damaged near {first / self.info.sample_rate:.1f} s: {error}")
                return np.zeros((self.info.n_channels, 0), np.float32)
            self._go_on_with_pyav(first, error)
            return self._read_piece(first, n_samples)
        self._position += piece.shape[1]
        return piece

    def _go_on_with_pyav(self, first: int, error: DecodeError) -> None:
        """Replace libsndfile, which stops at the first damage; FFmpeg leaves out what is broken."""
        at = first / self.info.sample_rate
        try:
            reader = IsolatedReader(self.info.path)
        except (DecodeError, OSError) as second:
            raise AudioError(
                f"{self.info.path}: damaged near {at:.1f} s (soundfile: {error}; PyAV: {second}); "
                "copy it again"
            ) from second
        if (reader.sample_rate, reader.n_channels) != (self.info.sample_rate, self.info.n_channels):
            reader.close()
            raise AudioError(f"{self.info.path}: changed while it was read; try again") from error
        self._warn(f"damaged near {at:.1f} s; what FFmpeg could decode was used")
        self._reader.close()
        self._reader, self._position = reader, -1

    def _miss(self, first: int, stop: int) -> None:
        if (stop - first) / self.info.sample_rate > _MISSING_SECONDS:
            at = first / self.info.sample_rate
            self._warn(f"ends at {at:.1f} s of {self.info.duration_seconds:.1f} s; it is damaged")

    def _warn(self, sentence: str) -> None:
        if not self._is_damaged:
            self._on_warning(sentence)
        self._is_damaged = True

    def close(self) -> None:
        if self._reader.n_damaged:
            self._warn(f"{self._reader.n_damaged} damaged packets were left out")
        if self._mixer.has_cancelled:
            self._on_warning(CANCELLED)
        self._reader.close()


@contextmanager
def _open_track(
    info: AudioInfo, mono: bool, on_warning: OnWarning | None
) -> Iterator[_DecodedTrack]:
    track = _DecodedTrack(info, mono, on_warning)
    try:
        yield track
    finally:
        track.close()


def _open_reader(info: AudioInfo) -> Reader:
    def open_link(link: Link) -> Reader:
        return IsolatedReader(info.path, link.span)

    try:
        if info.links:
            return ChainReader(info, open_link)
        is_own = info.decoder == "soundfile"
        return SoundfileReader(info.path) if is_own else IsolatedReader(info.path)
    except (DecodeError, OSError) as error:
        raise AudioError(f"{info.path}: cannot be opened any more: {error}") from error


def _info_of(source: Source) -> AudioInfo:
    return source if isinstance(source, AudioInfo) else probe(source)
