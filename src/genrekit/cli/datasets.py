"""``genrekit datasets``: list, inspect, check, audit and download datasets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrekit.cli import console, tables
from genrekit.cli.options import AsJson, Jobs, argument, option
from genrekit.cli.outputs import output_option

if TYPE_CHECKING:
    from genrekit.datasets import Dataset, Split
    from genrekit.datasets.download import Progress
    from genrekit.datasets.readability import ReadabilityReport

app = typer.Typer(
    name="datasets", help="List, inspect, check and download datasets.", no_args_is_help=True
)

Data = Annotated[str, argument("A folder, a manifest CSV or a downloaded dataset.")]
Threads = Annotated[int | None, option("Worker threads.", min=1, show_default="one for each core")]


@app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List the datasets and layouts that genrekit knows, and the splits of each."""
    from genrekit import datasets

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "description": layout.description,
            "splits": list(layout.split_kinds),
            "get": bool(layout.archives),
            "downloaded": datasets.user_folder(name).is_dir(),
        }
        for name, layout in datasets.layouts().items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['description']}")
        typer.echo(f"    splits: {', '.join(row['splits'])}")
        if row["downloaded"] and row["get"]:
            typer.echo(f"    downloaded: open it as `{row['name']}`")
        elif row["get"]:
            how = f"get it with `genrekit datasets get {row['name']}`"
            typer.echo(f"    {how}, or give the folder that holds it")


@app.command()
def info(data: Data, as_json: AsJson = False) -> None:
    """Show a dataset's tracks per genre, splits and their sizes, artists and problems."""
    from genrekit import datasets

    dataset = datasets.open_dataset(data)
    facts = _facts(dataset)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    typer.echo(
        f"{dataset.name}: {len(dataset.tracks)} tracks of {len(dataset.labels)} genres, "
        f"{facts['n_artists'] or 'no'} artists known, in {dataset.path}\n"
    )
    genres = [[genre, str(n_tracks)] for genre, n_tracks in dataset.counts.items()]
    console.stdout().print(console.table(["genre", "tracks"], genres))
    typer.echo()
    headers = ["split", "train", "validation", "test", ""]
    console.stdout().print(console.table(headers, _split_cells(facts["splits"])))
    for problem in dataset.problems:
        console.say(f"note: {problem}")


@app.command()
def check(data: Data, jobs: Threads = None, as_json: AsJson = False) -> None:
    """Decode every file to its end and name each bad one; exit 1 if there are any."""
    from genrekit import datasets
    from genrekit.datasets import index, readability

    dataset = datasets.open_dataset(data)
    if not dataset.has_audio:
        raise typer.BadParameter(
            f"{data} holds no audio to decode; a table's numbers are checked when it is opened, "
            "and damaged images are reported during training"
        )
    tracks = dataset.tracks
    with console.progress("reading", len(tracks), shown=not as_json) as advance:
        hashes = index.hashes((track.path for track in tracks), jobs, advance)
    with console.progress("decoding", len(tracks), shown=not as_json) as advance:
        report = readability.check(tracks, hashes, jobs, advance)
    if as_json:
        typer.echo(json.dumps(_report(dataset, report), ensure_ascii=False))
    else:
        for problem in report.bad:
            console.say(f"bad: {problem}")
        for problem in (*report.repeated, *dataset.problems):
            console.say(f"note: {problem}")
        typer.echo(
            f"{report.n_tracks} tracks, {report.duration_seconds / 3600:.2f} hours: "
            f"{len(report.bad)} bad"
        )
    if report.bad:
        raise typer.Exit(1)


@app.command()
def audit(
    data: Data,
    output: Annotated[
        Path | None, output_option("Write the tracks to leave out as TSV.", ".tsv")
    ] = None,
    split: Annotated[
        str | None,
        option("A split to check: a kind or a TSV file.", show_default="the published ones"),
    ] = None,
    labels: Annotated[
        bool, option("Rank likely wrong labels, where genrekit[audit] is installed.")
    ] = True,
    min_seconds: Annotated[float, option("Report tracks shorter than this.", min=0)] = 5.0,
    max_seconds: Annotated[float, option("Report tracks longer than this.", min=0)] = 1200.0,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Find faulty files, repeated recordings, contradictory labels and leaking splits.

    Examples:
        genrekit datasets audit GTZAN -o exclusions.tsv
        genrekit datasets audit MyGenres/ --split artist --json
    """
    from genrekit import datasets, quality

    dataset = datasets.open_dataset(data)
    splits = [_split(dataset, split)] if split else []
    found = quality.audit(
        dataset,
        splits,
        limits=quality.FaultLimits(min_seconds, max_seconds),
        rank_labels=labels,
        jobs=jobs,
        progress=partial(console.progress, shown=not as_json),
    )
    if output:
        found.save_exclusions(output)
        console.say(f"wrote {output}")
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        tables.show_audit(found)


@app.command()
def get(
    name: Annotated[str, argument("gtzan or fma-small.")],
    output: Annotated[
        Path | None,
        output_option(
            "The folder to download to.", folder=True, show_default="the user's data folder"
        ),
    ] = None,
    dry_run: Annotated[bool, option("Show what would be downloaded, and stop.")] = False,
) -> None:
    """Download a dataset from its public source; run again to resume an interrupted download."""
    from genrekit import datasets
    from genrekit.datasets import download
    from genrekit.errors import DatasetError, unknown_name

    offered = {key: its.archives for key, its in datasets.layouts().items() if its.archives}
    if name not in offered:
        raise DatasetError(unknown_name("dataset", name, offered))
    folder = output or datasets.user_folder(name)
    if dry_run:
        for archive in offered[name]:
            target = folder / archive.provides
            there = ", which exists" if target.exists() else ""
            typer.echo(f"{archive.url} ({archive.checksum}) -> {target}{there}")
        return
    with _transfer(name) as progress:
        download.get(offered[name], folder, progress)
    typer.echo(folder)


@contextmanager
def _transfer(name: str) -> Iterator[Progress | None]:
    """Show bytes, speed and remaining time on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    ]
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=None)

        def show(n_bytes: int, total: int | None) -> None:
            bars.update(task, completed=n_bytes, total=total)

        yield show


def _split(dataset: Dataset, name: str) -> Split:
    """Return a kind of split, or the split in a TSV file."""
    from genrekit.datasets import Split

    if name.endswith(".tsv"):
        return Split.load(Path(name)).restricted_to(dataset.by_id)
    return dataset.split(name)


def _facts(dataset: Dataset) -> dict[str, Any]:
    groups = {track.artist_group for track in dataset.tracks} - {None}
    return {
        "name": dataset.name,
        "path": str(dataset.path),
        "n_tracks": len(dataset.tracks),
        "genres": dataset.counts,
        "n_artists": len(groups),
        "splits": {kind: _sizes(dataset, kind) for kind in dataset.split_kinds},
        "problems": [str(problem) for problem in dataset.problems],
    }


def _sizes(dataset: Dataset, kind: str) -> dict[str, Any]:
    from genrekit.errors import DatasetError

    try:
        split = dataset.split(kind)
    except DatasetError as error:
        return {"problem": str(error)}
    whole = dataset.fixed.get(kind, split)
    return {**split.counts, "sha256": split.sha256, "of": whole.counts}


def _split_cells(splits: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for kind, sizes in splits.items():
        if "problem" in sizes:
            rows.append([kind, "-", "-", "-", sizes["problem"]])
            continue
        parts = [str(sizes[part]) for part in ("train", "validation", "test")]
        whole = "/".join(str(size) for size in sizes["of"].values())
        rows.append([kind, *parts, "" if whole == "/".join(parts) else f"of {whole}"])
    return rows


def _report(dataset: Dataset, report: ReadabilityReport) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "path": str(dataset.path),
        "n_tracks": report.n_tracks,
        "duration_seconds": report.duration_seconds,
        "bad": {problem.subject: problem.reason for problem in report.bad},
        "repeated": {problem.subject: problem.reason for problem in report.repeated},
        "problems": [str(problem) for problem in dataset.problems],
    }
