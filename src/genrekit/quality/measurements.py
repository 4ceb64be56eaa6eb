"""One pass over each file gives all that the checks need; what was heard once is remembered."""

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

from genrekit import audio, files
from genrekit.errors import AudioError, GenrekitError
from genrekit.quality.fingerprint import SPEC, Landmarks, landmarks
from genrekit.workers import Failure, Pool, n_cores

# Raise it when what is remembered changes: old records are then left alone.
_FORMAT = 1
FULL_SCALE = 0.99
FINGERPRINT_SECONDS = 60.0
ITEM_SECONDS = 600.0  # a worker that takes longer for one file is stopped


@dataclass(frozen=True)
class Measurements:
    """What one file holds.

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
    """Return where what was heard is remembered: a part of the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("genrekit", appauthor=False)) / "audit"


def hear_all(
    paths: Sequence[Path],
    jobs: int | None = None,
    memory: Path | None = None,
    advance: Callable[[], object] | None = None,
) -> Iterator[Measurements | str]:
    """Hear files on all cores; one that cannot be heard fails alone.

    Args:
        paths: the files.
        jobs: worker processes; None is one a core.
        memory: the folder to remember in; None is the user's cache folder.
        advance: called once for every file.

    Yields:
        What was heard, or why it cannot be, in the order of paths.
    """
    start = partial(_start_worker, memory or cache_folder())
    n_jobs = max(1, min(jobs or n_cores(), len(paths)))
    with Pool(start, n_jobs, item_seconds=ITEM_SECONDS) as pool:
        for found in pool.map(paths):
            if advance is not None:
                advance()
            yield f"{found.item}: {found.message}" if isinstance(found, Failure) else found


def _start_worker(memory: Path) -> Callable[[Path], Measurements | str]:
    audio.silence_decoders()
    return partial(_attempt, memory=memory)


def _attempt(path: Path, memory: Path) -> Measurements | str:
    try:
        return hear(path, memory)
    except (GenrekitError, OSError) as error:  # the sentence names the file already
        return " ".join(str(error).split())


def hear(path: Path, memory: Path) -> Measurements:
    """Return what a file holds, from memory where the same bytes were heard before.

    Raises:
        AudioError: the file cannot be heard.
        OSError: the file cannot be read.
    """
    digest = files.sha256(path)
    record = memory / str(_FORMAT) / digest[:2] / f"{digest}.npz"
    remembered = _read(record)
    if remembered is not None:
        return remembered
    heard = _listen(path)
    with suppress(OSError):  # only a memory: without it the file is heard again the next time
        _write(record, heard)
    return heard


def _listen(path: Path) -> Measurements:
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
        landmarks=landmarks(audio.resample(first, info.sample_rate, SPEC.sample_rate)),
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


def _write(record: Path, heard: Measurements) -> None:
    facts = {key: value for key, value in vars(heard).items() if key != "landmarks"}
    with files.write_beside(record) as stream:
        np.savez(
            stream,
            facts=np.array(json.dumps(facts)),
            hashes=heard.landmarks.hashes,
            frames=heard.landmarks.frames,
        )


def _read(record: Path) -> Measurements | None:
    try:
        # Opened here: np.load leaves a file open that it cannot read.
        with record.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            facts["damage"] = tuple(facts["damage"])
            return Measurements(**facts, landmarks=Landmarks(arrays["hashes"], arrays["frames"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None  # not there yet, or damaged: hear it again
