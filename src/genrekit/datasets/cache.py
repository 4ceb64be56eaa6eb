"""The spectrogram cache: every track's decibels on disk, memory-mapped for random crops.

One record holds one whole track. It is named after the SHA-256 of the audio file and lies in a
folder named after the front end's numbers, so that a changed file or a changed front end can never
meet an old record. Each record is written beside and then renamed: a build that is killed leaves
whole records only, the next one continues, and two builds at once do not disturb each other.

Decibels are kept as 16-bit steps of 1/256 dB above spec.floor_db: exact to 0.002 dB, with room for
256 dB. float16 would need the same space and be wrong by up to 0.03 dB.

A crop equals what genrekit.features.compute gives for the same samples (to that step) but for the
frames within half a window of its two ends: here they see the track's neighbouring samples, there
the segment's padding.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import audio, files
from genrekit.errors import DatasetError, GenrekitError
from genrekit.features import FeatureSpec, check_spectrogram, decibels, image, normalise
from genrekit.features.level import lift_db
from genrekit.progress import progress
from genrekit.workers import Failure, Pool, n_cores

if TYPE_CHECKING:
    from genrekit.datasets.tracks import Track, TrackPart

# Raise it when the records or the numbers in them change: old records are then left alone.
_FORMAT = 1
_MAGIC = b"genrekit"
_HEADER = struct.Struct("<8sIIII")  # magic, format, n_bins, n_frames, CRC-32 of the codes
_HEADER_BYTES = 64  # so that the codes start on a cache line
_STEPS_PER_DB = 256.0
_HIGHEST_CODE = 65535
# These fields do not touch the stored decibels.
_LATER_FIELDS = {
    "mean",
    "std",
    "segment_seconds",
    "segment_hop_seconds",
    "first_seconds",
    "level_db",
}
# A worker that needs longer for one track is stuck; the track is listed and the build goes on.
_TRACK_SECONDS = 600.0
_STALE_SECONDS = 3600.0

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class SpectrogramCache:
    """A folder of spectrograms, made once and read by every training run.

    Nothing is written before build.
    """

    folder: Path

    def build(
        self,
        tracks: Iterable[Track],
        spec: FeatureSpec,
        jobs: int | None = None,
    ) -> CachedFeatures:
        """Make the records that are missing, check those that are there, and open them all.

        Every audio file is hashed and every record's checksum is compared, so a file that changed
        or a record that was damaged is made again, and nothing else is.

        Args:
            tracks: what to cache; track_id and path are read.
            spec: the front end. Its mean, std and segment lengths do not touch the records.
            jobs: worker processes; None is one a core.

        Returns:
            The spectrograms. Tracks that cannot be decoded are in its failures, with the reason.

        Raises:
            DatasetError: two tracks have one track_id, or the folder cannot be written or is full.
            ModelError: spec.kind has no front end.
        """
        check_spectrogram(spec)  # raises before anything is written
        folder, tracks = self.folder / _key(spec), list(tracks)
        tasks = [_Task(track.track_id, Path(track.path), folder, spec) for track in tracks]
        _check_names(tasks)
        _prepare(folder, spec)
        records, failures = {}, {}
        with progress("spectrograms", len(tasks)) as advance:
            for outcome in _run(tasks, jobs):
                if outcome.sha256 is None:
                    failures[outcome.track_id] = outcome.reason
                else:
                    records[outcome.track_id] = outcome.sha256
                advance()
        parts = {track.track_id: track.part for track in tracks if track.part}
        drawn = frozenset(task.track_id for task in tasks if image.is_image(task.path))
        return CachedFeatures(spec, folder, records, failures, parts, drawn)


@dataclass(frozen=True)
class CachedFeatures:
    """Spectrograms on disk. It can be sent to other processes; only what is read is loaded.

    Attributes:
        spec: the front end; its mean and std normalise what crop returns.
        folder: where the records of this front end lie.
        records: the SHA-256 of each track's audio file, by track_id.
        failures: why a track could not be decoded, by track_id.
        parts: which part of the record a track is, where it is not all of it, by track_id.
        drawn: the tracks that are images: their segments lie one after the other.
    """

    spec: FeatureSpec
    folder: Path
    records: dict[str, str]
    failures: dict[str, str]
    parts: dict[str, TrackPart] = field(default_factory=dict)
    drawn: frozenset[str] = frozenset()
    _verified: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def track_ids(self) -> tuple[str, ...]:
        """Every track that can be read, in the order in which it was given."""
        return tuple(self.records)

    def n_frames(self, track_id: str) -> int:
        """Return the number of frames of a track.

        Raises:
            DatasetError: as for features.
        """
        return len(self._codes(track_id))

    def features(self, track_id: str) -> NDArray[np.float32]:
        """Return a whole track in dB, not normalised.

        Returns:
            Shape (n_bins, n_frames).

        Raises:
            DatasetError: the track is not in the cache, or its record is missing or damaged.
        """
        return _decode(self._codes(track_id), self.spec.floor_db)

    def crop(self, track_id: str, start_frame: int, n_frames: int) -> NDArray[np.float32]:
        """Return a part of a track, normalised as features.normalise does.

        Args:
            track_id: one of track_ids.
            start_frame: the first frame, from 0 to the track's n_frames - 1.
            n_frames: the length of the part. Past its end a track starts again, as a segment of a
                track that is too short does.

        Returns:
            Shape (n_bins, n_frames).

        Raises:
            DatasetError: as for features.
            ValueError: start_frame lies outside the track, or n_frames is not above 0.
        """
        codes = self._codes(track_id)
        if not (0 <= start_frame < len(codes) and n_frames > 0):
            raise ValueError(
                f"{n_frames} frames from frame {start_frame} of track {track_id!r}; allowed are "
                f"starts from 0 to {len(codes) - 1} and at least one frame"
            )
        part = codes[start_frame : start_frame + n_frames]
        if len(part) < n_frames:
            part = codes[np.arange(start_frame, start_frame + n_frames) % len(codes)]
        return normalise(_decode(part, self.spec.floor_db), self.spec)

    def mean_std(self, track_ids: Iterable[str]) -> tuple[float, float]:
        """Return the mean and standard deviation over every value of some tracks, in dB.

        Where spec has a level_db each track as a whole is brought there first.

        Args:
            track_ids: the training tracks, and no others: statistics must not see the test.

        Raises:
            DatasetError: no track was given, all of them are silent, or as for features.
        """
        n_values, total, squares = 0, 0.0, 0.0
        for track_id in track_ids:
            codes = self._codes(track_id).astype(np.float64)
            if self.spec.level_db is not None:
                features = self.features(track_id)
                codes += _STEPS_PER_DB * float(lift_db(features, self.spec.level_db).item())
            n_values += codes.size
            # Sums of 16-bit integers and of their squares are exact in float64 up to 2 million.
            total += float(codes.sum())
            # Not codes @ codes: its threads wait for each other on a busy machine.
            squares += float(np.square(codes).sum())
        if not n_values:
            raise DatasetError("mean and std of no track were asked for; give the training tracks")
        mean = total / n_values
        std = max(0.0, squares / n_values - mean**2) ** 0.5
        if std == 0.0:
            raise DatasetError("every training track is silent; a std above 0 needs sound")
        return self.spec.floor_db + mean / _STEPS_PER_DB, std / _STEPS_PER_DB

    def with_spec(self, spec: FeatureSpec) -> CachedFeatures:
        """Return the same records under a spec with another mean, std or segment length.

        Raises:
            DatasetError: the spec's decibels differ, so the records do not belong to it.
        """
        if _key(spec) != _key(self.spec):
            raise DatasetError("the spec has another front end than the cache; build it again")
        return replace(self, spec=spec)

    def _codes(self, track_id: str) -> Codes:
        """Map a track's record; check its checksum the first time. Shape (n_frames, n_bins)."""
        sha256 = self.records.get(track_id)
        if sha256 is None:
            reason = self.failures.get(track_id, "it was not among the tracks of the build")
            raise DatasetError(f"track {track_id!r} is not in the cache: {reason}")
        path = _record_path(self.folder, sha256)
        codes = _open_record(path, self.spec.n_bins, check=track_id not in self._verified)
        if codes is None:
            raise DatasetError(
                f"the cached spectrogram of track {track_id!r} ({path}) is missing or damaged; "
                "build the cache again, which makes only this record anew"
            )
        self._verified.add(track_id)
        part = self.parts.get(track_id)
        return codes[part.of(len(codes))] if part else codes


@dataclass(frozen=True)
class _Task:
    track_id: str
    path: Path
    folder: Path
    spec: FeatureSpec


@dataclass(frozen=True)
class _Outcome:
    """sha256 is None where the track cannot be decoded; fatal where the cache cannot be written."""

    track_id: str
    sha256: str | None = None
    reason: str = ""
    fatal: bool = False


def _ensure(task: _Task) -> _Outcome:
    """Make one record unless a whole one is there. Runs in a worker."""
    is_image = image.is_image(task.path)
    try:
        sha256 = _image_key(task) if is_image else files.sha256(task.path)
    except OSError as error:
        return _Outcome(task.track_id, reason=f"{task.path} cannot be read: {error.strerror}")
    record = _record_path(task.folder, sha256)
    if _open_record(record, task.spec.n_bins) is not None:
        return _Outcome(task.track_id, sha256)
    try:
        computed = (_from_images if is_image else _from_audio)(task)
    except (GenrekitError, OSError) as error:
        return _Outcome(task.track_id, reason=str(error))
    try:
        _write_record(record, _encode(computed, task.spec.floor_db))
    except OSError as error:
        return _Outcome(task.track_id, reason=_unwritable(task.folder, error), fatal=True)
    return _Outcome(task.track_id, sha256)


def _from_audio(task: _Task) -> NDArray[np.float32]:
    waveform = audio.load(task.path, task.spec.sample_rate)[0]
    if waveform.size < task.spec.n_fft:  # repeated, as segments of short tracks are
        waveform = np.resize(waveform, task.spec.n_fft)
    return decibels(waveform, task.spec)


def _from_images(task: _Task) -> NDArray[np.float32]:
    """Return the segments of a track's images, one after the other. Shape (n_bins, frames)."""
    return np.concatenate(list(image.read_track(task.path, task.spec).decibels), axis=1)


def _image_key(task: _Task) -> str:
    """Return what names a record of images, whose frames depend on how long a segment is."""
    key = f"{image.sha256(task.path)} {task.spec.n_frames}"
    return hashlib.sha256(key.encode()).hexdigest()


def _run(tasks: list[_Task], jobs: int | None) -> Iterator[_Outcome]:
    """Work on the tasks; after a fatal outcome, finish what was begun and raise its reason."""
    fatal: list[_Outcome] = []
    begun = takewhile(lambda _: not fatal, tasks)
    n_jobs = min(jobs or n_cores(), len(tasks))
    with ExitStack() as stack:
        outcomes: Iterator[_Outcome | Failure[_Task]] = map(_ensure, begun)
        if n_jobs > 1:
            pool = Pool(_start_worker, n_jobs, item_seconds=_TRACK_SECONDS)
            outcomes = stack.enter_context(pool).map(begun)
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                yield _Outcome(
                    outcome.item.track_id, reason=f"{outcome.item.path}: {outcome.message}"
                )
            elif outcome.fatal:
                fatal.append(outcome)
            else:
                yield outcome
    if fatal:
        raise DatasetError(fatal[0].reason)


def _start_worker() -> Callable[[_Task], _Outcome]:
    audio.silence_decoders()
    return _ensure


def _key(spec: FeatureSpec) -> str:
    """Return a folder's name for what the decibels depend on."""
    fields = spec.model_dump(exclude=_LATER_FIELDS) | {"format": _FORMAT}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def _record_path(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / f"{sha256}.features"


def _check_names(tasks: list[_Task]) -> None:
    paths: dict[str, Path] = {}
    for task in tasks:
        other = paths.setdefault(task.track_id, task.path)
        if other != task.path:
            raise DatasetError(
                f"two tracks are called {task.track_id!r}: {other} and {task.path}; rename one"
            )


def _prepare(folder: Path, spec: FeatureSpec) -> None:
    """Make the folder, say in it whose it is, and remove what killed builds left behind."""
    described = folder / "spec.json"
    try:
        if not described.exists():
            with files.write_beside(described, "w") as stream:
                stream.write(spec.model_dump_json(exclude=_LATER_FIELDS, indent=1) + "\n")
    except OSError as error:
        raise DatasetError(_unwritable(folder, error)) from error
    for part in folder.glob("*/.*.part"):
        with suppress(OSError):  # another build may still write the young ones, or be first
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                part.unlink()


def _unwritable(folder: Path, error: OSError) -> str:
    if error.errno in files.FULL:
        return (
            f"the disk of the cache folder {folder} is full; the records made so far stay valid; "
            "free some space, or name another folder by data.cache=FOLDER or XDG_CACHE_HOME"
        )
    return (
        f"the cache folder {folder} cannot be written ({error.strerror}); "
        "name one that can by data.cache=FOLDER or XDG_CACHE_HOME"
    )


def _encode(features: NDArray[np.float32], floor_db: float) -> Codes:
    """Turn dB (n_bins, n_frames) into codes (n_frames, n_bins): a crop is one piece of the file."""
    steps = np.rint((features.T - np.float32(floor_db)) * np.float32(_STEPS_PER_DB))
    return np.ascontiguousarray(np.clip(steps, 0, _HIGHEST_CODE), dtype="<u2")


def _decode(codes: Codes, floor_db: float) -> NDArray[np.float32]:
    """Turn codes of shape (n_frames, n_bins) into decibels of shape (n_bins, n_frames)."""
    features = np.empty(codes.shape[::-1], np.float32)
    np.multiply(codes.T, np.float32(1.0 / _STEPS_PER_DB), out=features)
    features += np.float32(floor_db)
    return features


def _write_record(path: Path, codes: Codes) -> None:
    n_frames, n_bins = codes.shape
    header = _HEADER.pack(_MAGIC, _FORMAT, n_bins, n_frames, zlib.crc32(codes.data))
    with files.write_beside(path) as stream:
        stream.write(header.ljust(_HEADER_BYTES, b"\0"))
        stream.write(codes.data)


def _open_record(path: Path, n_bins: int, check: bool = True) -> Codes | None:
    """Map a record's codes, shape (n_frames, n_bins); None where it is missing or damaged."""
    try:
        raw = np.asarray(np.memmap(path, np.uint8, mode="r"))
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None
    if raw.size < _HEADER_BYTES:
        return None
    magic, version, bins, n_frames, checksum = _HEADER.unpack(raw[: _HEADER.size].tobytes())
    fits = (magic, version, bins) == (_MAGIC, _FORMAT, n_bins) and n_frames > 0
    if not fits or raw.size != _HEADER_BYTES + 2 * n_bins * n_frames:
        return None
    codes: Codes = raw[_HEADER_BYTES:].view("<u2").reshape(n_frames, n_bins)
    return None if check and zlib.crc32(codes.data) != checksum else codes
