"""FFmpeg by PyAV: M4A, WMA, WebM, WavPack and all else, and MP3s whose length is not known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.audio import frames, ogg_timeline
from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.opening import choose_stream, open_container
from genrekit.audio.readers import DecodeError

Waveform = NDArray[np.float32]

# Decoders need a little before their output is right: MP3's bit reservoir reaches back at
# most 10 frames (0.26 s), Opus wants 0.08 s, AAC one frame.
_PREROLL_SECONDS = 0.3
_FORWARD_SECONDS = 1.0
# Bare streams whose times FFmpeg adds up from rounded durations: they are decoded from the start.
# So are Vorbis and FLAC in Ogg: after 5 and 30 of 100 seeks FFmpeg's first frame has a wrong time.
_DRIFTING = {"ac3", "eac3", "dts", "truehd"}
_CLOCK_FRAMES = 32


class PyavReader:
    """A file opened by FFmpeg. Sample 0 is the first one that the decoder gives out."""

    def __init__(self, path: Path, span: ByteSpan | None = None) -> None:
        """Open a file, or a span of it, and decode its first frame.

        Raises:
            DecodeError: FFmpeg does not read it, or it holds no audio.
        """
        self._path, self._span = path, span
        self.n_damaged = 0
        self.sample_rate = 0
        self._resampler: Any = None
        self._open()
        first = self._pending
        if first is None:
            self.close()
            raise DecodeError("no frame of its audio could be decoded")
        self.sample_rate = int(first.sample_rate)
        self.n_channels = int(first.layout.nb_channels)
        self.channel_names = frames.channel_names(first)
        self._set_clock(first)

    def _open(self) -> None:
        self._container = open_container(self._path, self._span)
        try:
            self._stream = choose_stream(self._container)
        except DecodeError:
            self.close()
            raise
        self._frames: Iterator[Any] = self._decode()
        self._pending = next(self._frames, None)
        self._skip: int = 0
        self._position: int = 0

    @property
    def container_name(self) -> str:
        """FFmpeg's name of the container."""
        return str(self._container.format.name)

    @property
    def claimed_samples(self) -> int | None:
        """Length after the container's own word, from sample 0 on; None if it has none."""
        import av

        if self._stream.duration is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        else:
            return None
        return round(seconds * self.sample_rate)

    def seek(self, sample: int) -> None:
        """Go to a sample of the decoded track.

        Raises:
            DecodeError: the file cannot be opened again.
        """
        near = self._position <= sample < self._position + _FORWARD_SECONDS * self.sample_rate
        if not near and not self._jump(sample) and sample < self._position:
            self._reopen()
        self._discard(sample - self._position)

    def _jump(self, sample: int) -> bool:
        """Let the container seek to a little before a sample; False: decode from the start."""
        import av

        early = sample - _PREROLL_SECONDS * self.sample_rate
        if early <= 0 or not self._is_timed:
            return False
        target = math.floor((early / self.sample_rate + self._origin_seconds) / self._tick)
        try:
            self._container.seek(target, stream=self._stream)
        except (av.FFmpegError, OSError):
            return self._reopen()
        self._frames = self._decode()
        self._skip = 0
        self._pending = next(self._frames, None)
        if self._pending is None or self._pending.pts is None:
            return self._reopen()
        self._position = self._position_of(self._pending)
        return True if 0 <= self._position <= sample else self._reopen()

    def _reopen(self) -> bool:
        self.close()
        self._open()
        return False

    def _set_clock(self, first: Any) -> None:
        """Learn from the first frames how their times become sample numbers.

        Where the container counts in milliseconds (Matroska, WMA) a frame's time is rounded. Frames
        start on a grid, though (their sizes have a common divisor), and a mean over many frames
        tells where the track's first sample lies, so the exact sample is found again.
        """
        self._is_timed = first.pts is not None and not self._is_drifting()
        self._tick = float(self._stream.time_base)
        self._grid, self._grid_offset = 1, 0
        if not self._is_timed:
            return
        self._origin_seconds = first.pts * self._tick
        ticks_per_sample = 1 / (self._tick * self.sample_rate)
        if ticks_per_sample > 0.5 and abs(ticks_per_sample - round(ticks_per_sample)) < 1e-6:
            return
        begin = [first, *itertools.islice(self._frames, _CLOCK_FRAMES - 1)]
        self._frames = itertools.chain(begin[1:], self._frames)
        sizes = [frame.samples for frame in begin]
        starts = np.cumsum([0, *sizes[:-1]]) / self.sample_rate
        if all(frame.pts is not None for frame in begin):
            errors = np.array([frame.pts for frame in begin]) * self._tick - starts
            self._origin_seconds = float(np.median(errors))
        grid = math.gcd(*sizes[1:-1]) if len(sizes) > 2 else 1
        # Vorbis mixes block sizes; all of them are multiples of 64.
        self._grid = math.gcd(grid, 64) if self._stream.codec.name == "vorbis" else grid
        self._grid_offset = sizes[0] % self._grid

    def _is_drifting(self) -> bool:
        """Whether its packets' times cannot be believed."""
        if self.container_name != "ogg":
            return self.container_name in _DRIFTING
        if self._stream.codec.name != "opus":
            return True
        timeline = ogg_timeline.read(self._path, self._span)
        return timeline is not None and not timeline.is_counted

    def _position_of(self, frame: Any) -> int:
        exact: float = (frame.pts * self._tick - self._origin_seconds) * self.sample_rate
        n_steps: int = round((exact - self._grid_offset) / self._grid)
        on_grid = n_steps * self._grid + self._grid_offset
        is_within_tick = abs(on_grid - exact) <= self._tick * self.sample_rate
        return on_grid if is_within_tick else round(exact)

    def _discard(self, n_samples: int) -> None:
        while n_samples > 0 and self._pending is not None:
            n_here = min(n_samples, self._pending.samples - self._skip)
            self._advance(n_here)
            n_samples -= n_here

    def _advance(self, n_samples: int) -> None:
        self._skip += n_samples
        self._position += n_samples
        if self._pending is not None and self._skip >= self._pending.samples:
            self._pending, self._skip = next(self._frames, None), 0

    def read(self, n_samples: int, out: Waveform | None = None) -> Waveform:
        """Decode on: shape (n_channels, n), with n below n_samples only at the end of the file.

        Args:
            n_samples: how many.
            out: where to write them, shape (n_channels, n_samples).
        """
        waveform = np.empty((self.n_channels, n_samples), np.float32) if out is None else out
        n_done = 0
        while n_done < n_samples and self._pending is not None:
            frame = self._pending
            n_here = min(frame.samples - self._skip, n_samples - n_done)
            target = waveform[:, n_done : n_done + n_here]
            try:
                frames.copy_samples(frame, self._skip, target)
            except DecodeError:
                self.n_damaged += 1
                target[:] = 0
            n_done += n_here
            self._advance(n_here)
        return waveform[:, :n_done]

    def read_end(self) -> int:
        """Decode to the end of the file and return the number of the sample behind the last one."""
        while self._pending is not None:
            self._advance(self._pending.samples - self._skip)
        return self._position

    def count_end(self) -> int:
        """Return the sample behind the last packet, from the packets' times, without decoding.

        A container's packets say when they start and how long they last; where one does not, the
        track is decoded.
        """
        import av

        self._reopen()
        end: int | None = None
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None and packet.duration:
                    end = max(end or 0, packet.pts + packet.duration)
        except (av.FFmpegError, OSError):
            self.n_damaged += 1
        if end is None or not self._is_timed:
            self._reopen()
            return self.read_end()
        seconds: float = end * self._tick - self._origin_seconds
        return round(seconds * self.sample_rate)

    def _decode(self) -> Iterator[Any]:
        """Yield every frame that can be decoded; damaged packets are counted and left out."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self.n_damaged += 1
                return
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.EOFError:
                return
            except (av.FFmpegError, OSError):
                self.n_damaged += 1
                continue
            for frame in decoded:
                frames.keep_layout(frame)
                if frame.samples and frame.sample_rate == self.sample_rate:
                    self._resampler = None
                    yield frame
                else:
                    yield from self._at_one_rate(frame)

    def _at_one_rate(self, frame: Any) -> Iterator[Any]:
        """Return a frame; where the stream's rate has changed, at the first one's rate."""
        import av

        if not frame.samples or self.sample_rate in (0, frame.sample_rate):
            self._resampler = None
            return iter([frame] if frame.samples else [])
        try:
            self._resampler = self._resampler or av.AudioResampler(rate=self.sample_rate)
            resampled = self._resampler.resample(frame)
        except (av.FFmpegError, ValueError):
            self.n_damaged += 1
            self._resampler = None
            return iter([])
        for part in resampled[:1]:
            part.pts = frame.pts
        return iter(resampled)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
