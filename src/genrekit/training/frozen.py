"""Tracks heard as the product hears them, by a network that is not being trained.

What is heard once is kept on the disk by the audio's and the network's SHA-256, so that a killed
run continues and the next recipe starts at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from genrekit import audio, features, files
from genrekit.datasets import Track
from genrekit.errors import AudioError, ModelError
from genrekit.features import image
from genrekit.features.spec import FeatureSpec
from genrekit.inference import segments
from genrekit.training import augment
from genrekit.training.recipe import Augmentation
from genrekit.workers import n_cores

Floats = NDArray[np.float32]
BATCH_SIZE = 16


class TrackOutput(NamedTuple):
    """One track: segment starts in seconds (n_segments,), a network's output (n_segments, d)."""

    starts_seconds: Floats
    output: Floats


def cut(path: Path, spec: FeatureSpec, *, whole: bool = False) -> tuple[Floats, Floats]:
    """Cut a track into the segments that the product would hear.

    Args:
        path: the audio, or the track's first image: then each image is a segment.
        spec: the front end.
        whole: hear every segment, however long the track is.

    Returns:
        Starts in seconds (n_segments,), normalised features (n_segments, n_bins, n_frames).

    Raises:
        AudioError: the file cannot be heard.
    """
    if image.is_image(path):
        decibels = image.read_track(path, spec).decibels.astype(np.float32)
        computed = features.normalise(decibels, spec)
        starts = np.arange(len(computed)) * spec.segment_seconds
        return starts.astype(np.float32), computed
    duration_seconds = audio.probe(path).duration_seconds
    n_spread = None if whole else segments.n_spread(duration_seconds, spec, None)
    if n_spread is not None:
        spread = segments.spread_starts(duration_seconds, spec, n_spread)
        waveform = audio.read_segments(path, spec.sample_rate, spread, spec.segment_seconds)
        return np.array(spread, np.float32), features.compute(waveform, spec)
    firsts, cuts = [], []
    for first, waveform in segments.cut_whole(audio.blocks(path, spec.sample_rate), spec):
        hops = np.arange(len(waveform)) * spec.segment_hop_seconds
        firsts.append((first / spec.sample_rate + hops).astype(np.float32))
        cuts.append(features.compute(waveform, spec))
    if not cuts:
        raise AudioError(f"{path} holds no audio; remove it from the dataset")
    return np.concatenate(firsts), np.concatenate(cuts)


@dataclass(frozen=True)
class Alteration:
    """How a copy of a track is changed before it is heard; the seed decides, not the moment."""

    settings: Augmentation
    seed: int

    def __call__(self, computed: Floats, spec: FeatureSpec, digest: str) -> Floats:
        """Change normalised features, of shape (n_segments, n_bins, n_frames).

        Args:
            computed: the features.
            spec: their front end.
            digest: the file's SHA-256, so that every track is changed in its own way.
        """
        rng = np.random.default_rng((self.seed, int(digest[:16], 16)))
        return augment.spectral(computed, spec, self.settings, rng)


class FrozenNetwork:
    """An ONNX network and its front end, on all cores."""

    def __init__(self, model: bytes, spec: FeatureSpec) -> None:
        """Load the network.

        Args:
            model: an ONNX file's bytes, with input "features".
            spec: its front end.

        Raises:
            ModelError: ONNX Runtime cannot load it.
        """
        import onnxruntime

        self.model = model
        self.spec = spec
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_cores()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no public base class
            raise ModelError(f"the frozen network cannot be loaded: {error}") from error
        self.outputs = [output.name for output in self._session.get_outputs()]

    @cached_property
    def model_sha256(self) -> Any:
        """The hash of the model so far, to copy and go on: it takes half a second for VGG16."""
        return hashlib.sha256(self.model)

    def width(self, output: str) -> int:
        """Return how many values an output has for one segment.

        Raises:
            ModelError: the network has no such output.
        """
        silence = np.zeros((1, self.spec.n_bins, self.spec.n_frames), np.float32)
        return int(self.run(silence, output).shape[1])

    def run(self, computed: Floats, output: str) -> Floats:
        """Return one output. Shape (n_segments, n_bins, n_frames) -> (n_segments, d).

        Raises:
            ModelError: the network has no such output.
        """
        if output not in self.outputs:
            raise ModelError(
                f"the network has no output {output!r}, only {', '.join(self.outputs)}; use a "
                "model that has one"
            )
        batches = [
            self._session.run([output], {"features": computed[start : start + BATCH_SIZE]})[0]
            for start in range(0, len(computed), BATCH_SIZE)
        ]
        result: Floats = np.concatenate(batches)
        return result


@dataclass(frozen=True)
class CachedExtractor:
    """A frozen network and the folder that remembers what it said.

    With an alteration it hears a changed copy of every track.
    """

    network: FrozenNetwork
    output: str
    memory: Path
    whole: bool = False
    alteration: Alteration | None = None
    # The last file heard for its stretches, which come one after another: seconds, and what of it.
    _last: dict[Path, tuple[float, TrackOutput]] = field(
        default_factory=dict, init=False, repr=False
    )

    def hear(self, track: Track) -> TrackOutput:
        """Return what the network says of a track, from memory where it has been heard before.

        Raises:
            AudioError: the file cannot be heard, or no segment has its middle in the track's
                stretch.
            OSError: the memory cannot be written.
        """
        if track.part is None:
            return self._hear(track.path, self.whole)
        duration_seconds, heard = self._hear_for_stretches(track.path)
        middles = heard.starts_seconds + self.network.spec.segment_seconds / 2
        inside = [track.part.holds(middle, duration_seconds) for middle in middles.tolist()]
        if not any(inside):
            raise AudioError(f"{track.track_id}: the network hears no segment in this part")
        return TrackOutput(heard.starts_seconds[inside], heard.output[inside])

    def _hear_for_stretches(self, path: Path) -> tuple[float, TrackOutput]:
        if path not in self._last:
            self._last.clear()
            duration_seconds = _duration_seconds(path, self.network.spec)
            spread = segments.n_spread(duration_seconds, self.network.spec, None) is not None
            self._last[path] = duration_seconds, self._hear(path, self.whole or spread)
        return self._last[path]

    def _hear(self, path: Path, whole: bool) -> TrackOutput:
        digest = image.sha256(path) if image.is_image(path) else files.sha256(path)
        record = self.memory / self._key(whole) / f"{digest}.npz"
        remembered = _read(record)
        if remembered:
            return remembered
        starts, computed = cut(path, self.network.spec, whole=whole)
        if self.alteration:
            computed = self.alteration(computed, self.network.spec, digest)
        heard = TrackOutput(starts, self.network.run(computed, self.output))
        with files.write_beside(record) as stream:
            np.savez(stream, starts_seconds=heard.starts_seconds, output=heard.output)
        return heard

    def hear_all(
        self, tracks: Sequence[Track], advance: Callable[[], None]
    ) -> tuple[dict[str, TrackOutput], dict[str, str]]:
        """Hear many tracks; one that cannot be heard fails alone.

        Returns:
            What was said, and why a track could not be heard, both by track_id.

        Raises:
            OSError: the memory cannot be written.
        """
        heard: dict[str, TrackOutput] = {}
        failures: dict[str, str] = {}
        for track in tracks:
            try:
                heard[track.track_id] = self.hear(track)
            except AudioError as error:
                failures[track.track_id] = str(error)
            advance()
        return heard, failures

    def _key(self, whole: bool) -> str:
        parts = (self.network.spec.digest(), self.output, str(whole), str(self.alteration))
        key = self.network.model_sha256.copy()
        key.update("".join(parts).encode())
        digest: str = key.hexdigest()
        return digest[:16]


def _duration_seconds(path: Path, spec: FeatureSpec) -> float:
    if image.is_image(path):
        return len(image.parts(path)) * spec.segment_seconds
    return audio.probe(path).duration_seconds


def _read(record: Path) -> TrackOutput | None:
    try:
        with record.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return TrackOutput(arrays["starts_seconds"], arrays["output"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # not there yet, or damaged
        return None
