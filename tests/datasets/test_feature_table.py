"""Feature tables: which rows are a track, which splits they have, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from genrekit.datasets import feature_table, open_dataset
from genrekit.datasets.feature_table import FeatureTable
from genrekit.errors import DatasetError
from genrekit.features.handcrafted import COLUMNS
from genrekit.quality import audit

HEADER = ["filename", "length", *COLUMNS, "label"]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a table: one (filename, first feature, label) a row."""

    def put(
        rows: Sequence[tuple[str, str, str]],
        header: Sequence[str] = HEADER,
        length: int = 66150,
    ) -> Path:
        lines = [",".join(header)]
        for name, first, label in rows:
            lines.append(",".join([name, str(length), first, *["0.5"] * 56, label]))
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return put


def test_rows_are_read_by_name_and_segments_join_their_track(write: Write) -> None:
    rows = [("b.1.wav", "1", "ska"), ("a.0.wav", "2", "polka"), ("b.0.wav", "3", "ska")]
    table = open_dataset(write(rows))
    assert isinstance(table, FeatureTable)
    assert [(track.track_id, track.genre) for track in table.tracks] == [
        ("a", "polka"),
        ("b", "ska"),
    ]
    assert table.rows["b"][:, 0].tolist() == [3, 1]
    assert table.rows["b"].shape == (2, 57)
    assert table.n_segments == {"a": 1, "b": 2}
    assert table.segment_seconds == 3.0
    assert not table.has_audio
    with pytest.raises(DatasetError, match="holds features or images, and an audit decodes audio"):
        audit(table)


def test_a_number_is_no_segment_where_any_name_lacks_one(write: Write) -> None:
    table = open_dataset(write([("a.0.wav", "1", "ska"), ("b.wav", "2", "polka")]))
    assert [track.track_id for track in table.tracks] == ["a.0", "b"]


def test_the_leaky_split_divides_rows_and_says_so(write: Write) -> None:
    rows = [(f"{g}{t}.{k}.wav", "1", g) for g in ("ska", "polka") for t in range(6) for k in (0, 1)]
    table = open_dataset(write(rows))
    assert isinstance(table, FeatureTable)
    split = table.segment_split(table.n_segments)
    assert "LEAKY" in split.title
    assert len(split.assignment) == 24


def test_only_some_genres(write: Write) -> None:
    rows = [(f"{genre}.wav", "1", genre) for genre in ("ska", "polka", "jazz")]
    table = open_dataset(write(rows))
    assert table.only(["Polka", "JAZZ"]).labels == ("jazz", "polka")
    with pytest.raises(DatasetError, match=r"'polca'; did you mean 'polka'\?"):
        table.only(["polca", "jazz"])
    with pytest.raises(DatasetError, match="one genre only"):
        table.only(["jazz", "jazz"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no row"),
        ([("a.wav", "nan", "ska")], r"line 2: chroma_stft_mean is 'nan'; it must be a finite"),
        ([("a.wav", "loud", "ska")], r"line 2: chroma_stft_mean is 'loud'"),
        ([("a.wav", "1", "ska"), ("a.wav", "2", "ska")], "lines 2 and 3 both hold 'a.wav'"),
        ([("", "1", "ska")], "a name is empty"),
        ([("a.wav", "1", "")], "line 2: the label is empty"),
        ([("a.0.wav", "1", "ska"), ("a.1.wav", "1", "polka")], "a track has one genre"),
        ([("a.wav", "1", "ska")], "one genre only"),
        (
            [("blues.00000.wav", "1", "blues"), ("rock.00001.wav", "1", "rok")],
            r"rock.00001: unknown gtzan label 'rok'; did you mean 'rock'",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_sentence(
    write: Write, rows: list[tuple[str, str, str]], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset(write(rows))


def test_missing_columns_are_named(write: Write) -> None:
    header = [name for name in HEADER if name not in ("tempo", "label")]
    with pytest.raises(DatasetError, match="lacks the columns label, tempo"):
        open_dataset(write([("a.wav", "1", "ska")], header))


def test_lengths_must_be_samples(write: Write) -> None:
    with pytest.raises(DatasetError, match="numbers of samples at 22050 Hz"):
        open_dataset(write([("a.wav", "1", "ska"), ("b.wav", "1", "polka")], length=0))


def test_other_tables_are_left_to_other_layouts(tmp_path: Path) -> None:
    path = tmp_path / "music.csv"
    path.write_text("path,genre\na.wav,ska\n", encoding="utf-8")
    assert feature_table.open_table(path) is None


@pytest.mark.untraced
def test_the_published_tables_have_gtzans_splits(shared_data: Path) -> None:
    whole = open_dataset(shared_data / "gtzan/features_30_sec.csv")
    parts = open_dataset(shared_data / "gtzan/features_10_sec.csv")
    assert isinstance(whole, FeatureTable)
    assert isinstance(parts, FeatureTable)
    assert (whole.segment_seconds, parts.segment_seconds) == (30.0, 10.0)
    assert sum(parts.n_segments.values()) == 2991
    for table in (whole, parts):
        assert len(table.tracks) == 1000
        assert table.split_kinds == ("track", "artist", "fault-filtered")
        assert tuple(table.split("fault-filtered").counts.values()) == (443, 197, 290)
    assert whole.groups == parts.groups
    # Column order differs between the two files: a 30-s mean is near the mean of its 10-s means.
    column = COLUMNS.index("mfcc1_mean")
    near = [parts.rows[key][:, column].mean() - whole.rows[key][0, column] for key in whole.rows]
    assert np.median(np.abs(near)) < 1
