"""``genrekit watch``: hear new files as they arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console, library


def command(
    folder: Annotated[Path, typer.Argument(help="The folder to watch.")],
    model: Annotated[
        str | None,
        typer.Option(help="A model's name or folder.", show_default="the embedded model"),
    ] = None,
    db: library.Db = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes.", show_default="one a core")
    ] = None,
    nice: Annotated[
        int, typer.Option(min=0, max=19, help="Let other programs go first: 0 to 19.")
    ] = 0,
    tag: Annotated[
        bool, typer.Option("--tag", help="Write the genre into files that have none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON line a file.")] = False,
) -> None:
    """List or tag new files as they arrive, after they have stopped growing; end by Ctrl-C."""
    from genrekit.library import database, scan, watching

    def complain(reason: str) -> None:
        typer.echo(f"genrekit: {console.local(reason)}", err=True)

    with database.opened(db) as connection:
        found = watching.watch(
            connection,
            folder,
            model,
            interval_seconds=interval,
            limits=scan.Limits(jobs, nice),
            on_tag_failure=complain if tag else None,
        )
        try:
            for entry in found:
                typer.echo(json.dumps(entry.to_dict()) if as_json else library.line(entry))
        except KeyboardInterrupt:
            typer.echo("genrekit: no longer watching", err=True)
