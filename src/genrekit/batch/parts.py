"""The parts of a batch job's output, JSON lines or Parquet, and how they are joined to a file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from genrekit import extras
from genrekit.errors import BatchError
from genrekit.files import write_beside
from genrekit.tables import csv_file

if TYPE_CHECKING:
    from genrekit.batch.feature_task import PublishedTable
    from genrekit.batch.job import JobTask
    from genrekit.batch.storage import Storage

Row = dict[str, Any]
Kind = Literal["jsonl", "csv", "parquet"]  # parts of a CSV table are JSON lines
_N_FILES, _N_FAILED = b"genrekit.n_files", b"genrekit.n_failed"


class Counts(NamedTuple):
    """How many files a part holds, and how many of them failed."""

    n_files: int
    n_failed: int


def kind_of(output: str) -> Kind:
    """Return how an output is written: by its suffix JSON lines or CSV, otherwise Parquet.

    >>> kind_of("genres.jsonl"), kind_of("features.CSV"), kind_of("s3://bucket/genres/")
    ('jsonl', 'csv', 'parquet')
    """
    suffixes: dict[str, Kind] = {".jsonl": "jsonl", ".csv": "csv"}
    return suffixes.get(Path(output).suffix.lower(), "parquet")


def check_parquet() -> None:
    """Find out before the work whether Parquet can be written.

    Raises:
        BatchError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise BatchError(f"{extras.sentence('Parquet', 'pyarrow')}, or write JSON lines") from error


def name(index: int, kind: Kind) -> str:
    """Return the name of a block's part.

    >>> name(7, "parquet"), name(7, "csv")
    ('part-0000007.parquet', 'part-0000007.jsonl')
    """
    return f"part-{index:07}.{'parquet' if kind == 'parquet' else 'jsonl'}"


def index(file: str, kind: Kind) -> int | None:
    """Return which block's part a file is; None where it is none.

    >>> index("part-0000007.parquet", "parquet"), index("_job.json", "parquet")
    (7, None)
    """
    stem = file.removeprefix("part-").partition(".")[0]
    return int(stem) if stem.isdecimal() and name(int(stem), kind) == file else None


def content(rows: Sequence[Row], kind: Kind, task: JobTask, counts: Counts) -> bytes:
    """Return the bytes of a part.

    Args:
        rows: of all files of one block.
        kind: how to write them.
        task: gives the columns of Parquet.
        counts: of the block's files.
    """
    if kind != "parquet":
        return b"".join(json.dumps(row, ensure_ascii=True).encode() + b"\n" for row in rows)
    metadata = {_N_FILES: counts.n_files, _N_FAILED: counts.n_failed}
    return parquet_table(map(task.flat, rows), task.columns(), metadata)


def parquet_table(
    rows: Iterable[Row], columns: Mapping[str, str], metadata: Mapping[bytes, int] | None = None
) -> bytes:
    """Return the bytes of a Parquet file.

    Args:
        rows: a value, or nothing, for each column.
        columns: their types: "string", "double", "bool", "int" or "list" (of strings).
        metadata: numbers that the file also holds.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "string": pa.string(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "list": pa.list_(pa.string()),
    }
    schema = pa.schema(
        [(column, types[kind]) for column, kind in columns.items()],
        metadata={key: str(number).encode() for key, number in (metadata or {}).items()},
    )
    stream = io.BytesIO()
    table = pa.Table.from_pylist([_escaped(row) for row in rows], schema)
    parquet.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _escaped(row: Row) -> Row:
    """Escape the bytes of a name that are no text, which Parquet cannot hold."""
    names = {key: row[key] for key in ("path", "error") if row.get(key)}
    return row | {
        key: text.encode("utf-8", "backslashreplace").decode() for key, text in names.items()
    }


def counts(storage: Storage, file: str, kind: Kind) -> Counts:
    """Return how many files a part holds.

    Raises:
        BatchError: it cannot be read.
    """
    with storage.open(file) as stream:
        if kind != "parquet":
            return count_lines(stream)
        from pyarrow import parquet

        found: dict[bytes, bytes] = parquet.read_schema(stream).metadata
        return Counts(int(found[_N_FILES]), int(found[_N_FAILED]))


def count_lines(stream: Any) -> Counts:
    """Count the files in JSON lines; one file may have several rows, but only one error."""
    paths: set[str] = set()
    n_failed = 0
    for row in map(json.loads, stream):
        paths.add(row["path"])
        n_failed += "error" in row
    return Counts(len(paths), n_failed)


def join_lines(storage: Storage, files: Iterable[str], output: Path) -> None:
    """Write parts of JSON lines one after another as one file."""
    with write_beside(output) as stream:
        for file in files:
            stream.write(storage.read(file))


def join_csv(storage: Storage, files: Iterable[str], output: Path, table: PublishedTable) -> int:
    """Write parts of JSON lines as a CSV table, without the files that failed.

    Args:
        storage: holds the parts.
        files: the parts, in their order.
        output: the CSV file.
        table: its columns, and what stands in them.

    Returns:
        How many rows were written.
    """
    n_rows = 0
    with csv_file(output) as write_row:
        write_row(table.header)
        for _, rows in groupby(read_rows(storage, files), key=lambda row: row["path"]):
            for number, row in enumerate(row for row in rows if "error" not in row):
                write_row(table.cells(row, number))
                n_rows += 1
    return n_rows


def read_rows(storage: Storage, files: Iterable[str]) -> Iterator[Row]:
    """Give the rows of parts of JSON lines."""
    for file in files:
        with storage.open(file) as stream:
            yield from map(json.loads, stream)
