"""One pass over each file measures all that the checks need; results are cached by content."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from genrekit import files
from genrekit.audio.decoder_messages import silence_decoders
from genrekit.audio.signal import resample
from genrekit.errors import AudioError, GenrekitError
from genrekit.quality.checks import FULL_SCALE
from genrekit.quality.duplicates import SPEC, Landmarks, landmarks
from genrekit.workers import Failure, Pool, n_cores

# Increase it when what is cached changes: old records are then ignored.
_FORMAT = 1
FINGERPRINT_SECONDS = 60.0
ITEM_SECONDS = 600.0  # a worker that takes longer for one file is stopped


@dataclass(frozen=True)
class Measurements:
    """What one pass over a file measured.

    Attributes:
        duration_seconds: the decoded length.
        peak: the largest absolute sample of the mono mix.
        at_full_scale: share of its samples at 0.99 of full scale or above.
        damage: a sentence for each damage that the decoder met.
        audio_sha256: SHA-256 of the decoded mono samples and their rate.
        artist: the file's tag, or empty.
        album: the file's tag, or empty.
        landmarks: the fingerprint of the first FINGERPRINT_SECONDS.
    """

    duration_seconds: float
    peak: float
    at_full_scale: float
    damage: tuple[str, ...]
    audio_sha256: str
    artist: str
    album: str
    landmarks: Landmarks


def cache_folder() -> Path:
    """Return where measurements are cached: a part of the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("genrekit", appauthor=False)) / "audit"


def measure_all(
    paths: Sequence[Path],
    jobs: int | None = None,
    cache: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Iterator[Measurements | str]:
    """Measure files on all cores; one that cannot be decoded fails alone.

    Args:
        paths: the files.
        jobs: worker processes; None is one per core.
        cache: the folder that keeps measurements; None is genrekit's in the user's cache.
        advance: called once for every file.

    Yields:
        What was measured, or why it cannot be, in the order of paths.
    """
    start = partial(_start_worker, cache or cache_folder())
    n_jobs = max(1, min(jobs or n_cores(), len(paths)))
    with Pool(start, n_jobs, item_seconds=ITEM_SECONDS) as pool:
        for found in pool.map(paths):
            advance()
            yield f"{found.item}: {found.message}" if isinstance(found, Failure) else found


def _start_worker(cache: Path) -> Callable[[Path], Measurements | str]:
    silence_decoders()
    return partial(_attempt, cache=cache)


def _attempt(path: Path, cache: Path) -> Measurements | str:
    try:
        return measure(path, cache)
    except (GenrekitError, OSError) as error:  # the sentence names the file already
        return " ".join(str(error).split())


def measure(path: Path, cache: Path) -> Measurements:
    """Measure a file, or return what the cache holds for the same bytes.

    Raises:
        AudioError: the file cannot be decoded.
        OSError: the file cannot be read.
    """
    digest = files.sha256(path)
    record = cache / str(_FORMAT) / digest[:2] / f"{digest}.npz"
    cached = _read(record)
    if cached is not None:
        return cached
    measured = _decode(path)
    with suppress(OSError):  # only a cache: without it the file is measured again the next time
        _write(record, measured)
    return measured


def _decode(path: Path) -> Measurements:
    from genrekit import audio

    info = audio.probe(path)
    damage = list(info.warnings)
    digest = hashlib.sha256(str(info.sample_rate).encode())
    n_samples, n_full_scale, n_kept, peak = 0, 0, 0, 0.0
    kept = []
    for block in audio.blocks(info, on_warning=damage.append):
        digest.update(np.ascontiguousarray(block).tobytes())
        magnitudes = np.abs(block)
        n_samples += block.shape[1]
        n_full_scale += int((magnitudes >= FULL_SCALE).sum())
        peak = max(peak, float(magnitudes.max()))
        if n_kept < FINGERPRINT_SECONDS * info.sample_rate:
            kept.append(block)
            n_kept += block.shape[1]
    if not n_samples:
        raise AudioError(f"{path}: no sample could be decoded; copy it again or leave it out")
    first = np.concatenate(kept, axis=1)[:, : round(FINGERPRINT_SECONDS * info.sample_rate)]
    artist, album = _tags(path)
    return Measurements(
        duration_seconds=n_samples / info.sample_rate,
        peak=peak,
        at_full_scale=n_full_scale / n_samples,
        damage=tuple(damage),
        audio_sha256=digest.hexdigest(),
        artist=artist,
        album=album,
        landmarks=landmarks(resample(first, info.sample_rate, SPEC.sample_rate)),
    )


def _tags(path: Path) -> tuple[str, str]:
    """Return the artist (of the album, where that is named) and the album, or empty texts."""
    import mutagen

    try:
        tags = mutagen.File(path, easy=True) or {}
    except Exception:  # it raises many kinds for damaged tags, which are no concern of the audio's
        return "", ""
    artist = tags.get("albumartist") or tags.get("artist") or [""]
    return str(artist[0]).strip(), str((tags.get("album") or [""])[0]).strip()


def _write(record: Path, measured: Measurements) -> None:
    facts = {key: value for key, value in vars(measured).items() if key != "landmarks"}
    with files.write_beside(record) as stream:
        np.savez(
            stream,
            facts=np.array(json.dumps(facts)),
            hashes=measured.landmarks.hashes,
            frames=measured.landmarks.frames,
        )


def _read(record: Path) -> Measurements | None:
    try:
        # Opened here: np.load leaves a file open that it cannot read.
        with record.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            facts["damage"] = tuple(facts["damage"])
            return Measurements(**facts, landmarks=Landmarks(arrays["hashes"], arrays["frames"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None  # not there yet, or damaged: measure it again
