"""Decode the files of a dataset: which of them cannot be read, are silent or are the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import AudioError
from genrekit.workers import n_cores


@dataclass(frozen=True)
class ReadabilityReport:
    """What decoding every track found.

    Attributes:
        n_tracks: number of tracks decoded.
        duration_seconds: their length together, as decoded.
        bad: tracks that cannot be decoded to their end, are cut short or silent.
        repeated: tracks whose files hold the same bytes as another track's.
    """

    n_tracks: int
    duration_seconds: float
    bad: tuple[Problem, ...]
    repeated: tuple[Problem, ...]


def unreadable(path: Path) -> str | None:
    """Return why a file cannot be decoded, or None; only its header and length are read."""
    from genrekit import audio

    try:
        audio.probe(path)
    except AudioError as error:
        return str(error)
    return None


def shallow_files(path: Path, max_depth: int) -> Iterator[Path]:
    """Give the files down to max_depth folders below a folder, sorted, without hidden folders."""
    for parent, folders, names in os.walk(path):
        depth = len(Path(parent).relative_to(path).parts)
        folders[:] = sorted(name for name in folders if depth < max_depth and name[0] != ".")
        yield from (Path(parent, name) for name in sorted(names))


def check(
    tracks: Sequence[Track],
    hashes: Mapping[Path, str],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> ReadabilityReport:
    """Decode every track to its end.

    Args:
        tracks: what to decode.
        hashes: SHA-256 of the files by path, to find equal ones.
        jobs: number of threads; None means one for each core.
        advance: called once for every track.

    Returns:
        What was found, in the order of the tracks.
    """

    def decode(track: Track) -> float | Problem:
        found = _decode(track)
        advance()
        return found

    with ThreadPoolExecutor(jobs or n_cores()) as pool:
        found = list(pool.map(decode, tracks))
    return ReadabilityReport(
        n_tracks=len(tracks),
        duration_seconds=sum(item for item in found if isinstance(item, float)),
        bad=tuple(item for item in found if isinstance(item, Problem)),
        repeated=tuple(_repeated(tracks, hashes)),
    )


def _decode(track: Track) -> float | Problem:
    """Length in seconds, or what is wrong."""
    from genrekit import audio

    try:
        info = audio.probe(track.path)
        damage = list(info.warnings)
        n_samples, peak = 0, 0.0
        for block in audio.blocks(info, on_warning=damage.append):
            n_samples += block.shape[-1]
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
    except AudioError as error:
        return Problem(track.track_id, str(error))
    if peak == 0.0:
        return Problem(track.track_id, f"{track.path} is silent from start to end")
    if damage:
        return Problem(track.track_id, f"{track.path}: {'; '.join(damage)}")
    return n_samples / info.sample_rate


def _repeated(tracks: Sequence[Track], hashes: Mapping[Path, str]) -> list[Problem]:
    first: dict[str, Track] = {}
    problems = []
    for track in tracks:
        other = first.setdefault(hashes.get(track.path, f"none for {track.track_id}"), track)
        if other is not track:
            label = "" if other.genre == track.genre else f", under another genre ({other.genre})"
            problems.append(Problem(track.track_id, f"same bytes as {other.track_id}{label}"))
    return problems
