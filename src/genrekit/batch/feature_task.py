"""The 57 hand-crafted columns of each file, or of each segment of it, as rows of a table.

The CSV form is that of the published GTZAN tables: ``filename,length``, the columns, ``label``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genrekit import labels
from genrekit.batch import sources
from genrekit.batch.engines import Limits
from genrekit.errors import AudioError, DatasetError
from genrekit.features import FeatureSpec, handcrafted
from genrekit.inference.segments import cut_whole

if TYPE_CHECKING:
    from genrekit.batch.parts import Row
    from genrekit.batch.sources import BatchSource
    from genrekit.workers import Failure

HEADER = ("filename", "length", *handcrafted.COLUMNS, "label")
MAX_ROW_SECONDS = 600.0  # a row needs some 30 MB of memory a minute


@dataclass(frozen=True)
class ExtractFeatures:
    """``genrekit features extract``.

    Attributes:
        segment_seconds: length of the segments that get a row each, from 0.1 to 600; None: one row
            a file.
        label_by_folder: as for PublishedTable.
    """

    segment_seconds: float | None = None
    label_by_folder: bool = False
    verb: ClassVar[str] = "features extract"
    limits: ClassVar[Limits] = Limits(item_seconds=3600.0)

    @property
    def csv_table(self) -> PublishedTable:
        """The published form."""
        return PublishedTable(self.segment_seconds is not None, self.label_by_folder)

    def parameters(self) -> dict[str, Any]:
        """Return all that decides the rows."""
        return {"segment_seconds": self.segment_seconds}

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Return the function that computes a file's rows."""
        sources.delete_abandoned()
        return partial(_extract, self.segment_seconds)

    def failed(self, failure: Failure[BatchSource]) -> Row:
        """Return path and error."""
        return {"path": failure.item.name, "error": failure.message}

    def columns(self) -> dict[str, str]:
        """Return the columns: where the row lies in the file, the published ones, and problems."""
        values = dict.fromkeys(handcrafted.COLUMNS, "double")
        first = {"path": "string", "start_seconds": "double", "length": "int"}
        return first | values | {"warnings": "list", "error": "string"}

    def flat(self, row: Row) -> Row:
        """Return the row: it is flat."""
        return row


@dataclass(frozen=True)
class PublishedTable:
    """The form of the published GTZAN tables.

    Attributes:
        by_segment: row K of NAME.EXT is called NAME.K.EXT.
        label_by_folder: every file's label is its folder's name. Otherwise it is that only where
            the folder is called like a genre that genrekit knows, and empty elsewhere.
    """

    by_segment: bool
    label_by_folder: bool
    header: Sequence[str] = HEADER

    def check(self, listed: Sequence[BatchSource]) -> None:
        """Refuse two files of one name, since rows are named after files.

        Raises:
            DatasetError: there are two.
        """
        stems: dict[str, str] = {}
        for source in listed:
            stem = Path(source.name).stem
            other = stems.setdefault(stem, source.name)
            if other != source.name:
                raise DatasetError(
                    f"two files are called {stem!r}: {other} and {source.name}; rows are named "
                    "after files, so rename one or make a table of each folder"
                )

    def cells(self, row: Row, number: int) -> list[object]:
        """Return what stands in the columns for a file's row of a number."""
        path = Path(row["path"])
        name = f"{path.stem}.{number}{path.suffix}" if self.by_segment else path.name
        values = (row[column] for column in handcrafted.COLUMNS)
        return [name, row["length"], *values, self._label(path)]

    def _label(self, path: Path) -> str:
        folder = path.absolute().parent.name
        if self.label_by_folder:
            return folder
        known = (labels.label_set(name) for name in ("gtzan", *labels.names()))
        return next((one.canonical(folder) for one in known if folder in one), "")


def _extract(segment_seconds: float | None, source: BatchSource) -> list[Row]:
    """Compute the rows of one file."""
    warnings: list[str] = []
    with sources.local_copy(source) as path:
        parts = _whole if segment_seconds is None else partial(_segments, segment_seconds)
        rows = [
            {"path": source.name, "start_seconds": start_seconds, "length": length}
            | dict(zip(handcrafted.COLUMNS, values, strict=True))
            for start_seconds, length, values in parts(path, warnings.append)
        ]
    unique = list(dict.fromkeys(warnings))
    return [row | {"warnings": unique} for row in rows]


_Part = tuple[float, int, list[float]]  # where it begins, its length in samples, the 57 values


def _whole(path: Path, warn: Callable[[str], None]) -> Iterator[_Part]:
    from genrekit import audio

    info = audio.probe(path)
    if info.duration_seconds > MAX_ROW_SECONDS:
        raise AudioError(
            f"{path} is {info.duration_seconds:.0f} s long; one row can stand for "
            f"{MAX_ROW_SECONDS:.0f} s at most; request a row a segment (--segment-seconds 30)"
        )
    waveform = audio.load(info, FeatureSpec(kind="handcrafted").sample_rate, on_warning=warn)[0]
    yield 0.0, len(waveform), handcrafted.values(waveform).tolist()


def _segments(segment_seconds: float, path: Path, warn: Callable[[str], None]) -> Iterator[_Part]:
    from genrekit import audio

    spec = FeatureSpec(
        kind="handcrafted", segment_seconds=segment_seconds, segment_hop_seconds=segment_seconds
    )
    blocks = audio.blocks(audio.probe(path), spec.sample_rate, on_warning=warn)
    for first, segments in cut_whole(blocks, spec):
        for number, values in enumerate(handcrafted.values(segments).tolist()):
            start = first + number * segments.shape[1]
            yield start / spec.sample_rate, segments.shape[1], values
