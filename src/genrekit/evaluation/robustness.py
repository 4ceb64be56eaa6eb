"""Robustness: the same test tracks with changed audio, through the same pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit.audio.decoder_messages import silence_decoders
from genrekit.errors import DatasetError
from genrekit.evaluation import perturbations
from genrekit.evaluation.result import EvaluationResult, TrackResult
from genrekit.evaluation.scoring import interval, mean
from genrekit.metrics import Resamples
from genrekit.models.card import AudioChange, Robustness
from genrekit.models.registry import ModelFolder
from genrekit.workers import Failure, Pool, n_cores

if TYPE_CHECKING:
    from genrekit.inference.classifier import Classifier

CLEAN = "unchanged"
TRACK_SECONDS = 600.0
Labels = dict[str, str]  # the label predicted under each change


def measure(
    folder: ModelFolder,
    result: EvaluationResult,
    *,
    jobs: int | None = None,
    report: Callable[[str], object] = lambda line: None,
    advance: Callable[[], object] = lambda: None,
) -> Robustness:
    """Predict the tracks of an evaluation again under every change of perturbations.CHANGES.

    Args:
        folder: the model that was evaluated.
        result: its evaluation, on entire tracks.
        jobs: worker processes; None is one per core.
        report: called with one line per track that is left out.
        advance: called once for every track.

    Returns:
        Accuracy under each change, and the share of tracks with the same prediction as unchanged,
        over the tracks that could be predicted under all changes.

    Raises:
        DatasetError: the split is by segment, or no track could be predicted.
    """
    if result.split_is_leaky:
        raise DatasetError(
            "robustness is measured on entire tracks; choose a split by track or artist"
        )
    tracks: list[TrackResult] = []
    labels: list[Labels] = []
    for track, found in zip(
        result.tracks, _predict_all(folder.path, result.tracks, jobs), strict=True
    ):
        if isinstance(found, Failure):
            report(f"left out of robustness: {found.message}")
        else:
            tracks.append(track)
            labels.append({CLEAN: track.label, **found})
        advance()
    if not tracks:
        raise DatasetError("no track could be predicted under every change; see the lines above")
    return Robustness(
        data=result.data,
        split=result.split_title,
        changes=tuple(_change(name, tracks, labels) for name in (CLEAN, *perturbations.CHANGES)),
    )


def _predict_all(
    model: Path, tracks: Sequence[TrackResult], jobs: int | None
) -> Iterator[Labels | Failure[str]]:
    n_jobs = min(jobs or n_cores(), len(tracks))
    with Pool(partial(_start, model), n_jobs, item_seconds=TRACK_SECONDS) as pool:
        yield from pool.map(track.path for track in tracks)


def _start(model: Path) -> Callable[[str], Labels]:
    from genrekit.inference.classifier import Classifier

    silence_decoders()
    return partial(labels_of, Classifier(model, segments="all"))


def labels_of(classifier: Classifier, path: str) -> Labels:
    """Return the model's label for a file under every change.

    Raises:
        AudioError: the file cannot be decoded, or a change leaves nothing of it.
    """
    from genrekit import audio

    info = audio.probe(path)
    waveform = audio.load(info)
    return {
        name: classifier.predict(*change(waveform, info.sample_rate)).genres[0][0]
        for name, change in perturbations.CHANGES.items()
    }


def _change(name: str, tracks: Sequence[TrackResult], labels: Sequence[Labels]) -> AudioChange:
    groups = [track.group for track in tracks]
    pairs = zip(labels, tracks, strict=True)
    held = {
        "accuracy": [(its[name] == track.genre, 1) for its, track in pairs],
        "agreement": [(its[name] == its[CLEAN], 1) for its in labels],
    }
    shares = {key: interval(Resamples(items, groups), mean) for key, items in held.items()}
    return AudioChange(name=name, n_tracks=len(tracks), **shares)
