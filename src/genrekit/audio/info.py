"""AudioInfo: what is known of a file before it is heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DecoderName = Literal["soundfile", "pyav"]


@dataclass(frozen=True)
class AudioInfo:
    """A file that can be heard, with a length that was checked.

    ``n_samples`` counts samples of one channel at ``sample_rate``, the file's own rate in Hz.
    ``channel_names`` are FFmpeg's names of the channels ("FL", "LFE"), empty where not known.
    ``warnings`` says in one sentence each what is wrong with a file that can be heard nevertheless.
    """

    path: Path
    decoder: DecoderName
    sample_rate: int
    n_channels: int
    n_samples: int
    warnings: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()

    @property
    def duration_seconds(self) -> float:
        """Length of the audio that can be decoded."""
        return self.n_samples / self.sample_rate
