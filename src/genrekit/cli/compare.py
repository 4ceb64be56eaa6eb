"""``genrekit compare``: do evaluations differ by more than noise?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console, tables
from genrekit.cli.options import argument, option

if TYPE_CHECKING:
    from genrekit.evaluation.result import EvaluationResult


def command(
    names: Annotated[
        list[str],
        argument(
            "Folders or metrics.json of `genrekit evaluate -o`; models, with --data.",
            metavar="A B [...]",
        ),
    ],
    data: Annotated[
        str | None, option("Measure models on this dataset.", show_default="none")
    ] = None,
    split: Annotated[str | None, option("The split of --data.", show_default="none")] = None,
    as_json: Annotated[bool, option("Write a JSON list.", "--json")] = False,
) -> None:
    """Compare models on the tracks that both were evaluated on: is the difference noise?

    Accuracies are compared in pairs, by McNemar's exact test and a bootstrap over artist groups.
    """
    from genrekit.evaluation import comparison

    if len(names) < 2:
        raise typer.BadParameter("give at least two evaluations or models to compare")
    if (data is None) != (split is None):
        raise typer.BadParameter("--data and --split go together")
    results = [(name, _result(name, data, split)) for name in names]
    found = comparison.compare_all(results)
    if as_json:
        rows = [
            its.model_dump() | {"is_noise": its.is_noise, "caution": its.caution} for its in found
        ]
        typer.echo(json.dumps(rows))
        return
    for name, result in results:
        where = f"{result.data}, {result.split_title}, {result.n_tracks} tracks"
        typer.echo(f"{name}: {result.model.name} {result.model.version} on {where}")
    console.stdout().print(tables.comparisons(found))
    for its in found:
        typer.echo(its.sentence)
        if its.caution:
            typer.echo(f"FEW TRACKS: {its.caution}")


def _result(name: str, data: str | None, split: str | None) -> EvaluationResult:
    """Read an evaluation, or measure the model of this name."""
    from pydantic import ValidationError

    from genrekit import Classifier, datasets
    from genrekit.evaluation import protocol, selection
    from genrekit.evaluation.result import EvaluationResult

    path = Path(name) / "metrics.json" if Path(name).is_dir() else Path(name)
    if path.is_file():
        try:
            return EvaluationResult.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise typer.BadParameter(
                f"{path} is not an evaluation; give a metrics.json written by genrekit evaluate -o"
            ) from error
    if data is None or split is None:
        raise typer.BadParameter(
            f"{name} is not an evaluation written by `genrekit evaluate -o`; to measure a model of "
            "this name, give --data and --split"
        )
    classifier, dataset = Classifier(name, segments="all"), datasets.open_dataset(data)
    (divided,) = selection.divide(dataset, split)
    return protocol.evaluate(classifier, dataset, divided)
