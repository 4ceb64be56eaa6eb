"""``genrekit watch``: hear new files as they arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console, library
from genrekit.cli.options import Db, Jobs, JsonLines, Model, Nice


def command(
    folder: Annotated[Path, typer.Argument(help="The folder to watch.")],
    model: Model = None,
    db: Db = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    jobs: Jobs = None,
    nice: Nice = 0,
    tag: Annotated[
        bool, typer.Option("--tag", help="Write the genre into files that have none.")
    ] = False,
    as_json: JsonLines = False,
) -> None:
    """List or tag new files as they arrive, after they have stopped growing; end by Ctrl-C."""
    from genrekit.library import database, scan
    from genrekit.tagging import watching

    with database.opened(db) as connection:
        found = watching.watch(
            connection,
            folder,
            model,
            interval_seconds=interval,
            limits=scan.ScanLimits(jobs, nice),
            on_tag_failure=console.warn if tag else None,
        )
        try:
            for entry in found:
                typer.echo(json.dumps(entry.to_dict()) if as_json else library.line(entry))
        except KeyboardInterrupt:
            console.say("genrekit: no longer watching")
