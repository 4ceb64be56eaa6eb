"""``genrekit models``: the available models, their cards, and how to get more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import AsJson, argument, option
from genrekit.cli.outputs import output_option

if TYPE_CHECKING:
    from genrekit.models.card import ModelCard

app = typer.Typer(help="List, check, install and export models.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the available models with their measured accuracies."""
    from genrekit.errors import ModelError
    from genrekit.models import registry

    rows = []
    for name in registry.names():
        folder = registry.locate(name)
        try:
            card, problem = registry.read(folder).card, ""
        except ModelError as error:
            card, problem = None, str(error)
        rows.append({"name": name, "path": str(folder)} | _summary(card, problem))
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not rows:
        console.say("no model found")
        return
    headers = ["name", "version", "labels", "accuracy", "licence", "path", "problem"]
    for row in rows:
        if isinstance(accuracy := row.get("accuracy"), float):
            row["accuracy"] = f"{100 * accuracy:.1f} %"
    cells = [[str(row.get(header) or "") for header in headers] for row in rows]
    console.stdout().print(console.table(headers, cells))


@app.command()
def show(
    name: Annotated[str, argument("A model's name or folder.")], as_json: AsJson = False
) -> None:
    """Show a model's card: its genres, training data, measured accuracy and limits."""
    from genrekit.models import card as cards
    from genrekit.models import readme, registry

    card = registry.find(name).card
    typer.echo(cards.to_json(card) if as_json else readme.write(card), nl=False)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, argument("Names or folders.", show_default="every model found")
    ] = None,
) -> None:
    """Check models' files against their cards, and run each model on synthetic audio."""
    from genrekit.errors import ModelError
    from genrekit.inference import verification
    from genrekit.models import registry

    n_bad = 0
    for name in names or registry.names():
        try:
            folder = registry.find(name)
            verification.verify(folder)
        except ModelError as error:
            n_bad += 1
            console.say(f"{name}: {error}")
        else:
            typer.echo(f"{name}: ok ({folder.path})")
    if n_bad:
        raise typer.Exit(1)


@app.command()
def install(
    source: Annotated[str, argument("A model folder, a zip of one, or hub:OWNER/NAME.")],
    overwrite: Annotated[bool, option("Replace an installed model of the same name.")] = False,
) -> None:
    """Copy a model to where `genrekit predict --model NAME` finds it.

    Examples:
        genrekit models install runs/mine/model
        genrekit models install my-model.zip --overwrite
    """
    from genrekit.inference import verification
    from genrekit.models import install as installer

    folder = installer.install(source, overwrite=overwrite, check=verification.verify)
    typer.echo(f"installed {folder.card.name} in {folder.path}")


@app.command()
def export(
    name: Annotated[str, argument("A model's name or folder.")],
    output: Annotated[
        Path, output_option("A new folder, or a new file ending in .zip.", ".zip", folder=True)
    ],
) -> None:
    """Copy a model to a folder or into a zip."""
    from genrekit.models import install as installer
    from genrekit.models import registry

    typer.echo(installer.export(registry.find(name), output))


@app.command()
def weights(
    name: Annotated[str, argument("Which: musicnn.")],
    output: Annotated[
        Path | None,
        output_option("The .npz file to write.", ".npz", show_default="in the user's data folder"),
    ] = None,
) -> None:
    """Download public weights to start a training from."""
    from genrekit.errors import ModelError, unknown_name
    from genrekit.networks import checkpoints

    if name != "musicnn":
        raise ModelError(unknown_name("weights", name, ["musicnn"]))
    typer.echo(checkpoints.fetch_musicnn(output or checkpoints.musicnn_path()))


def _summary(card: ModelCard | None, problem: str) -> dict[str, object]:
    if card is None:
        return {"problem": problem}
    accuracy = card.metrics[0].accuracy.value if card.metrics else None
    return {
        "version": card.version,
        "description": card.description,
        "labels": len(card.labels),
        "accuracy": accuracy,
        "licence": card.license,
    }
