"""What the batch verbs share: their options and their summaries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import console, outputs
from genrekit.cli.options import PROCESSING, option

if TYPE_CHECKING:
    from genrekit.batch.engines import Engine
    from genrekit.batch.job import JobTask
    from genrekit.batch.processing import Report

EngineName = Annotated[
    Literal["local", "ray"] | None,
    option(
        "Run as a resumable batch job, in processes of this machine or on Ray: "
        "-o NAME.jsonl, or a folder or URL for Parquet.",
        "--engine",
        show_default="local",
        rich_help_panel=PROCESSING,
    ),
]
RayAddress = Annotated[
    str | None,
    option(
        "auto, or HOST:PORT of a Ray cluster.",
        show_default="Ray on this machine alone",
        rich_help_panel=PROCESSING,
    ),
]
GpusPerJob = Annotated[
    float,
    option("Share of a GPU that each Ray worker reserves.", min=0, rich_help_panel=PROCESSING),
]
Summary = Annotated[bool, option("Write a summary as JSON.", "--json")]
_SHOWN = 20  # problems, of which there may be millions


def segment_seconds(what: str) -> object:
    """Return --segment-seconds, for a verb that writes one row or image per segment."""

    def check(seconds: float | None) -> float | None:
        if seconds is not None and not 0.1 <= seconds <= 600:
            raise typer.BadParameter(f"got {seconds}; expected 0.1 to 600")
        return seconds

    return typer.Option(
        callback=check,
        help=f"One {what} for each segment of this length, from 0.1 to 600.",
        show_default=f"one {what} per file",
    )


def engine(
    name: Literal["local", "ray"] | None,
    jobs: int | None,
    ray_address: str | None,
    gpus_per_job: float = 0.0,
) -> Engine:
    """Return the engine that the options name.

    Raises:
        typer.BadParameter: an option for Ray without --engine ray.
        GenrekitError: Ray is not installed.
    """
    if name != "ray" and (ray_address or gpus_per_job):
        raise typer.BadParameter("--ray-address and --gpus-per-job need --engine ray")
    if name == "ray":
        from genrekit.batch.ray_engine import RayEngine

        return RayEngine(jobs, ray_address, gpus_per_job)
    from genrekit.batch.engines import LocalEngine

    return LocalEngine(jobs)


def is_batch_job(name: str | None, output: str | None) -> bool:
    """Whether a prediction is a batch job: it has an engine, or writes Parquet to a folder or URL.

    >>> is_batch_job("local", "a.jsonl"), is_batch_job(None, "s3://b/c/")
    (True, True)
    >>> is_batch_job(None, "out.PARQUET"), is_batch_job(None, "a.json")
    (True, False)
    """
    return name is not None or (
        output is not None and ("://" in output or output.rstrip("/").lower().endswith(".parquet"))
    )


def run(task: JobTask, paths: list[str], output: str | None, engine: Engine, as_json: bool) -> None:
    """Run a verb's task as a batch job, and show a summary.

    Raises:
        typer.BadParameter: there is no output.
        typer.Exit: files failed.
    """
    if output is None:
        raise typer.BadParameter("give -o: NAME.jsonl, or a folder or URL for Parquet")
    outputs.check(output, (".jsonl", ".csv", ".parquet"))
    from genrekit.batch import job

    progress = console.progress_of("Processing")
    report = job.run(task, paths, output, engine, progress=progress)
    rows = "" if report.n_rows is None else f", {report.n_rows} rows"
    sentence = f"{console.printable(output)}: {counts(report)}{rows} in {report.seconds:.1f} s"
    if report.n_rows == 0:
        sentence = f"{console.printable(output)} is not written: every file failed"
    show(report, report.to_dict(), sentence, as_json)


def counts(report: Report) -> str:
    """Return the counts of a batch job in words, without those that are zero."""
    resumed = f", {report.n_resumed} done before" if report.n_resumed else ""
    failed = f", {report.n_failed} failed" if report.n_failed else ""
    return f"{report.n_files} files{resumed}{failed}"


def show(report: Report, fields: dict[str, object], sentence: str, as_json: bool) -> None:
    """Show the summary of a batch job, and the problems of its files on standard error.

    Args:
        report: holds the problems.
        fields: the summary for --json.
        sentence: the summary in words.
        as_json: write fields rather than sentence.

    Raises:
        typer.Exit: files failed.
    """
    problems = [(name, text) for name, found in report.warnings.items() for text in found]
    problems += report.failures.items()
    for name, reason in problems[:_SHOWN]:
        console.complain(name, reason, as_given=True)
    if len(problems) > _SHOWN:
        console.warn(f"and {len(problems) - _SHOWN} more; --json lists all")
    typer.echo(json.dumps(fields) if as_json else sentence)
    if report.n_failed:
        raise typer.Exit(1)
