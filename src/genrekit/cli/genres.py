"""``genrekit genres``: add a genre to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import Db, Model, argument
from genrekit.cli.outputs import output_option

app = typer.Typer(help="Add a genre to a model.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, argument("The new genre.")],
    examples: Annotated[list[str], argument("Five or more tracks of it, or folders of them.")],
    model: Model = None,
    db: Db = None,
    output: Annotated[
        Path | None,
        output_option("The new model's folder.", folder=True, show_default="models/MODEL-NAME"),
    ] = None,
) -> None:
    """Add a genre to a model, from examples of it and the other music of a scanned library."""
    from genrekit.files import expand
    from genrekit.library import database, embeddings
    from genrekit.models import registry
    from genrekit.training import export, few_shot

    folder = registry.find(model)
    paths = expand(examples)
    with database.opened(db, must_exist=True) as connection:
        with console.progress("Embedding", len(paths)) as advance:
            found = embeddings.embed_examples(folder, paths, advance)
        others = embeddings.other_music(connection, folder.card.onnx_sha256, name, found)
    added = few_shot.add(folder, name, found.embeddings, found.groups, others)
    target = export.write_folder(
        output or Path("models") / added.card.name, added.model, added.card
    )
    console.say(added.summary)
    typer.echo(target)
