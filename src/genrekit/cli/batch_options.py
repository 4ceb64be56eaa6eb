"""What the verbs that can run over millions of files share: their options, and what they show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import console
from genrekit.cli.options import PROCESSING

if TYPE_CHECKING:
    from genrekit.batch import JobReport
    from genrekit.batch.engines import Engine
    from genrekit.batch.tasks import Work

EngineName = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        "--engine",
        help="Who works: processes of this machine, or Ray. The output is then a run, which goes "
        "on where it was: -o NAME.jsonl, or a folder or URL for Parquet.",
        show_default="local",
        rich_help_panel=PROCESSING,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        help="auto, or HOST:PORT of a Ray cluster.",
        show_default="Ray on this machine alone",
        rich_help_panel=PROCESSING,
    ),
]
GpusPerJob = Annotated[
    float,
    typer.Option(
        min=0,
        help="Share of a GPU that each worker of Ray reserves.",
        rich_help_panel=PROCESSING,
    ),
]
_SHOWN_FAILURES = 20


def engine(
    name: Literal["local", "ray"] | None,
    jobs: int | None,
    ray_address: str | None,
    gpus_per_job: float = 0.0,
) -> Engine:
    """Return the engine that the options name.

    Raises:
        typer.BadParameter: an option of Ray without Ray.
        GenrekitError: Ray is not installed.
    """
    if name != "ray" and (ray_address or gpus_per_job):
        raise typer.BadParameter("--ray-address and --gpus-per-job go with --engine ray")
    from genrekit.batch import engines

    return engines.named(
        name or "local", jobs=jobs, ray_address=ray_address, gpus_per_job=gpus_per_job
    )


def is_run(name: str | None, output: str | None) -> bool:
    """Whether an output is that of a run: an engine is named, or it is a folder or URL of Parquet.

    >>> is_run("local", "a.jsonl"), is_run(None, "s3://b/c/"), is_run(None, "out.parquet")
    (True, True, True)
    >>> is_run(None, "a.json"), is_run(None, None)
    (False, False)
    """
    return name is not None or (
        output is not None and ("://" in output or output.rstrip("/").endswith(".parquet"))
    )


def run(work: Work, paths: list[str], output: str | None, engine: Engine, as_json: bool) -> None:
    """Do a verb's work as a run, and say what came of it.

    Raises:
        typer.BadParameter: no output is named.
        typer.Exit: files failed.
    """
    if output is None:
        raise typer.BadParameter("give -o: NAME.jsonl, or a folder or URL for Parquet")
    from genrekit import batch

    report = batch.run(
        work,
        paths,
        output,
        engine,
        progress=lambda n_files: console.progress("Running", n_files, unit="files"),
    )
    _show(report, as_json)
    if report.n_failed:
        raise typer.Exit(1)


def _show(report: JobReport, as_json: bool) -> None:
    for name, reason in list(report.failures.items())[:_SHOWN_FAILURES]:
        sentence = reason if name in reason else f"{name}: {reason}"
        typer.echo(f"genrekit: {console.printable(sentence)}", err=True)
    if len(report.failures) > _SHOWN_FAILURES:
        n_more = len(report.failures) - _SHOWN_FAILURES
        typer.echo(f"genrekit: and {n_more} more; their rows say why", err=True)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
        return
    before = f", {report.n_before} of them before" if report.n_before else ""
    failed = f", {report.n_failed} failed" if report.n_failed else ""
    typer.echo(
        f"{console.printable(report.output)}: {report.n_files} files{before}{failed} "
        f"in {report.seconds:.1f} s"
    )
