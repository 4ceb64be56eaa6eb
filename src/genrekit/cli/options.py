"""A verb's many options as one dataclass, so that no function takes fifteen arguments."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

Options = TypeVar("Options")


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
