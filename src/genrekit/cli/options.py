"""The options that several verbs share, and how a verb takes its options as one dataclass."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

Options = TypeVar("Options")

# The sections of a verb's help after "Options", which holds what most people need.
FORMAT = "Output format"
PROCESSING = "Processing"


def option(text: str, *names: str, **settings: Any) -> Any:
    """Return a typer option with this help; ``main.Command`` names the flags."""
    return typer.Option(*names, help=text, **settings)


def argument(text: str, **settings: Any) -> Any:
    """Return a typer argument with this help."""
    return typer.Argument(help=text, **settings)


def api_key_option(without: str) -> Any:
    """Return --api-key, an option of every verb that serves, with a text for its default."""

    def checked(key: str | None) -> str | None:
        if key == "":
            raise typer.BadParameter("the API key is empty; give a key, or omit the option")
        return key

    return option(
        "Require this key from every caller; the variable keeps it out of process lists.",
        envvar="GENREKIT_API_KEY",
        callback=checked,
        show_default=without,
    )


def check_share(share: float | None) -> float | None:
    """Return a share unchanged: an option's callback.

    Raises:
        typer.BadParameter: it is not in (0, 1].
    """
    if share is not None and not 0 < share <= 1:
        raise typer.BadParameter(f"got {share}; expected a number above 0 and at most 1")
    return share


def check_share_or_zero(share: float | None) -> float | None:
    """Return a share unchanged, 0 included: an option's callback.

    Raises:
        typer.BadParameter: it is not in [0, 1].
    """
    return share if share == 0 else check_share(share)


def is_url(text: str) -> bool:
    """Return whether a text is a URL; a Path made from a URL has lost a slash.

    >>> is_url("https://a.org/b.mp3"), is_url("s3:/bucket/b"), is_url("C:/music"), is_url("a=b://c")
    (True, True, False, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def refuse_urls(values: Iterable[object]) -> None:
    """Refuse a URL where a file or a folder is expected.

    Raises:
        typer.BadParameter: there is a URL; the message says what to do.
    """
    for value in values:
        if isinstance(value, str | Path) and is_url(str(value)):
            shown = re.sub(r":/+", "://", str(value), count=1)
            fetched = shown.startswith(("http", "ftp"))
            how = f" (curl -LO {shlex.quote(shown)})" if fetched else ""
            raise typer.BadParameter(
                f"{shown} is a URL, and genrekit reads files on this machine: download it"
                f"{how} and give the file"
            )


AsJson = Annotated[bool, option("Write JSON.", "--json")]
JsonLines = Annotated[bool, option("Write one JSON line per file.", "--json")]
Jobs = Annotated[
    int | None,
    option("Worker processes.", min=1, show_default="one per core", rich_help_panel=PROCESSING),
]
Nice = Annotated[
    int,
    option(
        "Lower the priority of the workers, 0 to 19.", min=0, max=19, rich_help_panel=PROCESSING
    ),
]
Model = Annotated[
    str | None, option("A model's name or folder.", show_default="the embedded model")
]
ScannedBy = Annotated[
    str | None,
    option(
        "Use this model's predictions: its name, or the start of its sha256.",
        "--model",
        show_default="the model of the last scan",
    ),
]
MinPrecision = Annotated[
    float | None,
    option(
        "Abstain below the probability that reached this precision on validation data.",
        callback=check_share,
    ),
]
Db = Annotated[
    Path | None, option("The library's database.", "--db", show_default="in the user's data folder")
]
Exclude = Annotated[
    Path | None, option("A TSV of tracks to leave out, as written by `datasets audit`.")
]


def spread(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Expose a dataclass's fields to typer as the parameters of a verb.

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
