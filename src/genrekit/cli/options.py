"""The options that several verbs share, and a verb's many options as one dataclass."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

Options = TypeVar("Options")

# The sections of a verb's help behind "Options", which holds what most people need.
FORMAT = "Output format"
PROCESSING = "Processing"


def check_share(share: float | None) -> float | None:
    """Return a share unchanged: the callback of an option.

    Raises:
        typer.BadParameter: it does not lie in (0, 1].
    """
    if share is not None and not 0 < share <= 1:
        raise typer.BadParameter(f"got {share}; expected a number above 0 and at most 1")
    return share


AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Write one JSON line a file.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Worker processes.", show_default="one a core", rich_help_panel=PROCESSING
    ),
]
Nice = Annotated[
    int,
    typer.Option(
        min=0,
        max=19,
        help="Lower priority for the workers: 0 to 19.",
        rich_help_panel=PROCESSING,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="A model's name or folder.", show_default="the embedded model"),
]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        callback=check_share,
        help="Predict only where this share of validation predictions was right; else abstain.",
    ),
]
Db = Annotated[
    Path | None,
    typer.Option("--db", help="The library's database.", show_default="in the user's data folder"),
]
Exclude = Annotated[
    Path | None, typer.Option(help="A TSV of tracks to leave out, as `datasets audit` writes it.")
]


def spread(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Let typer see a dataclass's fields as the parameters of a verb.

    Args:
        options: a dataclass whose fields are annotated as a verb's parameters are.

    Returns:
        A decorator for the verb, which takes one instance of the dataclass.
    """

    def decorate(verb: Callable[[Options], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            verb(options(**values))

        hints = get_type_hints(options, include_extras=True)
        command.__name__, command.__doc__ = verb.__name__, verb.__doc__
        command.__module__ = verb.__module__
        command.__annotations__ = hints
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [_parameter(field, hints) for field in dataclasses.fields(options)]  # type: ignore[arg-type]
        )
        return command

    return decorate


def _parameter(field: dataclasses.Field[Any], hints: dict[str, Any]) -> inspect.Parameter:
    needed = field.default is dataclasses.MISSING
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if needed else field.default,
        annotation=hints[field.name],
    )
