"""The spectrogram that a network takes of a track, small enough to send to a page."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import AudioError
from genrekit.features.log_mel import log_mel
from genrekit.features.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genrekit.inference.classifier import Classifier
    from genrekit.inference.frontend import PathLike, Segments
    from genrekit.models.card import View

MAX_SEGMENTS = 400  # of 3 s: 20 minutes, 7 MB
_LEVELS = 255
_RANGE_DB = 80.0


class Spectrogram:
    """Collects the features of segments as they are computed.

    >>> from genrekit import Classifier, demo
    >>> import pathlib, tempfile
    >>> classifier = Classifier("tests/golden/tiny")
    >>> collected = Spectrogram(classifier.card.views)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = demo.write(pathlib.Path(folder))[0]
    ...     prediction = classifier.predict_file(path, collected.add)
    >>> found = collected.to_dict()
    >>> found["n_bins"], found["n_frames"], len(found["starts_seconds"])
    (48, 188, 7)
    """

    def __init__(self, views: Sequence[View]) -> None:
        """Collect the first view; where it is a table, log-mel is made instead.

        Args:
            views: the model's.
        """
        spec = views[0].features
        self.seen_by_network = spec.is_spectrogram
        self._name = views[0].name
        self._spec = spec if self.seen_by_network else _log_mel_spec(spec)
        self._starts_seconds: list[float] = []
        self._decibels: list[NDArray[np.float32]] = []
        self.n_left_out = 0

    def add(self, batch: Segments) -> None:
        """Keep a batch of segments; from MAX_SEGMENTS on they are only counted.

        Raises:
            AudioError: the first view is a table and the track was not given as audio.
        """
        starts = batch.starts_seconds
        room = MAX_SEGMENTS - len(self._starts_seconds)
        self.n_left_out += max(0, len(starts) - room)
        if room <= 0:
            return
        if self.seen_by_network:
            computed = batch.features[self._name][:room]
            decibels = computed * np.float32(self._spec.std) + np.float32(self._spec.mean)
        elif batch.waveforms is None:
            raise AudioError("a spectrogram needs audio; the track was given as features")
        else:
            decibels = log_mel(batch.waveforms[:room], self._spec)
        self._starts_seconds += [round(start, 3) for start in starts[:room]]
        self._decibels.append(decibels)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        ``data`` is base64 of uint8, shape (n_segments, n_bins, n_frames), low bins first; 0 stands
        for ``low_db`` or less, 255 for ``high_db``. Segment i starts at ``starts_seconds[i]``; its
        frames are ``seconds_per_frame`` apart, the first one centred on the start.
        ``seen_by_network`` is false where the network takes a table of features instead.
        """
        spec = self._spec
        decibels = np.concatenate(self._decibels)  # (n_segments, n_bins, n_frames)
        high_db = float(decibels.max())
        low_db = max(spec.floor_db, high_db - _RANGE_DB)
        scaled = (decibels - low_db) * (_LEVELS / max(high_db - low_db, 1e-6))
        levels = scaled.round().clip(0, _LEVELS).astype(np.uint8)
        return {
            "data": base64.b64encode(levels.tobytes()).decode("ascii"),
            "n_segments": len(levels),
            "n_bins": levels.shape[1],
            "n_frames": levels.shape[2],
            "starts_seconds": self._starts_seconds,
            "n_left_out": self.n_left_out,
            "segment_seconds": spec.segment_seconds,
            "seconds_per_frame": spec.hop_length / spec.sample_rate,
            "bin_hz": spec.bin_hz.round(1).tolist(),
            "low_db": low_db,
            "high_db": high_db,
            "seen_by_network": self.seen_by_network,
        }


def spectrogram(classifier: Classifier, path: PathLike) -> dict[str, Any]:
    """Return the spectrogram of the segments that a classifier takes of a file.

    With its prediction from one reading of the file: ``classifier.predict_file(path,
    collected.add)`` with a ``Spectrogram`` of ``classifier.card.views``.

    Raises:
        AudioError: the file cannot be decoded.
    """
    collected = Spectrogram(classifier.card.views)
    classifier.predict_file(path, collected.add)
    return collected.to_dict()


def _log_mel_spec(spec: FeatureSpec) -> FeatureSpec:
    """Return a log-mel front end for segments of the same length and rate."""
    shared = {"sample_rate", "n_fft", "segment_seconds", "segment_hop_seconds"}
    return FeatureSpec(hop_length=spec.n_fft, n_mels=96, **spec.model_dump(include=shared))
