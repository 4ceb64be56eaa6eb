"""How predictions are written: text with bars for people, JSON lines or CSV for machines.

A timeline can also be an image or a label track that Audacity imports.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import typer

from genrekit.cli import console, outputs
from genrekit.files import write_beside
from genrekit.tables import csv_rows, utf8_text

if TYPE_CHECKING:
    from rich.text import Text

    from genrekit.inference.timeline import Timeline
    from genrekit.models.card import ModelCard
    from genrekit.prediction import FailedFile, Prediction

TOP_IN_TEXT = 3

# "json" is one list, "jsonl" one object per line.
Kind = Literal["text", "json", "jsonl", "csv", "labels", "png", "svg"]
OF_ONE_FILE = ("labels", "png", "svg")
_DATA: dict[str, Kind] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}
_KINDS: dict[str, Kind] = {**_DATA, ".txt": "text"}
_TIMELINE_KINDS: dict[str, Kind] = {**_DATA, ".txt": "labels", ".png": "png", ".svg": "svg"}
SUFFIXES = (*_TIMELINE_KINDS, ".parquet")
Write = Callable[["Prediction | FailedFile"], None]
TimelineOf = Callable[["Prediction"], "Timeline"]


@contextmanager
def opened(path: Path | None, kind: Kind) -> Iterator[IO[Any]]:
    r"""Open the output of predictions: standard output, or a file that appears when complete.

    JSON and CSV are UTF-8 everywhere; bytes of a file name that are not text become ``\udcXX``,
    which JSON readers turn back into the original bytes.

    Raises:
        OSError: the file cannot be written.
    """
    if path is not None:
        with write_beside(path) as binary:
            if kind in ("png", "svg"):
                yield binary
                return
            with utf8_text(binary) as stream, _listed(stream, kind):
                yield stream
    elif kind == "text" or not isinstance(sys.stdout, io.TextIOWrapper):
        yield sys.stdout
    else:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        yield sys.stdout


@contextmanager
def _listed(stream: IO[str], kind: Kind) -> Iterator[None]:
    """Write the brackets of a JSON list around what the block writes."""
    if kind == "json":
        stream.write("[\n")
    yield
    if kind == "json":
        stream.write("\n]\n")


def kind_of(path: Path | None, flag: Kind | None, timeline: bool) -> Kind:
    """Return the format of predictions from the name of the output and --json or --csv.

    Args:
        path: the output; None is standard output.
        flag: "jsonl" or "csv" where such a flag was given.
        timeline: whether timelines are written.

    Raises:
        typer.BadParameter: an unknown suffix, or one that contradicts the flag.

    >>> kind_of(Path("a.json"), "jsonl", False), kind_of(Path("a.txt"), None, True)
    ('json', 'labels')
    """
    chosen = outputs.form(path, _TIMELINE_KINDS if timeline else _KINDS, flag or "text")
    if flag and chosen != flag and not (flag == "jsonl" and chosen == "json"):
        raise typer.BadParameter(
            f"--output is {path}, which contradicts --{flag.removesuffix('l')}; omit one"
        )
    return chosen


def writer(kind: Kind, stream: IO[Any], card: ModelCard, top: int | None, timeline: bool) -> Write:
    """Return the function that writes one result and flushes it.

    Args:
        kind: how to write.
        stream: where to write.
        card: the card of the model; its labels are columns of the CSV.
        top: genres to write per track; None is TOP_IN_TEXT in text, and all elsewhere.
        timeline: show the genres over time.
    """
    timeline_of = _timeline_by(card) if timeline else None
    if kind in ("json", "jsonl"):
        return _json(stream, top, timeline_of, is_list=kind == "json")
    if timeline_of and kind != "text":
        return _timelines(kind, stream, timeline_of)
    if kind == "csv":
        return _csv_rows(stream, card.labels, top)
    return _text(stream, top or TOP_IN_TEXT, timeline_of)


def _timeline_by(card: ModelCard) -> TimelineOf:
    from genrekit.inference import timeline

    return partial(timeline.of, card=card)


def _json(stream: IO[str], top: int | None, timeline_of: TimelineOf | None, is_list: bool) -> Write:
    """Write one object per line, separated by commas in a list."""
    from genrekit.prediction import Prediction

    before = ""

    def write(result: Prediction | FailedFile) -> None:
        nonlocal before
        fields: dict[str, Any] = result.to_dict(top)
        if timeline_of and isinstance(result, Prediction):
            fields["timeline"] = timeline_of(result).to_dict()
        text = json.dumps(fields, ensure_ascii=False)
        stream.write(before + text if is_list else text + "\n")
        before = ",\n"
        stream.flush()

    return write


def _timelines(kind: Kind, stream: IO[Any], timeline_of: TimelineOf) -> Write:
    """Write timelines as CSV, or one as an image or a label track; failures are left out."""
    from genrekit import plotting
    from genrekit.prediction import Prediction

    header = True

    def write(result: Prediction | FailedFile) -> None:
        nonlocal header
        if not isinstance(result, Prediction):
            return
        found = timeline_of(result)
        if kind in ("png", "svg"):
            plotting.write(found.draw(), stream, kind)
        else:
            stream.write(found.to_csv(header=header) if kind == "csv" else found.to_audacity())
        header = False
        stream.flush()

    return write


def _csv_rows(stream: IO[str], labels: Sequence[str], top: int | None) -> Write:
    from genrekit import prediction

    columns = prediction.columns(labels)
    write_row = csv_rows(stream)
    write_row(columns)

    def write(result: Prediction | FailedFile) -> None:
        row = prediction.row(result.to_dict(top))
        row["warnings"] = " ".join(row["warnings"] or ())
        write_row(row.get(name) for name in columns)
        stream.flush()

    return write


def _text(stream: IO[str], top: int, timeline_of: TimelineOf | None) -> Write:
    from genrekit.prediction import Prediction

    out = console.stdout(stream)

    def write(result: Prediction | FailedFile) -> None:
        if isinstance(result, Prediction):  # failures are listed at the end, on standard error
            for line in _lines(result, top, timeline_of):
                out.print(line)
            stream.flush()

    return write


def brief(stream: IO[str]) -> Write:
    """Return the function that writes one line per file: genre, probability, name."""
    from genrekit.prediction import Prediction, percent

    def write(result: Prediction | FailedFile) -> None:
        if isinstance(result, Prediction):
            probability = percent(result.probability) if result.segments else "-"
            name = console.printable(result.path or "")
            stream.write(f"{result.label or '-':<12} {probability:>8}  {name}\n")
            stream.flush()

    return write


@dataclass
class GenreCounts:
    """Counts the files of each genre."""

    counts: Counter[str] = field(default_factory=Counter)

    def counting(self, write: Write) -> Write:
        """Return a function that writes a result with another one, and counts it."""
        from genrekit.prediction import Prediction

        def counted(result: Prediction | FailedFile) -> None:
            write(result)
            if isinstance(result, Prediction):
                self.counts[result.label or "no genre"] += 1
            else:
                self.counts["failed"] += 1

        return counted

    def text(self) -> str:
        """Return one line: the number of files, then that of each genre."""
        listed = ", ".join(f"{name} {n}" for name, n in self.counts.most_common())
        return f"{self.counts.total()} files: {listed}" if listed else "no files"


def _lines(prediction: Prediction, top: int, timeline_of: TimelineOf | None) -> Iterator[Text]:
    from rich.text import Text

    from genrekit.prediction import is_shown, percent

    yield Text(console.printable(prediction.path or "")).append(
        f"  {clock(prediction.duration_seconds)}", "dim"
    )
    if prediction.segments and prediction.abstained:
        limit = percent(prediction.threshold)
        yield Text(f"  I don't know: no genre reaches {limit}", "yellow")
    width = max(len(label) for label in prediction.probabilities)
    for rank, (label, probability) in enumerate(
        prediction.genres[: top if prediction.segments else 0]
    ):
        if rank == 0 or is_shown(probability):
            yield _bar_line(f"  {label:<{width}}  ", probability)
    for span in timeline_of(prediction).spans if timeline_of else ():
        times = f"{clock(span.start_seconds)} - {clock(span.end_seconds)}"
        yield _bar_line(f"  {times:>19}  {span.label:<{width}}  ", span.probability)
    for warning in prediction.warnings:
        yield Text(f"  warning: {warning}", "yellow")


def _bar_line(start: str, probability: float) -> Text:
    from rich.text import Text

    from genrekit.prediction import percent

    line = Text(start).append(console.bar(probability), "cyan")
    return line.append(f" {percent(probability):>7}")


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any.

    >>> clock(4.5), clock(83), clock(3725)
    ('0:04.5', '1:23.0', '1:02:05.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02}.{rest % 10}"
