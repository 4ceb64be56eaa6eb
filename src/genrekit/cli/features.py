"""``genrekit features``: tables of hand-crafted features, as published for GTZAN."""

from __future__ import annotations

from typing import Annotated

import typer

from genrekit.cli import batch_options
from genrekit.cli.options import Jobs, argument, option
from genrekit.cli.outputs import output_option

TAKES_URLS = ("paths", "output")
app = typer.Typer(name="features", help="Make tables of hand-crafted features.")


@app.command()
def extract(
    paths: Annotated[
        list[str], argument("Files, folders, patterns, lists, manifests, archives or URLs.")
    ],
    output: Annotated[
        str,
        output_option(
            "Write CSV as published to NAME.csv, JSON to NAME.jsonl, Parquet to a folder.",
            *(".csv", ".jsonl", ".parquet"),
        ),
    ] = "features.csv",
    segment_seconds: Annotated[float | None, batch_options.segment_seconds("row")] = None,
    label_by_folder: Annotated[
        bool, option("In CSV, use every folder's name as a label, not only known genres.")
    ] = False,
    jobs: Jobs = None,
    engine: batch_options.EngineName = None,
    ray_address: batch_options.RayAddress = None,
    as_json: batch_options.Summary = False,
) -> None:
    """Write the 57 columns of the published GTZAN table; run again to resume.

    Examples:
      genrekit features extract gtzan/audio/rock -o rock.csv
      genrekit features extract Music -o features.parquet --segment-seconds 3
    """
    worker = batch_options.engine(engine, jobs, ray_address)
    from genrekit.batch.feature_task import ExtractFeatures

    task = ExtractFeatures(segment_seconds, label_by_folder)
    batch_options.run(task, paths, output, worker, as_json)
