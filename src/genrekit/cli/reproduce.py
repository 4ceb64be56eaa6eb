"""``genrekit reproduce``: what the sources claim, measured as they did and honestly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console

if TYPE_CHECKING:
    from genrekit.training.reproduce import Claimed
    from genrekit.training.results import Result


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]... | all", help="Recipes with a claim, or all that can run."
        ),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Show every claim, what it needs and what it costs.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="The folder that holds the datasets and tables.")
    ] = None,
    recipes: Annotated[Path, typer.Option(help="The folder of the recipes.")] = Path("recipes"),
    out: Annotated[
        Path, typer.Option(help="The folder of the results, one small JSON a recipe.")
    ] = Path("results"),
    page: Annotated[Path, typer.Option(help="The page made from the results.")] = Path(
        "docs/results.md"
    ),
    runs: Annotated[Path, typer.Option(help="The folder of the training runs.")] = Path(
        "runs/reproduce"
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a recipe.")
    ] = False,
) -> None:
    """Train recipes, measure them by their source's protocol and honestly, and write the page.

    What was measured before is kept: run it again to go on where it stopped.
    """
    from genrekit.training import reproduce, results

    claims = reproduce.claims(recipes, data)
    if list_only or not names:
        _show(claims, results.load(out), as_json)
        return
    for its in reproduce.choose(claims, names).values():
        result = reproduce.run(its, runs, out, _report)
        if as_json:
            typer.echo(result.model_dump_json())
    named = {name: its.recipe for name, its in claims.items()}
    needs = {name: its.needs for name, its in claims.items()}
    results.write_page(page, named, results.load(out), needs)
    typer.echo(f"wrote {page}", err=True)


def _show(claims: dict[str, Claimed], found: dict[str, Result], as_json: bool) -> None:
    rows = []
    for name, its in claims.items():
        seconds = found[name].seconds if name in found else None
        source = its.recipe.claim.source
        if as_json:
            row = {"name": name, "source": source, "needs": its.needs, "seconds": seconds}
            row |= {"can_run": its.can_run, "missing": its.missing}
            typer.echo(json.dumps(row, ensure_ascii=False))
        cost = "not measured" if seconds is None else f"{seconds:.0f} s"
        rows.append([name, source, its.needs, cost, its.missing or "yes"])
    if not as_json:
        headers = ["recipe", "source", "needs", "cost when measured", "can run here"]
        console.stdout().print(console.table(headers, rows))


def _report(line: str) -> None:
    typer.echo(line, err=True)
