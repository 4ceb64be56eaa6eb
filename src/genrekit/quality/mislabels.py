"""Likely wrong labels: tracks whose label a classifier contradicts, fitted without their artist.

A logistic head on the embedded model's embedding is fitted to four fifths of the tracks and
predicts the others; cleanlab ranks where its predictions and the labels disagree. It finds what is
unusual for its genre, which is not always wrong: nothing is left out because of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import extras, files
from genrekit.audio.decoder_messages import silence_decoders
from genrekit.datasets import stratify
from genrekit.datasets.dataset import Dataset
from genrekit.datasets.tracks import Track
from genrekit.errors import DatasetError, ModelError
from genrekit.models import registry
from genrekit.quality import duplicates, measurements
from genrekit.quality.findings import Audit, Finding, Pair
from genrekit.workers import Failure, Pool, n_cores

if TYPE_CHECKING:
    from genrekit.inference.classifier import Classifier

CHECK = "likely wrong label"
N_FOLDS = 5
# Penalty on the standardised weights, relative to the mean loss of a track. Of 1e-4 to 0.1 in C for
# GTZAN's 703 tracks, C = 0.01 (this penalty) had the highest accuracy by artist: 83.8 % with the
# embedding of fast 1.
L2 = 0.18
MAX_ITERATIONS = 500

Floats = NDArray[np.float64]
Vector = NDArray[np.float32]


def obstacle() -> str | None:
    """Return why labels cannot be ranked here, or None where they can."""
    missing = [name for name in ("cleanlab", "sklearn") if not extras.is_installed(name)]
    if not missing:
        return None
    return f"labels were not ranked: {extras.sentence('that', missing[0], 'audit')}"


def add(
    dataset: Dataset,
    found: Audit,
    *,
    jobs: int | None = None,
    cache: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Audit:
    """Return an audit with the likely wrong labels appended to its findings, the likeliest first.

    Args:
        dataset: what was audited.
        found: its audit. Tracks that cannot be decoded are skipped, and copies of one recording
            are kept in one fold.
        jobs: worker processes; None is one per core.
        cache: the folder that keeps embeddings; None is genrekit's in the user's cache.
        advance: called once for every track of the dataset.

    Raises:
        ModelError: the embedded model cannot be loaded.

    Source: C. G. Northcutt, L. Jiang, I. L. Chuang (2021), Confident learning: estimating
        uncertainty in dataset labels, JAIR 70.
    """
    vectors = _embed_all(dataset.tracks, jobs, cache or measurements.cache_folder(), advance)
    tracks = [its for its in dataset.tracks if its.track_id in vectors.keys() - found.without_sound]
    groups = groups_with(dataset, found.pairs)
    if not tracks:
        return found.with_more((), ["labels were not ranked: no track can be decoded"])
    try:
        labels, probabilities = out_of_fold(
            np.stack([vectors[track.track_id] for track in tracks]),
            [track.genre for track in tracks],
            [groups[track.track_id] for track in tracks],
        )
    except DatasetError as error:
        return found.with_more((), [f"labels were not ranked: {error}"])
    return found.with_more(_suspects(tracks, labels, probabilities))


def groups_with(dataset: Dataset, pairs: Iterable[Pair]) -> dict[str, str]:
    """Return track_id -> group, as Dataset.groups, with the repetitions found joined to it.

    Args:
        dataset: what was audited.
        pairs: the repetitions found.
    """
    members = duplicates.groups(
        [*dataset.repetitions.items(), *((pair.first, pair.second) for pair in pairs)]
    )
    names = {track_id: recording[0] for recording in members for track_id in recording}
    return replace(dataset, repetitions=names).groups


def out_of_fold(
    vectors: Vector, genres: Sequence[str], groups: Sequence[str]
) -> tuple[list[str], Floats]:
    """Return each track's probabilities by a head that was fitted to no track of its group.

    Args:
        vectors: one embedding per track. Shape (n_tracks, d).
        genres: label of each track.
        groups: artist or recording of each track.

    Returns:
        The labels, sorted, and probabilities of shape (n_tracks, n_labels).

    Raises:
        DatasetError: a genre has fewer groups than there are folds, or one group is larger than
            a fold.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _check_groups(genres, groups)
    labels, true = np.unique(np.asarray(genres, np.str_), return_inverse=True)
    fold_of = stratify.folds(genres, groups, N_FOLDS)
    probabilities = np.empty((len(genres), len(labels)))
    for fold in range(N_FOLDS):
        held_out = fold_of == fold
        penalty = 1 / (L2 * int((~held_out).sum()))
        head = LogisticRegression(C=penalty, class_weight="balanced", max_iter=MAX_ITERATIONS)
        model = make_pipeline(StandardScaler(), head).fit(vectors[~held_out], true[~held_out])
        probabilities[held_out] = model.predict_proba(vectors[held_out])
    return labels.tolist(), probabilities


def _check_groups(genres: Sequence[str], groups: Sequence[str]) -> None:
    n_groups = Counter(genre for genre, _ in {*zip(genres, groups, strict=True)})
    for genre, n in sorted(n_groups.items()):
        if n < N_FOLDS:
            raise DatasetError(
                f"genre {genre!r} has tracks of {n} artists or recordings; {N_FOLDS} or "
                "more show what is usual"
            )


def _suspects(
    tracks: Sequence[Track], labels: list[str], probabilities: Floats
) -> Iterator[Finding]:
    from cleanlab.filter import find_label_issues

    true = np.array([labels.index(track.genre) for track in tracks])
    ranked = find_label_issues(
        true, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    for index in ranked:
        row = probabilities[index]
        likeliest = int(row.argmax())
        reason = (
            f"called {tracks[index].genre} ({100 * row[true[index]]:.0f} %), sounds like "
            f"{labels[likeliest]} ({100 * row[likeliest]:.0f} %)"
        )
        yield Finding(CHECK, (tracks[index].track_id,), reason)


def _embed_all(
    tracks: Sequence[Track], jobs: int | None, cache: Path, advance: Callable[[], object]
) -> dict[str, Vector]:
    """Return the embedding of each track that can be decoded, by track_id."""
    folder = registry.find()
    start = partial(_start_worker, folder.path, cache / folder.card.onnx_sha256[:16])
    n_jobs = max(1, min(jobs or n_cores(), len(tracks)))
    vectors = {}
    with Pool(start, n_jobs, item_seconds=measurements.ITEM_SECONDS) as pool:
        results = pool.map(track.path for track in tracks)
        for track, found in zip(tracks, results, strict=True):
            if not isinstance(found, Failure):
                vectors[track.track_id] = found
            advance()
    return vectors


def _start_worker(model: Path, cache: Path) -> Callable[[Path], Vector]:
    from genrekit.inference.classifier import Classifier

    silence_decoders()
    return partial(_embed, Classifier(model), cache)


def _embed(classifier: Classifier, cache: Path, path: Path) -> Vector:
    """Return a file's mean embedding, from the cache where the same bytes were embedded before."""
    digest = files.sha256(path)
    record = cache / digest[:2] / f"{digest}.npy"
    with suppress(OSError, ValueError, EOFError), record.open("rb") as stream:
        cached: Vector = np.load(stream, allow_pickle=False)
        return cached
    _, embedding = classifier.analyse_file(path)
    if embedding is None:
        raise ModelError(f"model {classifier.card.name!r} gives no embedding; use one that does")
    with suppress(OSError), files.write_beside(record) as stream:  # only a cache
        np.save(stream, embedding)
    return embedding
