"""The audit of a dataset: faulty files, repetitions, leaking splits and doubtful labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from genrekit.datasets.dataset import Dataset
from genrekit.datasets.split import Split
from genrekit.errors import DatasetError
from genrekit.quality import checks, duplicates, measurements
from genrekit.quality.checks import FaultLimits
from genrekit.quality.findings import Audit
from genrekit.quality.measurements import Measurements

__all__ = ["Audit", "FaultLimits", "audit"]

# Opens a progress bar with a name and a number of steps; returns the function that advances it.
Progress = Callable[[str, int], AbstractContextManager[Callable[[], object]]]


def _no_progress(name: str, n_steps: int) -> AbstractContextManager[Callable[[], object]]:
    del name, n_steps
    return nullcontext(lambda: None)


def audit(
    dataset: Dataset,
    splits: Iterable[Split] = (),
    *,
    limits: FaultLimits | None = None,
    rank_labels: bool = False,
    jobs: int | None = None,
    cache: Path | None = None,
    progress: Progress = _no_progress,
) -> Audit:
    """Decode every track of a dataset once and name what is wrong with it.

    Args:
        dataset: the tracks.
        splits: splits to check, beside those that were published for the dataset.
        limits: lengths outside of which a file is named; None is 5 s to 20 minutes.
        rank_labels: name the likely wrong labels too; a note says so where the packages of
            genrekit[audit] are missing.
        jobs: worker processes; None is one per core.
        cache: the folder that keeps what was measured, so that a killed audit goes on; None is
            genrekit's in the user's cache.
        progress: shows the progress of measuring and of ranking the labels.

    Returns:
        What was found. Of a repeated recording the first track stays, or none if labels differ.

    Raises:
        DatasetError: the dataset holds no audio.
    """
    from genrekit.quality import mislabels

    if not dataset.has_audio:
        raise DatasetError(
            f"{dataset.path} holds features or images, and an audit decodes audio; give the folder "
            "of the audio files"
        )
    obstacle = mislabels.obstacle() if rank_labels else None
    measured, unreadable = _measure(dataset, jobs, cache, progress)
    found = _check(dataset, splits, limits or FaultLimits(), measured, unreadable)
    if obstacle:
        return found.with_more((), [obstacle])
    if rank_labels:
        with progress("labels", len(dataset.tracks)) as advance:
            found = mislabels.add(dataset, found, jobs=jobs, cache=cache, advance=advance)
    return found


def _measure(
    dataset: Dataset, jobs: int | None, cache: Path | None, progress: Progress
) -> tuple[dict[str, Measurements], dict[str, str]]:
    """Return the measurements of the tracks by id, and why the others have none."""
    paths = [track.path for track in dataset.tracks]
    with progress("decoding", len(paths)) as advance:
        results = measurements.measure_all(paths, jobs, cache, advance)
        found = dict(zip((track.track_id for track in dataset.tracks), results, strict=True))
    measured = {key: its for key, its in found.items() if isinstance(its, Measurements)}
    return measured, {key: its for key, its in found.items() if isinstance(its, str)}


def _check(
    dataset: Dataset,
    splits: Iterable[Split],
    limits: FaultLimits,
    measured: dict[str, Measurements],
    unreadable: dict[str, str],
) -> Audit:
    """Run every check that needs no model."""
    audible = {key: its for key, its in measured.items() if its.peak >= checks.SILENCE_PEAK}
    pairs = duplicates.find(audible)
    recordings = duplicates.groups((pair.first, pair.second) for pair in pairs)
    findings = [
        *checks.faults(measured, unreadable, limits),
        *duplicates.to_findings(pairs, recordings),
        *checks.under_two_labels(recordings, dataset.by_id),
    ]
    for split in (*dataset.fixed.values(), *splits):
        findings += checks.on_both_sides(split, dataset.tracks, measured, recordings)
    return Audit(
        dataset=dataset.name,
        path=dataset.path,
        n_tracks=len(dataset.tracks),
        duration_seconds=sum(its.duration_seconds for its in measured.values()),
        findings=tuple(findings),
        pairs=tuple(pairs),
        published=duplicates.compare(
            recordings, {k: v for k, v in dataset.repetitions.items() if k in dataset.by_id}
        ),
    )
