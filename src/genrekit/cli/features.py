"""``genrekit features``: tables of hand-crafted features, as published for GTZAN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import batch_options, console
from genrekit.cli.options import Jobs
from genrekit.files import expand

if TYPE_CHECKING:
    from genrekit.batch.feature_tables import Extraction

app = typer.Typer(name="features", help="Make tables of hand-crafted features.")


@app.callback()
def group() -> None:
    """Make tables of hand-crafted features."""


@app.command()
def extract(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or patterns.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="The CSV file to write.")
    ] = "features.csv",
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            help="Give each segment of this length a row, from 0.1 to 600.",
            show_default="one row a file",
        ),
    ] = None,
    label_by_folder: Annotated[
        bool,
        typer.Option(
            "--label-by-folder",
            help="Every folder's name is a label, not only those of known genres.",
        ),
    ] = False,
    jobs: Jobs = None,
    engine: batch_options.EngineName = None,
    ray_address: batch_options.RayAddress = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a summary as JSON.")] = False,
) -> None:
    """Write the 57 columns of the published GTZAN table; run it again to go on after a kill."""
    from genrekit.batch import feature_tables

    longest = feature_tables.MAX_ROW_SECONDS
    if segment_seconds is not None and not (
        feature_tables.MIN_SEGMENT_SECONDS <= segment_seconds <= longest
    ):
        raise typer.BadParameter(f"--segment-seconds is {segment_seconds}; allowed: 0.1 to 600")
    worker = batch_options.engine(engine, jobs, ray_address)
    if batch_options.is_run(engine, output):
        if output.endswith(".csv"):
            raise typer.BadParameter("a run writes -o NAME.jsonl, or a folder or URL for Parquet")
        from genrekit.batch.tasks import Features

        batch_options.run(Features(segment_seconds), paths, output, worker, as_json)
        return
    target = Path(output)
    files = expand(paths)
    with console.progress("Extracting", len(files)) as advance:
        result = feature_tables.extract(
            files,
            target,
            segment_seconds,
            jobs=jobs,
            label_by_folder=label_by_folder,
            advance=advance,
        )
    _report(result, target, as_json)
    if result.failures:
        raise typer.Exit(1)


def _report(result: Extraction, output: Path, as_json: bool) -> None:
    if as_json:
        facts = {
            "output": str(output),
            "files": result.n_files,
            "rows": result.n_rows,
            "resumed": result.n_resumed,
            "warnings": {str(path): found for path, found in result.warnings.items()},
            "failures": {str(path): reason for path, reason in result.failures.items()},
        }
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        resumed = f", {result.n_resumed} of them before" if result.n_resumed else ""
        n_done = result.n_files - len(result.failures)
        written = f"{output}: {result.n_rows} rows of {n_done} files{resumed}"
        typer.echo(written if n_done else f"{output} is not written: every file failed")
    for path, sentences in result.warnings.items():
        for sentence in sentences:
            console.complain(str(path), sentence, as_given=True)
    for path, reason in result.failures.items():
        console.complain(str(path), reason, as_given=True)
    console.count_failed(len(result.failures), result.n_files)
