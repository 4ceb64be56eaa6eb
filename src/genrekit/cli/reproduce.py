"""``genrekit reproduce``: the sources' claims, measured by their protocols and by honest ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import argument, option
from genrekit.cli.outputs import output_option
from genrekit.errors import GenrekitError

if TYPE_CHECKING:
    from genrekit.reproduction.results import Result
    from genrekit.reproduction.runner import Claimed


PAGE = Path("docs/results.md")  # in a clone


def _completions(incomplete: str) -> list[str]:
    from genrekit.training.recipe import catalogue

    return catalogue.completions(incomplete, catalogue.REPRODUCTIONS)


def command(
    names: Annotated[
        list[str] | None,
        argument(
            "Recipes with a claim, or all of them that can run.",
            metavar="[NAME]... | all",
            autocompletion=_completions,
        ),
    ] = None,
    list_only: Annotated[
        bool, option("Show every claim, what it needs and what it costs.", "--list")
    ] = False,
    data: Annotated[Path | None, option("The folder that holds the datasets and tables.")] = None,
    weights: Annotated[
        Path | None, option("The folder of the weight files that recipes name.")
    ] = None,
    recipes: Annotated[
        Path | None, option("The folder of the recipes.", show_default="genrekit's own")
    ] = None,
    output: Annotated[
        Path, output_option("The folder of the results, one JSON file per recipe.", folder=True)
    ] = Path("results"),
    page: Annotated[
        Path | None,
        option(
            "The page to write from the results.",
            show_default="docs/results.md if it exists, else RESULTS/results.md",
        ),
    ] = None,
    runs: Annotated[Path, option("The folder of the training runs.")] = Path("runs/reproduce"),
    as_json: Annotated[bool, option("Write one JSON object per recipe.", "--json")] = False,
) -> None:
    """Train recipes, measure them by their source's protocol and an honest one, write the page.

    Finished measurements are kept: run again to resume.
    """
    from genrekit.reproduction import costs, results, rows, runner
    from genrekit.reproduction import page as pages
    from genrekit.training.recipe import catalogue

    claimed = runner.claims(recipes or catalogue.folder() / catalogue.REPRODUCTIONS, data, weights)
    page = page or (PAGE if PAGE.is_file() else output / PAGE.name)
    if list_only or not names:
        _show(claimed, results.load(output), as_json, has_data=data is not None)
        return
    failed = []
    for name, chosen in runner.choose(claimed, names).items():
        try:
            result = runner.run(chosen.recipe, runs, output, console.say)
        except GenrekitError as error:
            failed.append(f"{name}: {error}{runner.meanwhile(name, claimed)}")
            console.say(failed[-1])
            continue
        if as_json:
            typer.echo(result.model_dump_json())
    pages.write(page, rows.read(claimed, output), costs.load(output))
    console.say(f"wrote {page}")
    if failed:
        console.say("\n".join([f"{len(failed)} could not be measured:", *failed]))
        raise typer.Exit(1)


def _show(
    claimed: dict[str, Claimed], found: dict[str, Result], as_json: bool, has_data: bool
) -> None:
    rows = []
    for name, each in claimed.items():
        seconds = found[name].seconds if name in found else None
        source = each.recipe.claim.source
        if as_json:
            row = {"name": name, "source": source, "needs": each.needs, "seconds": seconds}
            row |= {"can_run": each.can_run, "missing": each.missing, "fetches": each.fetches}
            typer.echo(json.dumps(row, ensure_ascii=False))
        cost = "not measured" if seconds is None else f"{seconds:.0f} s"
        can_run = each.missing or ("with a network" if each.fetches else "yes")
        rows.append([name, source, each.needs, cost, *([can_run] if has_data else [])])
    if as_json:
        return
    headers = ["recipe", "source", "needs", "cost when measured"]
    headers += ["can run here"] if has_data else []
    console.stdout().print(console.table(headers, rows, n_whole=1))
    if not has_data:
        console.say("--data, the folder of the data, shows what can run here")
