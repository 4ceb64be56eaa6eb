"""``genrekit watch``: predict new files as they arrive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console, library
from genrekit.cli.options import Db, Jobs, JsonLines, Model, Nice, argument, option


def command(
    folder: Annotated[Path, argument("The folder to watch.")],
    model: Model = None,
    db: Db = None,
    interval: Annotated[float, option("Seconds between two checks.", min=0.1)] = 5.0,
    jobs: Jobs = None,
    nice: Nice = 0,
    tag: Annotated[bool, option("Write the genre into files that have none.")] = False,
    as_json: JsonLines = False,
) -> None:
    """List or tag new files as they arrive, after they have stopped growing; end by Ctrl-C.

    Examples:
      genrekit watch Music
      genrekit watch Downloads --tag --interval 30
    """
    from genrekit.batch.engines import LocalEngine
    from genrekit.library import database, scan
    from genrekit.tagging import watching

    with database.opened(db) as connection:
        found = watching.watch(
            connection,
            folder,
            model,
            interval_seconds=interval,
            engine=LocalEngine(jobs),
            limits=replace(scan.LIMITS, niceness=nice),
            on_tag_failure=console.warn if tag else None,
        )
        try:
            for entry in found:
                typer.echo(json.dumps(entry.to_dict()) if as_json else library.line(entry))
        except KeyboardInterrupt:
            console.say("genrekit: no longer watching")
