"""AudioInfo: what is known about a file before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genrekit.audio.byte_range import ByteSpan
from genrekit.errors import AudioError

MAX_RATE_HZ = 3_072_000  # DSD512 as it is decoded has 2,822,400
DecoderName = Literal["soundfile", "pyav"]


@dataclass(frozen=True)
class Link:
    """A part of a file that is a complete stream, with its own rate, channels and length."""

    span: ByteSpan
    sample_rate: int
    n_channels: int
    n_samples: int
    channel_names: tuple[str, ...] = ()

    def n_samples_at(self, sample_rate: int) -> int:
        """Return its length at another rate in Hz."""
        return round(self.n_samples * sample_rate / self.sample_rate)


@dataclass(frozen=True)
class AudioInfo:
    """A file that can be decoded, with its checked length.

    ``n_samples`` counts samples of one channel at ``sample_rate``, the file's own rate in Hz.
    ``channel_names`` are FFmpeg's names of the channels ("FL", "LFE"), empty if unknown.
    ``links`` are the streams of a file with several, or the one after a damaged beginning; the
    rate is then the highest of theirs.
    ``warnings`` are the problems of a file that can be decoded, one sentence each.

    Raises:
        AudioError: the rate is above MAX_RATE_HZ; a minute would not fit into memory.
    """

    path: Path
    decoder: DecoderName
    sample_rate: int
    n_channels: int
    n_samples: int
    warnings: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        if self.sample_rate > MAX_RATE_HZ:
            raise AudioError(
                f"{self.path} claims {self.sample_rate:,} samples per second; expected at most "
                f"{MAX_RATE_HZ:,}; its header is damaged"
            )

    @property
    def duration_seconds(self) -> float:
        """Length of the audio that can be decoded."""
        return self.n_samples / self.sample_rate
