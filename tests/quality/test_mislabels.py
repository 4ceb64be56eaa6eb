"""Swapped labels among made music are named first; what cannot be ranked is noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_music
from genrekit import datasets, extras
from genrekit.errors import DatasetError
from genrekit.quality import audit, mislabels
from genrekit.quality.findings import Audit, Pair

N_SONGS = 24
SWAPPED = (5, 12)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tunes and drums, each of an artist of its own; two of them under the other label."""
    root = tmp_path_factory.mktemp("music")
    rows = ["path,genre,artist,track_id"]
    for number in range(N_SONGS):
        drums = number % 2 == 1
        path = made_music.write(
            root / f"{number:02d}.wav", made_music.song(number, 6.0, drums=drums)
        )
        label = ("tunes", "drums")[drums != (number in SWAPPED)]
        rows.append(f"{path.name},{label},artist {number},{number:02d}")
    (root / "manifest.csv").write_text("\n".join([*rows, ""]))
    return root


def test_swapped_labels_are_found_and_nothing_else(root: Path, tmp_path: Path) -> None:
    dataset = datasets.open_dataset(root)
    with_labels = audit(dataset, rank_labels=True, jobs=2, cache=tmp_path)
    assert with_labels.notes == ()
    assert {its.tracks for its in with_labels.findings} == {(f"{n:02d}",) for n in SWAPPED}
    assert {its.check for its in with_labels.findings} == {mislabels.CHECK}
    assert with_labels.excluded == {}  # a classifier's opinion removes nothing
    assert "called tunes (" in next(
        its.reason for its in with_labels.findings if its.tracks == ("05",)
    )


def blobs(n_tracks: int) -> tuple[np.ndarray, Sequence[str]]:
    rng = np.random.default_rng(0)
    genres = ["a" if number % 2 else "b" for number in range(n_tracks)]
    vectors = rng.normal(size=(n_tracks, 8)) + 6 * (np.arange(n_tracks) % 2)[:, None]
    return vectors.astype(np.float32), genres


def test_no_head_predicts_a_track_of_a_group_that_it_was_fitted_to() -> None:
    # Noise that one group repeats: only a head fitted to the group can predict its genre.
    rng = np.random.default_rng(0)
    groups = [f"group {number // 6}" for number in range(60)]
    genres = np.repeat(["a", "b"] * 5, 6).tolist()
    vectors = np.repeat(rng.normal(size=(10, 40)), 6, axis=0).astype(np.float32)
    labels, grouped = mislabels.out_of_fold(vectors, genres, groups)
    _, alone = mislabels.out_of_fold(vectors, genres, [str(number) for number in range(60)])
    true = np.array([labels.index(genre) for genre in genres])
    assert (alone.argmax(axis=1) == true).mean() == 1.0
    assert (grouped.argmax(axis=1) == true).mean() < 0.8


def test_probabilities_out_of_fold_sum_to_one_and_separate_clear_genres() -> None:
    vectors, genres = blobs(40)
    labels, probabilities = mislabels.out_of_fold(vectors, genres, [str(n) for n in range(40)])
    assert labels == ["a", "b"]
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert [labels[row.argmax()] for row in probabilities] == list(genres)


def test_too_few_artists_are_refused() -> None:
    vectors, genres = blobs(20)
    with pytest.raises(DatasetError, match="genre 'a' has tracks of 2 artists or recordings; 5 or"):
        mislabels.out_of_fold(vectors, genres, [str(n % 4) for n in range(20)])


def test_labels_that_cannot_be_ranked_leave_a_note(root: Path, tmp_path: Path) -> None:
    dataset = datasets.open_dataset(root)
    few = replace(dataset, tracks=dataset.tracks[:6])
    found = mislabels.add(few, Audit("few", root, 6, 36.0, ()), jobs=1, cache=tmp_path)
    (note,) = found.notes
    assert note.startswith("labels were not ranked: genre ")


def test_a_dataset_that_cannot_be_decoded_leaves_a_note(tmp_path: Path) -> None:
    for name in ("ska/1.flac", "polka/2.flac"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("no audio")
    dataset = datasets.open_dataset(tmp_path)
    found = mislabels.add(dataset, Audit("bad", tmp_path, 2, 0.0, ()), jobs=1, cache=tmp_path)
    assert found.notes == ("labels were not ranked: no track can be decoded",)


def test_repetitions_found_are_kept_in_one_fold(root: Path) -> None:
    dataset = replace(datasets.open_dataset(root), repetitions={"00": "00", "02": "00"})
    groups = mislabels.groups_with(dataset, [Pair("02", "04", "near repetition")])
    assert groups["00"] == groups["02"] == groups["04"] != groups["06"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mislabels.obstacle() is None
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "cleanlab")
    assert "that needs cleanlab" in str(mislabels.obstacle())
    assert "[audit]'" in str(mislabels.obstacle())
