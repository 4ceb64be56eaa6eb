"""The common interface of both decoders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

Waveform = NDArray[np.float32]

_VORBIS_PREROLL_SAMPLES = 1 << 15


PROTECTED = "its audio is protected (DRM)"


class DecodeError(Exception):
    """A decoder cannot continue; the text is the decoder's own reason."""


class Reader(Protocol):
    """An open file: seek to a sample, read on from there."""

    sample_rate: int
    n_channels: int

    @property
    def n_damaged(self) -> int:
        """The number of damaged packets skipped so far."""

    def seek(self, sample: int) -> None:
        """Go to a sample of the decoded track.

        Raises:
            DecodeError: the decoder cannot.
        """

    def read(self, n_samples: int) -> Waveform:
        """Decode on: shape (n_channels, n), with n below n_samples only at the end of the file.

        What is returned holds until the next call.

        Raises:
            DecodeError: the file is damaged here.
        """

    def close(self) -> None:
        """Close the file."""


class SoundfileReader:
    """libsndfile: WAV, FLAC, Ogg, Opus, MP3, AIFF, AU and more. It stops at the first damage."""

    n_damaged = 0

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            DecodeError: libsndfile does not read it.
        """
        # Bytes, because a file's name need not be valid UTF-8.
        name: Any = str(path) if os.name == "nt" else os.fsencode(path)
        try:
            self._file = soundfile.SoundFile(name)
        except (soundfile.SoundFileError, TypeError, OSError) as error:
            raise DecodeError(_reason(error)) from error
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self._name, self._position = name, 0
        self.n_samples_claimed = int(self._file.frames)
        self.format = str(self._file.format)
        self.subtype = str(self._file.subtype)
        self.header = str(self._file.extra_info)

    def seek(self, sample: int) -> None:
        """Go to a sample of the decoded track."""
        try:
            if self.subtype == "VORBIS":
                self._seek_vorbis(sample)
            else:
                self._file.seek(sample)
        except soundfile.SoundFileError as error:
            raise DecodeError(_reason(error)) from error
        self._position = sample

    def _seek_vorbis(self, sample: int) -> None:
        """Seek with a fresh handle to well before the sample, then decode up to it.

        libsndfile's own seek in Ogg Vorbis is wrong by up to a block in 1 of 30 seeks of a used
        handle and in 1 of 250 of a fresh one, mostly on the last pages; so it never was in 3,300
        trials that began this much earlier.
        """
        if not self._position <= sample < self._position + 2 * _VORBIS_PREROLL_SAMPLES:
            self._file.close()
            self._file = soundfile.SoundFile(self._name)
            self._position = max(0, sample - _VORBIS_PREROLL_SAMPLES)
            self._file.seek(self._position)
        self._file.read(sample - self._position, dtype="float32")

    def read(self, n_samples: int) -> Waveform:
        """Decode on: shape (n_channels, n)."""
        try:
            block: Waveform = self._file.read(n_samples, dtype="float32", always_2d=True).T
        except soundfile.SoundFileError as error:
            raise DecodeError(_reason(error)) from error
        except ValueError as error:  # soundfile counts back from where libsndfile stands
            raise DecodeError("stands behind the end after seeking") from error
        self._position += block.shape[1]
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _reason(error: Exception) -> str:
    """Return libsndfile's words, without the prefix that repeats the file's name."""
    if getattr(error, "code", 0) == 7:  # libsndfile's "no such file", though the file is there
        return "Format not recognised"
    text = getattr(error, "error_string", "") or str(error)
    return " ".join(text.split()).rstrip(". ") or f"error {getattr(error, 'code', '')}".strip()
