"""Classifier: from a file to its prediction, for the command line, server, tagger and evaluator."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit import audio
from genrekit.audio import AudioInfo
from genrekit.errors import AudioError, GenrekitError, ModelError
from genrekit.inference import aggregation, music_gate
from genrekit.inference.frontend import FrontEnd, OpenTrack, PathLike, Segments
from genrekit.inference.segments import WHOLE_TRACK_SECONDS, SegmentChoice, are_loud
from genrekit.inference.segments import checked as segments_of
from genrekit.models import registry
from genrekit.models.card import ModelCard, threshold_for
from genrekit.models.runtime import EMBEDDING, LOGITS, Features, Network
from genrekit.prediction import FailedFile, ModelReference, Prediction, SegmentPrediction
from genrekit.workers import Failure, Pool, n_cores

Waveform = NDArray[np.float32]
# Called with segments as they are analysed.
OnSegments = Callable[[Segments], None]

MAX_SEARCH_SECONDS = 600.0  # a longer, mostly silent track is not searched for sound
MANY_FILES = 16  # from here on workers pay off, however cheap a file is
WORKERS_START_SECONDS = 0.6
ITEM_SECONDS = 600.0  # a worker that takes longer for one file is stopped


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
            segments: None analyses all of a track up to 60 s, and 8 evenly spread segments of a
                longer one; "all" analyses everything; a number that many, evenly spread.
            min_precision: abstain below the probability at which predictions reached this
                precision on the model's validation tracks; None always predicts a label.
            n_threads: threads of the network. Workers of predict_files use one each.

        Raises:
            ModelError: the model is missing or broken, or cannot reach min_precision.
            ValueError: segments or min_precision is out of range.
        """
        self._segments = segments_of(segments)
        self._folder = registry.find(model)
        self._min_precision = min_precision
        self._threshold = threshold_for(self.card, min_precision)
        self._network = Network.of(self._folder, n_threads)
        self._outputs = (LOGITS, EMBEDDING) if self._network.has_embedding else (LOGITS,)
        self.front_end = FrontEnd(self.card.views, self.card.images, self.card.name)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._folder.card

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that the model can predict, in the order of its logits."""
        return self.card.labels

    def with_segments(self, segments: SegmentChoice) -> Classifier:
        """Return a classifier with the same network that analyses other segments.

        Args:
            segments: as in __init__.

        Raises:
            ValueError: segments is out of range.
        """
        other = copy.copy(self)
        other._segments = segments_of(segments)
        return other

    def predict(self, waveform: NDArray[Any], sample_rate: int) -> Prediction:
        """Predict the genre of a waveform.

        Args:
            waveform: audio in [-1, 1]. Shape (channels, samples) or (samples,).
            sample_rate: in Hz.

        Raises:
            AudioError: no samples, values that are not finite, or a wrong shape.
        """
        return self._predict(self._open_waveform(waveform, sample_rate), None)[0]

    def predict_file(
        self, source: PathLike | AudioInfo, on_segments: OnSegments | None = None
    ) -> Prediction:
        """Predict the genre of a file, in this process; only FFmpeg decodes in a process apart.

        A crash of the network or of a library ends this process; ``predict_files`` with several
        jobs survives it.

        Args:
            source: a path, or the result of audio.probe, which saves probing again.
            on_segments: called with every batch of segments that is analysed.

        Raises:
            AudioError: the file cannot be decoded.
        """
        path = source.path if isinstance(source, AudioInfo) else source
        track = self._open(partial(self.front_end.open, source))
        return self._predict(track, os.fspath(path), on_segments)[0]

    def analyse_file(self, path: PathLike) -> tuple[Prediction, NDArray[np.float32] | None]:
        """Predict the genre of a file and compute its embedding, in one pass.

        Returns:
            The prediction, and the mean embedding of the segments, shape (d,); None if the model
            has no embedding.

        Raises:
            AudioError: the file cannot be decoded.
        """
        return self._predict(self._open(partial(self.front_end.open, path)), os.fspath(path))

    def predict_files(
        self, paths: Iterable[PathLike], jobs: int | None = None
    ) -> Iterator[Prediction | FailedFile]:
        """Predict many files on all cores; a bad file fails on its own.

        Args:
            paths: the files.
            jobs: worker processes; None is one per core, or no workers for so few files that
                starting them would cost more than it saves.

        Yields:
            One result per file, in the order of paths, each as soon as it and all before it are
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
            AudioError: no samples, values that are not finite, or a wrong shape.
            ModelError: the model has no embedding.
        """
        _, embedding = self._predict(self._open_waveform(waveform, sample_rate), None)
        if embedding is None:
            raise ModelError(f"model {self.card.name!r} has no embedding, only logits")
        return embedding

    def predict_features(self, computed: NDArray[np.float32]) -> Prediction:
        """Predict a track from its features, with a model of one view.

        Args:
            computed: of consecutive segments, as ``features.compute`` returns them. Shape
                (n_segments, n_bins, n_frames).

        Raises:
            ModelError: the model takes features of another shape.
        """
        return self._predict(self.front_end.open_features(computed), None)[0]

    def segment_probabilities(self, features: Features) -> NDArray[np.float64]:
        """Return the calibrated probabilities of segments from their features.

        Args:
            features: of every view, by its name. Shapes (n_segments, n_bins, n_frames).

        Returns:
            Shape (n_segments, n_labels), in the order of labels.

        Raises:
            ModelError: the features have a wrong shape.
        """
        return self._calibrated(self._network.run(features, LOGITS)[0])

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

    def _open_waveform(self, waveform: NDArray[Any], sample_rate: int) -> OpenTrack:
        mono = _mono(waveform, sample_rate)
        return self._open(partial(self.front_end.open_waveform, mono, sample_rate))

    def _open(self, open_track: Callable[[SegmentChoice], OpenTrack]) -> OpenTrack:
        """Open a track; all of it if at least half of its spread segments are silent."""
        track = open_track(self._segments)
        is_spread = WHOLE_TRACK_SECONDS < track.duration_seconds <= MAX_SEARCH_SECONDS
        if self._segments is not None or not is_spread:
            return track
        for batch in track:
            waveforms = batch.waveforms
            if waveforms is not None and 2 * sum(are_loud(waveforms)) <= len(waveforms):
                return open_track("all")
            track.batches = chain([batch], track.batches)
            break
        return track

    def _predict(
        self, track: OpenTrack, path: str | None, on_segments: OnSegments | None = None
    ) -> tuple[Prediction, NDArray[np.float32] | None]:
        """Run every segment through the network; return the prediction and the mean embedding."""
        starts: list[float] = []
        outputs: list[list[NDArray[np.float32]]] = []
        loud: list[bool] = []
        for batch in track:
            outputs.append(self._network.run(batch.features, *self._outputs))
            starts += batch.starts_seconds
            waveforms = batch.waveforms
            loud += [True] * len(batch.starts_seconds) if waveforms is None else are_loud(waveforms)
            if on_segments:
                on_segments(batch)
        logits, *embeddings = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        warnings = _warnings(track, self.card.segments.segment_seconds, loud)
        voters = loud
        if self.card.music_gate and any(loud):
            voters, warning = music_gate.voters(embeddings[0], loud, self.card.music_gate)
            warnings += (warning,) if warning else ()
        counted = list(compress(starts, voters))
        prediction = self._conclude(track.duration_seconds, counted, logits[voters], path, warnings)
        embedding = embeddings[0][loud if any(loud) else ...].mean(axis=0) if embeddings else None
        return prediction, embedding

    def _conclude(
        self,
        duration_seconds: float,
        starts_seconds: list[float],
        logits: NDArray[np.float32],
        path: str | None,
        warnings: tuple[str, ...],
    ) -> Prediction:
        by_segment = self._calibrated(logits)
        n_labels = len(self.labels)
        track = np.full(n_labels, 1 / n_labels)  # of silence, and of sound that is not music
        if len(by_segment):
            track = aggregation.track_probabilities(
                by_segment, self.card.aggregation, self.card.calibration.track_temperature
            )
        length = self.card.segments.segment_seconds
        return Prediction(
            path=path,
            probabilities=self._named(track),
            segments=tuple(
                SegmentPrediction(
                    start_seconds=round(start, 3),
                    end_seconds=round(min(start + length, duration_seconds), 3),
                    probabilities=self._named(row),
                )
                for start, row in zip(starts_seconds, by_segment, strict=True)
            ),
            model=ModelReference(
                name=self.card.name, version=self.card.version, sha256=self.card.onnx_sha256
            ),
            duration_seconds=round(duration_seconds, 3),
            threshold=self._threshold,
            warnings=warnings,
        ).with_logits(logits)

    def _calibrated(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        calibration = self.card.calibration
        return aggregation.segment_probabilities(logits, calibration.temperature, calibration.bias)

    def _named(self, probabilities: NDArray[np.float64]) -> dict[str, float]:
        rounded = probabilities.round(6).tolist()
        return dict(zip(self.labels, rounded, strict=True))


def _mono(waveform: NDArray[Any], sample_rate: int) -> Waveform:
    """Check a caller's waveform and mix it down to shape (1, samples)."""
    if sample_rate <= 0:
        raise AudioError(f"got sample_rate {sample_rate}; expected a number of Hz above 0")
    array = np.atleast_2d(np.asarray(waveform))
    if array.ndim != 2 or array.shape[0] > max(array.shape[1], 1):
        raise AudioError(
            f"got a waveform of shape {np.shape(waveform)}; expected (channels, samples) or "
            "(samples,), with time last"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(f"got a waveform of {array.dtype}; expected floating point in [-1, 1]")
    if not array.size:
        raise AudioError("the waveform has no samples; give at least one")
    if not np.isfinite(array).all():
        raise AudioError("the waveform has samples that are not finite; repair or remove them")
    return audio.downmix(array.astype(np.float32, copy=False))


def _warnings(track: OpenTrack, segment_seconds: float, loud: Sequence[bool]) -> tuple[str, ...]:
    warnings = list(track.warnings)
    if track.duration_seconds < segment_seconds:
        warnings.append(
            f"shorter than one segment ({track.duration_seconds:.2f} s of {segment_seconds:g} s); "
            "it was repeated to fill one"
        )
    if not any(loud):
        warnings.append("silent: no sample is louder than -80 dB, so it gets no genre")
    elif not all(loud):
        share = 1 - sum(loud) / len(loud)
        warnings.append(
            f"silent: {100 * share:.0f} % of its segments hold no sample louder than -80 dB; "
            "they are left out"
        )
    return tuple(warnings)


def _start_worker(
    model: Path, choice: SegmentChoice, min_precision: float | None
) -> Callable[[str], Prediction]:
    audio.silence_decoders()
    return Classifier(model, segments=choice, min_precision=min_precision).predict_file
