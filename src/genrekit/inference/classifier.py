"""The one road from a file to an answer: path -> waveform -> segments -> features -> Prediction.

The command line, the server, the tagger and the evaluator all take it.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit import audio, features, files
from genrekit.audio import AudioInfo
from genrekit.errors import AudioError, GenrekitError, ImageError, ModelError
from genrekit.features import image
from genrekit.inference import aggregation, segments
from genrekit.inference.segments import SegmentChoice
from genrekit.models import registry
from genrekit.models.card import ModelCard
from genrekit.models.runtime import Network
from genrekit.prediction import FailedFile, ModelReference, Prediction, SegmentPrediction
from genrekit.workers import Failure, Pool, n_cores

Waveform = NDArray[np.float32]
# Called with segments as they are heard: starts in seconds, waveforms of shape (n, samples) and
# what the network saw, shape (n, n_bins, n_frames).
OnSegments = Callable[[list[float], Waveform, NDArray[np.float32]], None]
PathLike = str | os.PathLike[str]

SILENCE_PEAK = 1e-4  # -80 dB re full scale, three steps of a 16-bit file
MANY_FILES = 16  # from here on workers pay whatever a file costs
WORKERS_START_SECONDS = 0.6
ITEM_SECONDS = 600.0  # a worker that takes longer for one file is stopped
BLOCK_SECONDS = segments.WHOLE_TRACK_SECONDS  # so that a short track is one block


@dataclass
class _Heard:
    """What the network said of a track's segments so far."""

    duration_seconds: float
    starts_seconds: list[float] = field(default_factory=list)
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    embeddings: list[NDArray[np.float32]] = field(default_factory=list)
    n_silent: int = 0
    warnings: list[str] = field(default_factory=list)
    on_segments: OnSegments | None = None

    @property
    def embedding(self) -> NDArray[np.float32] | None:
        if not self.embeddings:
            return None
        mean: NDArray[np.float32] = np.concatenate(self.embeddings).mean(axis=0)
        return mean


class Classifier:
    """Predict the genre of files and waveforms with one model.

    >>> from genrekit import Classifier, demo
    >>> classifier = Classifier("tests/golden/tiny")
    >>> prediction = classifier.predict(demo.synthesise("drums"), demo.SAMPLE_RATE)
    >>> prediction.label in classifier.labels
    True
    """

    def __init__(
        self,
        model: PathLike | None = None,
        *,
        segments: SegmentChoice = None,
        min_precision: float | None = None,
        n_threads: int = 1,
    ) -> None:
        """Load a model.

        Args:
            model: a registered name or the path of a model folder; None is the default model.
            segments: None hears all of a track up to 60 s and 8 evenly spread segments of a
                longer one; "all" hears everything; a number hears that many, evenly spread.
            min_precision: answer only where this share of such answers was right on the model's
                validation tracks, and abstain elsewhere; None always answers.
            n_threads: threads of the network. Workers of predict_files use one each.

        Raises:
            ModelError: the model is missing or broken, or cannot reach min_precision.
            ValueError: segments or min_precision out of range.
        """
        self._segments = _checked(segments)
        self._folder = registry.find(model)
        self._min_precision = min_precision
        self._threshold = threshold_for(self._folder.card, min_precision)
        self._network = Network(self._folder, n_threads)

    @property
    def card(self) -> ModelCard:
        """The card of the model in use."""
        return self._folder.card

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that the model can answer, in the order of its logits."""
        return self.card.labels

    def hearing(self, segments: SegmentChoice) -> Classifier:
        """Return a classifier with the same network that hears other segments.

        Args:
            segments: as in __init__.

        Raises:
            ValueError: segments out of range.
        """
        other = copy.copy(self)
        other._segments = _checked(segments)
        return other

    def predict(self, waveform: NDArray[Any], sample_rate: int) -> Prediction:
        """Predict the genre of a waveform.

        Args:
            waveform: audio in [-1, 1]. Shape (channels, samples) or (samples,).
            sample_rate: in Hz.

        Raises:
            AudioError: no samples, values that are not finite, or another shape.
        """
        heard = self._hear_waveform(_mono(waveform, sample_rate), sample_rate)
        return self._conclude(heard, None)

    def predict_file(
        self, source: PathLike | AudioInfo, on_segments: OnSegments | None = None
    ) -> Prediction:
        """Predict the genre of a file.

        Args:
            source: a path, or what audio.probe said of it (which saves probing again).
            on_segments: called with every batch of segments that is heard: their starts in
                seconds, their waveforms and the features that the network sees.

        Raises:
            AudioError: the file cannot be heard.
        """
        path = source.path if isinstance(source, AudioInfo) else source
        return self._conclude(self._hear_file(source, on_segments), os.fspath(path))

    def analyse_file(self, path: PathLike) -> tuple[Prediction, NDArray[np.float32] | None]:
        """Predict the genre of a file and embed it, in one pass.

        Returns:
            The prediction, and the mean embedding of the segments, of shape (d,); None where the
            model gives no embedding.

        Raises:
            AudioError: the file cannot be heard.
        """
        heard = self._hear_file(path)
        return self._conclude(heard, os.fspath(path)), heard.embedding

    def predict_files(
        self, paths: Iterable[PathLike], jobs: int | None = None
    ) -> Iterator[Prediction | FailedFile]:
        """Predict many files on all cores; a bad file fails alone.

        Args:
            paths: the files.
            jobs: worker processes; None is one a core, and none for so few files that starting
                them would cost more than they save.

        Yields:
            One result a file, in the order of paths, each as soon as it and all before it are
            ready.
        """
        listed = list(paths)
        n_jobs = min(jobs or n_cores(), len(listed))
        n_done, spent_seconds = 0, 0.0
        here = n_jobs <= 1 or (jobs is None and len(listed) < MANY_FILES)
        while here and n_done < len(listed):
            began = time.perf_counter()
            result = self._attempt(listed[n_done])
            spent_seconds += time.perf_counter() - began
            n_done += 1
            yield result
            saved_seconds = spent_seconds / n_done * (len(listed) - n_done) * (1 - 1 / n_jobs)
            here = n_jobs <= 1 or saved_seconds < WORKERS_START_SECONDS
        if n_done < len(listed):
            yield from self._predict_in_workers(listed[n_done:], n_jobs)

    def embed(self, waveform: NDArray[Any], sample_rate: int) -> NDArray[np.float32]:
        """Return the mean embedding of a waveform's segments.

        Args:
            waveform: audio in [-1, 1]. Shape (channels, samples) or (samples,).
            sample_rate: in Hz.

        Returns:
            Shape (d,).

        Raises:
            AudioError: no samples, values that are not finite, or another shape.
            ModelError: the model gives no embedding.
        """
        embedding = self._hear_waveform(_mono(waveform, sample_rate), sample_rate).embedding
        if embedding is None:
            raise ModelError(f"model {self.card.name!r} gives no embedding, only logits")
        return embedding

    def predict_features(self, computed: NDArray[np.float32]) -> Prediction:
        """Predict a track of which only the features are here.

        Args:
            computed: of consecutive segments, as ``features.compute`` gives them. Shape
                (n_segments, n_bins, n_frames).

        Raises:
            ModelError: the model takes features of another shape.
        """
        spec = self.card.features
        starts = [index * spec.segment_hop_seconds for index in range(len(computed))]
        heard = _Heard(starts[-1] + spec.segment_seconds, starts)
        heard.logits.append(self._network.logits(computed))
        return self._conclude(heard, None)

    def judge(self, computed: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the calibrated probabilities of segments that are features already.

        Args:
            computed: as features.compute gives them. Shape (n_segments, n_bins, n_frames).

        Returns:
            Shape (n_segments, n_labels), in the order of labels.

        Raises:
            ModelError: features of another shape.
        """
        calibration = self.card.calibration
        return aggregation.segment_probabilities(
            self._network.logits(computed), calibration.temperature, calibration.bias
        )

    def _attempt(self, path: PathLike) -> Prediction | FailedFile:
        try:
            return self.predict_file(path)
        except (GenrekitError, OSError) as error:
            return FailedFile(os.fspath(path), " ".join(str(error).split()))
        except MemoryError:
            return FailedFile(os.fspath(path), "ran out of memory")

    def _predict_in_workers(
        self, paths: list[PathLike], n_jobs: int
    ) -> Iterator[Prediction | FailedFile]:
        start = partial(_start_worker, self._folder.path, self._segments, self._min_precision)
        with Pool(start, n_jobs, item_seconds=ITEM_SECONDS) as pool:
            for result in pool.map(os.fspath(path) for path in paths):
                if isinstance(result, Failure):
                    yield FailedFile(result.item, result.message)
                else:
                    yield result

    def _hear_waveform(self, mono: Waveform, sample_rate: int) -> _Heard:
        self._check_hears()
        spec = self.card.features
        heard = _Heard(mono.shape[-1] / sample_rate)
        resampled = audio.resample(mono, sample_rate, spec.sample_rate)
        n_spread = segments.n_spread(heard.duration_seconds, spec, self._segments)
        if n_spread is None:
            self._hear_whole(heard, [resampled])
        else:
            starts = segments.spread_starts(heard.duration_seconds, spec, n_spread)
            self._hear(heard, starts, segments.cut_spread(resampled, spec, starts))
        return heard

    def _hear_file(
        self, source: PathLike | AudioInfo, on_segments: OnSegments | None = None
    ) -> _Heard:
        path = source.path if isinstance(source, AudioInfo) else Path(source)
        if image.is_image(path):
            if on_segments:
                raise ImageError(f"{path} is an image and holds no sound; give the audio")
            return self._see(path)
        self._check_hears()
        spec = self.card.features
        info = source if isinstance(source, AudioInfo) else _probe(Path(source))
        warnings = list(info.warnings)
        heard = _Heard(info.duration_seconds, warnings=warnings, on_segments=on_segments)
        warn = heard.warnings.append
        n_spread = segments.n_spread(heard.duration_seconds, spec, self._segments)
        if n_spread is None:
            blocks = audio.blocks(
                info, spec.sample_rate, block_seconds=BLOCK_SECONDS, on_warning=warn
            )
            self._hear_whole(heard, blocks)
        else:
            starts = segments.spread_starts(heard.duration_seconds, spec, n_spread)
            cut = audio.read_segments(
                info, spec.sample_rate, starts, spec.segment_seconds, on_warning=warn
            )
            self._hear(heard, starts, cut)
        return heard

    def _see(self, first: Path) -> _Heard:
        """Run a track's images through the network, each as a segment."""
        spec, takes = self.card.features, self.card.images
        if takes == "none":
            raise ImageError(
                f"{first} is an image, and model {self.card.name!r} hears audio; give the audio, "
                "or a model that was trained on images"
            )
        seen = image.read_track(first, spec)
        if seen.is_known != (takes == "published"):
            raise ImageError(
                f"{first} is drawn in another way than the images of model {self.card.name!r}; "
                "give images as it was trained on"
            )
        computed = features.normalise(seen.decibels.astype(np.float32), spec)
        starts = [index * spec.segment_seconds for index in range(len(computed))]
        heard = _Heard(len(computed) * spec.segment_seconds, starts)
        logits, embeddings = self._network.hear(computed)
        heard.logits.append(logits)
        if embeddings is not None:
            heard.embeddings.append(embeddings)
        return heard

    def _check_hears(self) -> None:
        if self.card.images == "other":
            raise ModelError(
                f"model {self.card.name!r} was trained on images whose making is not known, so "
                "it sees such images only and hears no audio; give PNG files"
            )

    def _hear_whole(self, heard: _Heard, blocks: Iterable[Waveform]) -> None:
        spec = self.card.features
        for first, cut in segments.cut_whole(blocks, spec):
            start = first / spec.sample_rate
            starts = [start + index * spec.segment_hop_seconds for index in range(len(cut))]
            self._hear(heard, starts, cut)
        if not heard.logits:
            raise AudioError("no sample could be decoded; it is damaged, copy it again")

    def _hear(self, heard: _Heard, starts: list[float], cut: Waveform) -> None:
        """Run segments of shape (n, segment_samples) through the front end and the network."""
        computed = features.compute(cut, self.card.features)  # (n, n_bins, n_frames)
        logits, embeddings = self._network.hear(computed)
        heard.logits.append(logits)
        if embeddings is not None:
            heard.embeddings.append(embeddings)
        heard.starts_seconds += starts
        if heard.on_segments:
            heard.on_segments(starts, cut, computed)
        heard.n_silent += int((np.abs(cut).max(axis=1) < SILENCE_PEAK).sum())

    def _conclude(self, heard: _Heard, path: str | None) -> Prediction:
        calibration = self.card.calibration
        by_segment = aggregation.segment_probabilities(
            np.concatenate(heard.logits), calibration.temperature, calibration.bias
        )
        track = aggregation.track_probabilities(
            by_segment, self.card.aggregation, calibration.track_temperature
        )
        return Prediction(
            path=path,
            probabilities=self._named(track),
            segments=tuple(
                SegmentPrediction(
                    start_seconds=round(start, 3),
                    end_seconds=round(self._end(start, heard), 3),
                    probabilities=self._named(row),
                )
                for start, row in zip(heard.starts_seconds, by_segment, strict=True)
            ),
            model=ModelReference(
                name=self.card.name, version=self.card.version, sha256=self.card.onnx_sha256
            ),
            duration_seconds=round(heard.duration_seconds, 3),
            threshold=self._threshold,
            warnings=_warnings(heard, self.card.features.segment_seconds),
        )

    def _end(self, start_seconds: float, heard: _Heard) -> float:
        return min(start_seconds + self.card.features.segment_seconds, heard.duration_seconds)

    def _named(self, probabilities: NDArray[np.float64]) -> dict[str, float]:
        rounded = probabilities.round(6).tolist()
        return dict(zip(self.labels, rounded, strict=True))


def threshold_for(card: ModelCard, min_precision: float | None) -> float:
    """Return the lowest probability at which a model answers with the wished precision.

    Args:
        card: the model's card, with its precision curve measured on validation tracks.
        min_precision: in (0, 1]; None asks for nothing.

    Returns:
        The threshold of the curve's point with the largest coverage among those that reach
        min_precision; 0 when nothing is asked for.

    Raises:
        ModelError: the card has no curve, or none of its points reaches min_precision.
        ValueError: min_precision lies outside (0, 1].
    """
    if min_precision is None:
        return 0.0
    if not 0 < min_precision <= 1:
        raise ValueError(f"min_precision is {min_precision}; it must lie in (0, 1]")
    if not card.precision_curve:
        raise ModelError(
            f"model {card.name!r} has no precision curve in its card, so no precision can be "
            "promised; leave min_precision out or use another model"
        )
    reached = [point for point in card.precision_curve if point.precision >= min_precision]
    if not reached:
        best = max(point.precision for point in card.precision_curve)
        raise ModelError(
            f"model {card.name!r} cannot reach a precision of {min_precision:g}; the best it "
            f"reached on its validation tracks is {best:.3f}; ask for no more than that"
        )
    return max(reached, key=lambda point: point.coverage).threshold


def _checked(choice: SegmentChoice) -> SegmentChoice:
    if not (choice in (None, "all") or (isinstance(choice, int) and choice > 0)):
        raise ValueError(f"segments is {choice!r}; allowed: None, 'all' or a number above 0")
    return choice


def _probe(path: Path) -> AudioInfo:
    if path.is_dir():
        empty = "" if files.audio_files(path) else " without audio files"
        raise AudioError(f"{path}: is a folder{empty}; name files, or a folder that holds some")
    return audio.probe(path)


def _mono(waveform: NDArray[Any], sample_rate: int) -> Waveform:
    """Check a caller's waveform and mix it down to shape (1, samples)."""
    if sample_rate <= 0:
        raise AudioError(f"sample_rate is {sample_rate}; it must be a number of Hz above 0")
    array = np.atleast_2d(np.asarray(waveform))
    if array.ndim != 2 or array.shape[0] > max(array.shape[1], 1):
        raise AudioError(
            f"a waveform of shape {np.shape(waveform)} came; it must be (channels, samples) or "
            "(samples,), with time last"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(f"a waveform of {array.dtype} came; it must be floating point in [-1, 1]")
    if not array.size:
        raise AudioError("the waveform holds no samples; give at least one")
    if not np.isfinite(array).all():
        raise AudioError("the waveform holds samples that are not finite; mend or cut them")
    return audio.downmix(array.astype(np.float32, copy=False))


def _warnings(heard: _Heard, segment_seconds: float) -> tuple[str, ...]:
    warnings = list(heard.warnings)
    if heard.duration_seconds < segment_seconds:
        warnings.append(
            f"shorter than one segment ({heard.duration_seconds:.2f} s of {segment_seconds:g} s); "
            "it was repeated to fill one"
        )
    if heard.n_silent == len(heard.starts_seconds):
        warnings.append("silent: no sample is louder than -80 dB; the answer means nothing")
    return tuple(warnings)


def _start_worker(
    model: Path, choice: SegmentChoice, min_precision: float | None
) -> Callable[[str], Prediction]:
    audio.silence_decoders()
    return Classifier(model, segments=choice, min_precision=min_precision).predict_file
