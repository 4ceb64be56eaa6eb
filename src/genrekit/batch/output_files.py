"""The parts of a run's output: JSON lines, or Parquet files of one folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from genrekit.batch.storage import Place
from genrekit.batch.tasks import Row, Work
from genrekit.errors import BatchError

Kind = Literal["jsonl", "parquet"]
_N_FILES, _N_FAILED = b"genrekit.n_files", b"genrekit.n_failed"


@dataclass(frozen=True)
class Counts:
    """How many files stand in a part, and how many of them failed."""

    n_files: int
    n_failed: int


def check(kind: Kind) -> None:
    """Find out before the work whether a kind of part can be written.

    Raises:
        RunError: pyarrow is not installed.
    """
    if kind == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise BatchError(
                f"Parquet needs pyarrow, which is not installed ({error}); install it by: pip "
                "install 'genrekit[parquet]', or write JSON lines: -o NAME.jsonl"
            ) from error


def name(index: int, kind: Kind) -> str:
    """Return the name of a block's part.

    >>> name(7, "parquet")
    'part-0000007.parquet'
    """
    return f"part-{index:07}.{kind}"


def index(file: str, kind: Kind) -> int | None:
    """Return which block's part a file is; None where it is none.

    >>> index("part-0000007.parquet", "parquet"), index("_run.json", "parquet")
    (7, None)
    """
    stem = file.removeprefix("part-").removesuffix(f".{kind}")
    return int(stem) if stem.isdecimal() and name(int(stem), kind) == file else None


def content(rows: Sequence[Row], kind: Kind, work: Work, counts: Counts) -> bytes:
    """Return the bytes of a part.

    Args:
        rows: of all files of one block.
        kind: how to write them.
        work: what they came from.
        counts: of the block's files.
    """
    if kind == "jsonl":
        return b"".join(json.dumps(row, ensure_ascii=True).encode() + b"\n" for row in rows)
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
        [(column, types[kind]) for column, kind in work.columns().items()],
        metadata={
            _N_FILES: str(counts.n_files).encode(),
            _N_FAILED: str(counts.n_failed).encode(),
        },
    )
    stream = io.BytesIO()
    flat = [_readable(work.flat(row)) for row in rows]
    parquet.write_table(pa.Table.from_pylist(flat, schema), stream, compression="zstd")
    return stream.getvalue()


def _readable(row: Row) -> Row:
    """Escape the bytes of a name that are no text, which Parquet cannot keep."""
    names = {key: row[key] for key in ("path", "error") if row.get(key)}
    escaped = {
        key: text.encode("utf-8", "backslashreplace").decode() for key, text in names.items()
    }
    return row | escaped


def counts(place: Place, file: str, kind: Kind) -> Counts:
    """Return what a part says of itself.

    Raises:
        RunError: it cannot be read.
    """
    if kind == "parquet":
        from pyarrow import parquet

        with place.open(file) as stream:
            found: dict[bytes, bytes] = parquet.read_schema(stream).metadata
        return Counts(int(found[_N_FILES]), int(found[_N_FAILED]))
    with place.open(file) as stream:
        return count_lines(stream)


def count_lines(stream: Any) -> Counts:
    """Count the files in JSON lines; one file may have several rows, but only one error."""
    paths: set[str] = set()
    n_failed = 0
    for row in map(json.loads, stream):
        paths.add(row["path"])
        n_failed += "error" in row
    return Counts(len(paths), n_failed)


def joined(place: Place, files: Sequence[str]) -> Iterator[bytes]:
    """Give the bytes of parts one after another."""
    for file in files:
        yield place.read(file)
