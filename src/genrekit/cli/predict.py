"""``genrekit predict``: the genre of audio files, with probabilities."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import batch_options, console, writers
from genrekit.cli.options import (
    FORMAT,
    PROCESSING,
    Jobs,
    JsonLines,
    MinPrecision,
    Model,
    argument,
    option,
    refuse_urls,
    spread,
)
from genrekit.cli.outputs import output_option
from genrekit.files import expand

if TYPE_CHECKING:
    from genrekit.inference.classifier import Classifier
    from genrekit.prediction import FailedFile

TAKES_URLS = ("paths", "output")  # of a batch job
Choice = int | Literal["all"] | None
SHOW_PROGRESS_FROM = 4


def parse_segments(text: str | None) -> Choice:
    """Parse ``--segments`` for the Classifier.

    Raises:
        typer.BadParameter: neither "all" nor a whole number above 0.

    >>> parse_segments("all"), parse_segments("6"), parse_segments(None)
    ('all', 6, None)
    """
    if text is None or text == "all":
        return "all" if text else None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise typer.BadParameter(f"got {text!r}; expected all, or a whole number above 0")


@dataclass(frozen=True)
class PredictOptions:
    """The options of the verb."""

    paths: Annotated[
        list[str],
        argument("Files, folders, playlists or patterns; - reads a list from standard input."),
    ]
    model: Model = None
    top: Annotated[
        int | None, option("Show this many genres.", min=1, show_default="3 in text, else all")
    ] = None
    min_precision: MinPrecision = None
    as_json: JsonLines = False
    output: Annotated[
        str | None,
        output_option(
            "Write to this file; .csv, .json, .jsonl, .txt or .parquet selects the format.",
            *writers.SUFFIXES,
        ),
    ] = None
    timeline: Annotated[
        bool,
        option(
            (
                "Show the genres over time, of the entire track unless --segments is given; -o "
                "FILE.csv, .json, .png, .svg or .txt (labels for Audacity) selects the format."
            ),
            rich_help_panel=FORMAT,
        ),
    ] = False
    brief: Annotated[
        bool, option("Write one line per file: genre, probability, name.", rich_help_panel=FORMAT)
    ] = False
    summary: Annotated[
        bool, option("End with the number of files per genre.", rich_help_panel=FORMAT)
    ] = False
    as_csv: Annotated[
        bool, option("Write one CSV row per file.", "--csv", rich_help_panel=FORMAT)
    ] = False
    segments: Annotated[
        str | None,
        option(
            "Segments to analyse per track: all, or a number, spread evenly.",
            show_default="all of a track up to 60 s, 8 of a longer one",
            rich_help_panel=PROCESSING,
        ),
    ] = None
    jobs: Jobs = None
    engine: batch_options.EngineName = None
    ray_address: batch_options.RayAddress = None
    gpus_per_job: batch_options.GpusPerJob = 0.0


@spread(PredictOptions)
def command(options: PredictOptions) -> None:
    """Predict the genre of audio files, with probabilities.

    Examples:
        genrekit predict song.mp3
        genrekit predict Music/ party.m3u8 --brief --summary
    """
    is_batch_job = batch_options.is_batch_job(options.engine, options.output)
    if options.as_json and options.as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    if is_batch_job and (options.timeline or options.as_csv or options.brief or options.summary):
        raise typer.BadParameter(
            "a batch job writes JSON lines or Parquet; omit --timeline, --csv, --brief and "
            "--summary"
        )
    choice = parse_segments(options.segments)
    engine = batch_options.engine(
        options.engine, options.jobs, options.ray_address, options.gpus_per_job
    )
    if is_batch_job:
        from genrekit.batch.prediction_task import PredictFiles

        task = PredictFiles.of(options.model, choice, options.min_precision, options.top)
        batch_options.run(task, options.paths, options.output, engine, options.as_json)
    else:
        refuse_urls(options.paths)
        _show(options, choice)


def _show(options: PredictOptions, choice: Choice) -> None:
    """Write the predictions in the order of the files, each as soon as possible."""
    from genrekit.batch import sources

    listed = (sources.lines(sys.stdin.buffer.read()) if p == "-" else [p] for p in options.paths)
    files = expand(name for names in listed for name in names)
    output = Path(options.output) if options.output else None
    flag: writers.Kind | None = "jsonl" if options.as_json else "csv" if options.as_csv else None
    kind = writers.kind_of(output, flag, options.timeline)
    if options.brief and (kind != "text" or options.timeline):
        raise typer.BadParameter("--brief excludes --json, --csv and --timeline")
    if kind in writers.OF_ONE_FILE and len(files) != 1:
        raise typer.BadParameter(
            f"got {len(files)} files; expected one for a timeline in {output}; name one file, or "
            "write .csv or .json"
        )

    from genrekit import audio, plotting
    from genrekit.inference.classifier import Classifier

    if kind in ("png", "svg"):
        plotting.check()
    audio.silence_decoders()
    if options.timeline and choice is None:
        choice = "all"
    classifier = Classifier(options.model, segments=choice, min_precision=options.min_precision)
    summary = writers.GenreCounts()
    with writers.opened(output, kind) as stream:
        write = (
            writers.brief(stream)
            if options.brief
            else writers.writer(kind, stream, classifier.card, options.top, options.timeline)
        )
        failures = _run(classifier, files, options.jobs, summary.counting(write))
    if options.summary:
        (typer.echo if kind == "text" and not output else console.say)(summary.text())
    for failure in failures:
        console.complain(failure.path, failure.error, as_given=True)
    if failures and len(files) > 1:
        console.warn(f"{len(failures)} of {len(files)} files failed")
    if failures:
        raise typer.Exit(1)


def _run(
    classifier: Classifier, files: list[Path], jobs: int | None, write: writers.Write
) -> list[FailedFile]:
    """Predict and write every file; return those that failed."""
    from genrekit.prediction import FailedFile

    failures = []
    many = len(files) >= SHOW_PROGRESS_FROM
    with console.progress("Predicting", len(files), shown=many) as advance:
        for result in classifier.predict_files(files, jobs):
            write(result)
            if isinstance(result, FailedFile):
                failures.append(result)
            advance()
    return failures
