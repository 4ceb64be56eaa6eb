"""``genrekit library correct``, ``corrections`` and ``uncertain``: labels given by the user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import Db, JsonLines, ScannedBy, argument, option
from genrekit.errors import LibraryError

commands = typer.Typer()


@commands.command()
def correct(
    files: Annotated[list[Path], argument("Scanned files.")],
    genre: Annotated[list[str] | None, option("Their genre; repeat for several genres.")] = None,
    remove: Annotated[bool, option("Forget the corrections of these files.")] = False,
    db: Db = None,
) -> None:
    """Correct the genre of files: a label to train on; the files themselves are not changed.

    The label belongs to the audio, so a file that is moved or retagged keeps it.

    Examples:
      genrekit library correct song.mp3 --genre Jazz
      genrekit library correct song.mp3 --remove
    """
    from genrekit.library import corrections, database

    if bool(genre) == remove:
        raise typer.BadParameter("give --genre NAME, or --remove")
    n_failed = 0
    with database.opened(db, must_exist=True) as connection:
        for file in files:
            try:
                audio_id = corrections.audio_of(connection, file)
                if genre:
                    done = "; ".join(corrections.correct(connection, audio_id, genre))
                else:
                    was_there = corrections.remove(connection, audio_id)
                    done = "forgotten" if was_there else "nothing was said about it"
            except LibraryError as error:
                n_failed += 1
                console.complain(str(file), str(error), as_given=True)
                continue
            typer.echo(f"{console.printable(done)}  {console.local(str(file))}")
    if n_failed:
        raise typer.Exit(1)


@commands.command("corrections")
def list_corrections(
    db: Db = None,
    as_json: Annotated[bool, option("Write one JSON line a recording.", "--json")] = False,
) -> None:
    """List the corrections, newest first."""
    from genrekit.library import corrections, database

    with database.opened(db, must_exist=True) as connection:
        for found in corrections.corrections(connection):
            if as_json:
                typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
                continue
            names = console.printable("; ".join(found.genres))
            for path in found.paths or ("(no file of the library)",):
                typer.echo(f"{names:<20} {console.local(str(path))}")


@commands.command("uncertain")
def list_uncertain(
    db: Db = None,
    model: ScannedBy = None,
    top: Annotated[int, option("List this many tracks.", min=1)] = 14,
    as_json: JsonLines = False,
) -> None:
    """List the tracks most worth correcting: those the model is unsure of, unlike each other.

    Examples:
      genrekit library uncertain
      genrekit library uncertain --top 5 --json
    """
    from genrekit.library import database, query, uncertainty

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        for found in uncertainty.uncertain(connection, used, top):
            if as_json:
                typer.echo(json.dumps(found.to_dict()))
            else:
                why = console.printable(found.why)
                typer.echo(f"{console.local(str(found.path))}\n    {why}")
