"""``genrekit compare``: do two evaluations differ by more than chance?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genrekit.evaluation.result import EvaluationResult


def command(
    first: Annotated[Path, typer.Argument(help="metrics.json of genrekit evaluate --out.")],
    second: Annotated[Path, typer.Argument(help="metrics.json of another model.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two models on the tracks that both were measured on (McNemar's exact test)."""
    from genrekit.evaluation.result import compare

    one, other = _read(first), _read(second)
    try:
        found = compare(one, other)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(found.model_dump_json())
        return
    typer.echo(f"first:  {_title(one)}\nsecond: {_title(other)}")
    typer.echo(
        f"{found.n_tracks} tracks in both: {found.n_only_first} right in the first only, "
        f"{found.n_only_second} in the second only; p = {found.p_value:.3g}"
    )


def _title(result: EvaluationResult) -> str:
    return (
        f"{result.model.name} {result.model.version} on {result.data}, {result.split_title}, "
        f"{result.n_tracks} tracks, accuracy {100 * result.product.accuracy.value:.1f} %"
    )


def _read(path: Path) -> EvaluationResult:
    from pydantic import ValidationError

    from genrekit.evaluation.result import EvaluationResult

    try:
        return EvaluationResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise typer.BadParameter(
            f"{path} is no evaluation; give a metrics.json that genrekit evaluate --out wrote"
        ) from error
