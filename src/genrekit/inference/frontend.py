"""The only front end: from a track to its segments and the features of each view of a network.

Prediction, training, calibration, distillation, explanation and smoke runs all use it. A track is
an audio file, a waveform, images of its spectrogram, or precomputed features.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genrekit import features, files
from genrekit.audio.info import AudioInfo
from genrekit.audio.loading import blocks as audio_blocks
from genrekit.audio.loading import read_segments
from genrekit.audio.probing import probe
from genrekit.audio.signal import resample
from genrekit.errors import AudioError, ImageError, ModelError
from genrekit.features import image
from genrekit.features.spec import FeatureSpec
from genrekit.inference import segments
from genrekit.inference.segments import SegmentChoice
from genrekit.models.card import View, check_views

Floats = NDArray[np.float32]
PathLike = str | os.PathLike[str]

BLOCK_SECONDS = segments.WHOLE_TRACK_SECONDS  # so that a short track is one block


@dataclass(frozen=True)
class Segments:
    """Some segments of a track, in order.

    Attributes:
        starts_seconds: where they start.
        features: by the view's name. Shapes (n_segments, n_bins, n_frames).
        waveforms: at the front end's sample_rate, shape (n_segments, samples); None where the track
            was not given as audio.
    """

    starts_seconds: list[float]
    features: Mapping[str, Floats]
    waveforms: Floats | None = None


@dataclass
class OpenTrack:
    """A track whose segments are computed while it is iterated over.

    Attributes:
        duration_seconds: its length.
        warnings: the problems met in decoding so far, one sentence each.
    """

    duration_seconds: float
    batches: Iterator[Segments]
    warnings: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Segments]:
        return self.batches

    def all(self) -> Segments:
        """Return every segment at once.

        Raises:
            AudioError: no sample can be decoded.
        """
        batches = list(self)
        return Segments(
            [start for batch in batches for start in batch.starts_seconds],
            {
                name: np.concatenate([batch.features[name] for batch in batches])
                for name in batches[0].features
            },
        )


class FrontEnd:
    """Turns a track into the inputs of a network.

    >>> from genrekit import demo
    >>> from genrekit.models.card import one_view
    >>> front_end = FrontEnd(one_view(FeatureSpec(n_mels=64)))
    >>> track = front_end.open_waveform(demo.synthesise("drums"), demo.SAMPLE_RATE)
    >>> track.all().features["features"].shape[:2]
    (4, 64)
    """

    def __init__(
        self,
        views: Sequence[View],
        images: Literal["none", "published", "other", "any"] = "none",
        model: str = "",
    ) -> None:
        """Compute these views.

        Args:
            views: the network's inputs, all of the same segments.
            images: which images of spectrograms are accepted instead of audio, as
                ModelCard.images; "any" accepts all, as training does.
            model: the model's name, for errors.

        Raises:
            ValueError: the views do not go together.
        """
        check_views(views)
        self.views = tuple(views)
        self.images = images
        self._model = f"model {model!r}" if model else "the model"
        # Segments are cut once, at the highest rate; lower rates are resampled from the cut.
        self.spec = max((view.features for view in views), key=lambda spec: spec.sample_rate)

    @property
    def sample_rate(self) -> int:
        """The sample rate of the segments' waveforms, in Hz."""
        return self.spec.sample_rate

    def compute(self, waveforms: Floats) -> dict[str, Floats]:
        """Return the features of every view.

        Args:
            waveforms: audio in [-1, 1] at sample_rate. Shape (n_segments, samples).

        Returns:
            By the view's name, shapes (n_segments, n_bins, n_frames).

        Raises:
            AudioError: a value is not finite.
        """
        return {
            view.name: features.compute(self._at(waveforms, view.features), view.features)
            for view in self.views
        }

    def _at(self, waveforms: Floats, spec: FeatureSpec) -> Floats:
        """Resample cut segments to a view's rate, padding with silence, not with neighbours."""
        if spec.sample_rate == self.sample_rate:
            return waveforms
        resampled = resample(waveforms, self.sample_rate, spec.sample_rate)
        missing = spec.segment_samples - resampled.shape[1]
        if missing > 0:  # rounding: one sample at most
            return np.pad(resampled, ((0, 0), (0, missing)))
        return resampled[:, : spec.segment_samples]

    def open(self, source: PathLike | AudioInfo, choice: SegmentChoice = None) -> OpenTrack:
        """Open a file.

        Args:
            source: the path of audio or of a track's first image, or the result of audio.probe.
            choice: which segments; see genrekit.inference.segments.

        Raises:
            AudioError: the file cannot be decoded.
            ImageError: an image is damaged, or of a kind that this model does not take.
            ModelError: the model takes no audio.
        """
        path = source.path if isinstance(source, AudioInfo) else Path(source)
        if image.is_image(path):
            return self._open_images(path)
        self._check_takes_audio()
        info = source if isinstance(source, AudioInfo) else _probe(path)
        track = OpenTrack(info.duration_seconds, iter(()), list(info.warnings))
        track.batches = self._of_file(info, choice, track.warnings.append)
        return track

    def open_waveform(
        self, mono: Floats, sample_rate: int, choice: SegmentChoice = None
    ) -> OpenTrack:
        """Open a waveform.

        Args:
            mono: audio in [-1, 1]. Shape (1, samples).
            sample_rate: in Hz.
            choice: as for open.

        Raises:
            ModelError: the model takes no audio.
        """
        self._check_takes_audio()
        duration_seconds = mono.shape[-1] / sample_rate
        resampled = resample(mono, sample_rate, self.sample_rate)
        n_spread = segments.n_spread(duration_seconds, self.spec, choice)
        if n_spread is None:
            return OpenTrack(duration_seconds, self._whole([resampled]))
        starts = segments.spread_starts(duration_seconds, self.spec, n_spread)
        cut = segments.cut_spread(resampled, self.spec, starts)
        return OpenTrack(duration_seconds, iter([self._batch(starts, cut)]))

    def open_features(self, computed: Floats) -> OpenTrack:
        """Open a track from its features, for a model of one view.

        Args:
            computed: of consecutive segments. Shape (n_segments, n_bins, n_frames).
        """
        starts = [index * self.spec.segment_hop_seconds for index in range(len(computed))]
        batch = Segments(starts, {self.views[0].name: computed})
        return OpenTrack(starts[-1] + self.spec.segment_seconds, iter([batch]))

    def _of_file(
        self, info: AudioInfo, choice: SegmentChoice, warn: Callable[[str], None]
    ) -> Iterator[Segments]:
        n_spread = segments.n_spread(info.duration_seconds, self.spec, choice)
        if n_spread is None:
            yield from self._whole(
                audio_blocks(info, self.sample_rate, block_seconds=BLOCK_SECONDS, on_warning=warn)
            )
            return
        starts = segments.spread_starts(info.duration_seconds, self.spec, n_spread)
        read = partial(read_segments, on_warning=warn)
        yield self._batch(starts, read(info, self.sample_rate, starts, self.spec.segment_seconds))

    def _whole(self, blocks: Iterable[Floats]) -> Iterator[Segments]:
        is_empty = True
        for first, cut in segments.cut_whole(blocks, self.spec):
            start = first / self.sample_rate
            hop = self.spec.segment_hop_seconds
            yield self._batch([start + index * hop for index in range(len(cut))], cut)
            is_empty = False
        if is_empty:
            raise AudioError("no sample could be decoded; the file is damaged, copy it again")

    def _batch(self, starts: list[float], waveforms: Floats) -> Segments:
        return Segments(starts, self.compute(waveforms), waveforms)

    def _open_images(self, first: Path) -> OpenTrack:
        """Open a track's images; each is a segment."""
        if self.images == "none":
            raise ImageError(
                f"{first} is an image, but {self._model} takes audio; give the audio, or a model "
                "that was trained on images"
            )
        view = self.views[0]
        found = image.read_track(first, view.features)
        if self.images != "any" and found.is_known != (self.images == "published"):
            raise ImageError(
                f"{first} is drawn differently from the images that {self._model} was trained on; "
                "give images like those"
            )
        computed = features.normalise(found.decibels.astype(np.float32), view.features)
        starts = [index * self.spec.segment_seconds for index in range(len(computed))]
        duration_seconds = len(computed) * self.spec.segment_seconds
        return OpenTrack(duration_seconds, iter([Segments(starts, {view.name: computed})]))

    def _check_takes_audio(self) -> None:
        if self.images == "other":
            raise ModelError(
                f"{self._model} was trained on images of unknown origin, so it takes only such "
                "images and no audio; give PNG files"
            )


def duration_seconds(path: Path, spec: FeatureSpec) -> float:
    """Return the duration of a track: of its audio, or of the segments that its images show.

    Raises:
        AudioError: the file cannot be decoded.
    """
    if image.is_image(path):
        return len(image.parts(path)) * spec.segment_seconds
    return probe(path).duration_seconds


def sha256(path: Path) -> str:
    """Return the SHA-256 of a track's source: its file, or all of its images.

    Raises:
        OSError: a file cannot be read.
    """
    return image.sha256(path) if image.is_image(path) else files.sha256(path)


def _probe(path: Path) -> AudioInfo:
    if path.is_dir():
        empty = "" if files.audio_files(path) else " without audio files"
        raise AudioError(f"{path}: this is a folder{empty}; give files, or one that contains some")
    return probe(path)
