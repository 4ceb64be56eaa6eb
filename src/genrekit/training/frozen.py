"""Frozen networks, and their outputs for tracks, cached on disk between runs.

Outputs are stored by the audio's and the network's SHA-256, so that a killed run can continue and
the next recipe can start at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from genrekit import files
from genrekit.errors import AudioError
from genrekit.inference import segments
from genrekit.models.runtime import Features, Network, silence
from genrekit.progress import progress
from genrekit.training import augment
from genrekit.workers import n_cores

if TYPE_CHECKING:
    from genrekit.datasets import Track
    from genrekit.features.spec import FeatureSpec
    from genrekit.models.card import View
    from genrekit.training.recipe import Augmentation

Floats = NDArray[np.float32]


class TrackOutput(NamedTuple):
    """One track: segment starts in seconds (n_segments,), a network's output (n_segments, d)."""

    starts_seconds: Floats
    output: Floats


@dataclass(frozen=True)
class Alteration:
    """How a copy of a track is changed; it depends on the seed only."""

    settings: Augmentation
    seed: int

    def __call__(self, features: Features, views: Sequence[View], digest: str) -> Features:
        """Change normalised features.

        Args:
            features: by the view's name. Shapes (n_segments, n_bins, n_frames).
            views: the front end of each.
            digest: the file's SHA-256, so that every track is changed differently.
        """
        rng = np.random.default_rng((self.seed, int(digest[:16], 16)))
        return {
            view.name: augment.spectral(features[view.name], view.features, self.settings, rng)
            for view in views
        }


class FrozenNetwork:
    """An ONNX network on all cores, and its front end."""

    def __init__(self, model: bytes, views: Sequence[View]) -> None:
        """Load the network.

        Args:
            model: an ONNX file's bytes.
            views: its inputs.

        Raises:
            ModelError: ONNX Runtime cannot load it, or its inputs are not the views.
        """
        from genrekit.inference.frontend import FrontEnd

        self.model = model
        self.front_end = FrontEnd(views, images="any")
        self._network = Network(model, views, "the frozen network", n_cores())

    @property
    def views(self) -> tuple[View, ...]:
        """The network's inputs."""
        return self.front_end.views

    @property
    def spec(self) -> FeatureSpec:
        """The first view's front end."""
        return self.views[0].features

    @cached_property
    def model_sha256(self) -> Any:
        """The hash of the model, to copy and extend: computing it takes half a second for VGG16."""
        return hashlib.sha256(self.model)

    def width(self, output: str) -> int:
        """Return the number of values of an output per segment.

        Raises:
            ModelError: the network has no such output.
        """
        return int(self.run(silence(self.views), output).shape[1])

    def run(self, features: Features, output: str) -> Floats:
        """Return one output of every segment.

        Args:
            features: of every view, by its name. Shapes (n_segments, n_bins, n_frames).
            output: its name.

        Returns:
            Shape (n_segments, d).

        Raises:
            ModelError: the network has no such output.
        """
        return self._network.run(features, output)[0]


@dataclass(frozen=True)
class CachedExtractor:
    """A frozen network, and the folder that caches its output for every track.

    ``whole`` uses every segment, however long a track is. With an alteration the output is that
    of a changed copy of every track.
    """

    network: FrozenNetwork
    output: str
    cache: Path
    whole: bool = False
    alteration: Alteration | None = None
    # Parts of one file come one after another: the seconds and output of the last such file.
    _last: dict[Path, tuple[float, TrackOutput]] = field(
        default_factory=dict, init=False, repr=False
    )

    def extract(self, track: Track) -> TrackOutput:
        """Return the output of a track, from the cache if possible.

        Raises:
            AudioError: the file cannot be decoded, or no segment has its middle in the part that
                the track is.
            OSError: the cache cannot be written.
        """
        if track.part is None:
            return self._extract(track.path, self.whole)
        duration_seconds, found = self._extract_for_parts(track.path)
        middles = found.starts_seconds + self.network.spec.segment_seconds / 2
        inside = [track.part.holds(middle, duration_seconds) for middle in middles.tolist()]
        if not any(inside):
            raise AudioError(f"{track.track_id}: no segment has its middle in this part")
        return TrackOutput(found.starts_seconds[inside], found.output[inside])

    def extract_all(
        self, tracks: Sequence[Track], title: str
    ) -> tuple[dict[str, TrackOutput], dict[str, str]]:
        """Return the outputs of many tracks; one that cannot be decoded fails on its own.

        Args:
            tracks: any.
            title: of the progress bar.

        Returns:
            The outputs, and the reasons why tracks have none, both by track_id.

        Raises:
            OSError: the cache cannot be written.
        """
        outputs: dict[str, TrackOutput] = {}
        failures: dict[str, str] = {}
        with progress(title, len(tracks)) as advance:
            for track in tracks:
                try:
                    outputs[track.track_id] = self.extract(track)
                except AudioError as error:
                    failures[track.track_id] = str(error)
                advance()
        return outputs, failures

    def _extract_for_parts(self, path: Path) -> tuple[float, TrackOutput]:
        if path not in self._last:
            self._last.clear()
            from genrekit.inference import frontend

            duration_seconds = frontend.duration_seconds(path, self.network.spec)
            spread = segments.n_spread(duration_seconds, self.network.spec, None) is not None
            self._last[path] = duration_seconds, self._extract(path, self.whole or spread)
        return self._last[path]

    def _extract(self, path: Path, whole: bool) -> TrackOutput:
        from genrekit.inference import frontend

        digest = frontend.sha256(path)
        record = self.cache / self._key(whole) / f"{digest}.npz"
        cached = _read(record)
        if cached:
            return cached
        track = self.network.front_end.open(path, "all" if whole else None).all()
        inputs = track.features
        if self.alteration:
            inputs = self.alteration(inputs, self.network.views, digest)
        starts = np.array(track.starts_seconds, np.float32)
        found = TrackOutput(starts, self.network.run(inputs, self.output))
        with files.write_beside(record) as stream:
            np.savez(stream, starts_seconds=found.starts_seconds, output=found.output)
        return found

    def _key(self, whole: bool) -> str:
        specs = "".join(view.features.digest() for view in self.network.views)
        parts = (specs, self.output, str(whole), str(self.alteration))
        key = self.network.model_sha256.copy()
        key.update("".join(parts).encode())
        digest: str = key.hexdigest()
        return digest[:16]


def _read(record: Path) -> TrackOutput | None:
    try:
        with record.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return TrackOutput(arrays["starts_seconds"], arrays["output"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # missing, or damaged
        return None
