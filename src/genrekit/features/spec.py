"""FeatureSpec: all parameters of a front end, kept in the model's card and nowhere else."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from genrekit.errors import unknown_name

PositiveInt = Annotated[int, Field(gt=0)]
PositiveSeconds = Annotated[float, Field(ge=1e-3, le=86_400, allow_inf_nan=False)]
_MAX_VALUES = 1 << 26  # of one segment


@dataclass(frozen=True)
class FrontEndKind:
    """One kind of front end: a module of genrekit.features defines it as ``KIND``.

    Args:
        compute: computes the features of segments, shape (..., samples) -> (..., n_bins,
            n_frames). Those of a spectrogram are decibels, not normalised.
        n_bins: the rows of the features.
        bin_hz: the centre of each row in Hz, shape (n_bins,); None if the features are not a
            spectrogram, but columns defined by fixed parameters.
    """

    compute: Callable[[NDArray[Any], FeatureSpec], NDArray[np.float32]]
    n_bins: Callable[[FeatureSpec], int]
    bin_hz: Callable[[FeatureSpec], NDArray[np.float64]] | None = None


@cache
def find_kind(name: str) -> FrontEndKind | None:
    """Return the kind of front end of this name, a module's; None if there is none."""
    package = __name__.rpartition(".")[0]
    modules = importlib.import_module(package).__path__
    if name not in {info.name for info in pkgutil.iter_modules(modules)}:
        return None
    kind: FrontEndKind | None = getattr(importlib.import_module(f"{package}.{name}"), "KIND", None)
    return kind


def kinds() -> list[str]:
    """Return the names of all kinds of front ends."""
    modules = importlib.import_module(__name__.rpartition(".")[0]).__path__
    return [info.name for info in pkgutil.iter_modules(modules) if find_kind(info.name)]


class FeatureSpec(BaseModel):
    """The parameters that turn a waveform into a network's input.

    A trained model carries its FeatureSpec in ``card.json``; training, evaluation and prediction
    read the same one, so there is only one front end. With ``first_seconds`` only the first seconds
    of a track are used. With ``level_db`` every segment is brought to that mean power of its
    spectrogram, in decibels re 1.0, so that the volume does not matter.

    >>> spec = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=96)
    >>> spec.segment_samples, spec.n_frames, spec.n_bins
    (48000, 188, 96)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "log_mel"  # a module of genrekit.features with a KIND
    sample_rate: Annotated[int, Field(gt=0, le=768_000)] = 22050
    n_fft: Annotated[int, Field(gt=0, le=1 << 17)] = 2048
    hop_length: PositiveInt = 512
    window: Literal["hann"] = "hann"
    padding: Literal["reflect", "zeros"] = "reflect"
    n_mels: Annotated[int, Field(gt=0, le=4096)] = 128
    f_min: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    f_max: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    floor_db: Annotated[float, Field(lt=0, ge=-1000, allow_inf_nan=False)] = -100.0
    mean: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] = 0.0
    std: Annotated[float, Field(ge=1e-9, le=1e9, allow_inf_nan=False)] = 1.0
    segment_seconds: PositiveSeconds = 3.0
    segment_hop_seconds: PositiveSeconds = 3.0
    first_seconds: PositiveSeconds | None = None
    level_db: Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)] | None = None

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        if find_kind(kind) is None:
            raise ValueError(unknown_name("kind of front end", kind, kinds()))
        return kind

    @model_validator(mode="after")
    def _check(self) -> FeatureSpec:
        free = {"kind", "segment_seconds", "segment_hop_seconds"}
        set_ = self.model_dump(exclude=free, exclude_defaults=True)
        if not self.is_spectrogram and set_:
            raise ValueError(
                f"the hand-crafted columns have fixed parameters; got {', '.join(set_)}; expected "
                "only segment_seconds and segment_hop_seconds"
            )
        if self.f_max is not None and not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(
                f"f_max is {self.f_max} Hz; expected above f_min ({self.f_min} Hz) and at most "
                f"half of sample_rate ({self.sample_rate / 2} Hz)"
            )
        if self.hop_length > self.n_fft:
            raise ValueError(f"hop_length {self.hop_length} is larger than n_fft {self.n_fft}")
        if self.segment_samples < self.n_fft:
            raise ValueError(
                f"segment_seconds {self.segment_seconds} is shorter than one window of n_fft "
                f"{self.n_fft} samples"
            )
        if max(self.segment_samples, self.n_bins * self.n_frames) > _MAX_VALUES:
            raise ValueError(
                f"a segment of {self.segment_seconds} s has {self.segment_samples} samples and "
                f"{self.n_bins} x {self.n_frames} features; at most {_MAX_VALUES} of each fit"
            )
        if self.first_seconds is not None and self.first_seconds < self.segment_seconds:
            raise ValueError(
                f"first_seconds {self.first_seconds} is shorter than one segment of "
                f"{self.segment_seconds} s; give at least that"
            )
        return self

    def used_seconds(self, duration_seconds: float) -> float:
        """Return how much of a track of this length is used.

        >>> FeatureSpec(first_seconds=3.0).used_seconds(30.0), FeatureSpec().used_seconds(30.0)
        (3.0, 30.0)
        """
        return min(duration_seconds, self.first_seconds or duration_seconds)

    @property
    def front_end(self) -> FrontEndKind:
        """The kind of front end that ``kind`` names."""
        found = find_kind(self.kind)
        if found is None:  # a spec created without validation
            raise ValueError(unknown_name("kind of front end", self.kind, kinds()))
        return found

    @property
    def is_spectrogram(self) -> bool:
        """Whether the features are decibels over frequency and time."""
        return self.front_end.bin_hz is not None

    @property
    def bin_hz(self) -> NDArray[np.float64]:
        """The centre of every bin of a spectrogram in Hz. Shape (n_bins,)."""
        if self.front_end.bin_hz is None:
            raise ValueError(f"got kind {self.kind!r}; expected a kind of spectrogram")
        return self.front_end.bin_hz(self)

    @property
    def segment_samples(self) -> int:
        """Samples in one segment."""
        return round(self.segment_seconds * self.sample_rate)

    @property
    def n_frames(self) -> int:
        """Frames of one segment: 1 + segment_samples // hop_length (centred), 1 if handcrafted."""
        return 1 + self.segment_samples // self.hop_length if self.is_spectrogram else 1

    @property
    def n_bins(self) -> int:
        """Rows of the features: n_mels, 1 + n_fft // 2 for log_stft, 57 if handcrafted."""
        return self.front_end.n_bins(self)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON form, the key of caches and cards."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
