"""From a TOML file and overrides to a checked recipe, with one sentence per error."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from genrekit.errors import RecipeError, unknown_name
from genrekit.training.recipe.schema import Recipe

# Keys of genrekit 0.1, and their new names.
RENAMED = {
    "claim.did": "claim.method",
    "claim.stands_in": "claim.substitute",
    "claim.words": "claim.statement",
    "features.heard_seconds": "features.first_seconds",
    "model.picture": "model.image",
    "model.picture_pixels": "model.image_pixels",
}
UNION_BRANCHES = ("constrained-", "literal[")  # pydantic's names of the types of one key


def load(
    path: Path | None = None, overrides: Sequence[str] = (), source: str | None = None
) -> Recipe:
    """Read a recipe and apply dotted overrides.

    Args:
        path: a TOML file; None uses the defaults.
        overrides: "section.key=value", with the value as in TOML; bare words are strings.
        source: the dataset; None leaves it to the file and the overrides.

    Raises:
        RecipeError: the file is missing or not TOML, a key is unknown (the nearest one is
            suggested), or a value has the wrong type or is out of range.
    """
    return resolve(changed(_read(path) if path else {}, overrides, source))


def changed(fields: dict[str, Any], overrides: Sequence[str], source: str | None) -> dict[str, Any]:
    """Return a recipe's differences with overrides applied; arguments and errors as for load.

    ``fields`` is changed too.
    """
    for override in overrides:
        _apply(fields, override)
    if source is not None:
        _set(fields, "data.source", source)
    return fields


def resolve(fields: dict[str, Any]) -> Recipe:
    """Check the differences and fill in the defaults.

    Raises:
        RecipeError: see load.

    >>> resolve({"schedule": {"epochs": 3}}).schedule.epochs
    3
    """
    try:
        return Recipe.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise RecipeError("; ".join(_sentences(error))) from error
    except (TypeError, ValueError) as error:  # dates and times, which TOML has and recipes do not
        raise RecipeError(
            f"a value of the recipe is not text, a number or a list: {error}"
        ) from error


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return the recipe with other values of some dotted keys.

    Raises:
        RecipeError: a key is unknown, or a value is wrong; see load.
    """
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    for dotted, value in values.items():
        _set(fields, dotted, value)
    return resolve(fields)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path}: the recipe cannot be read ({error.strerror}); give a .toml file or "
            "--data FOLDER"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error


def _apply(fields: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(
            f"{override!r} is not an override; write section.key=value, such as optimiser.lr=1e-3"
        )
    _set(fields, dotted.strip(), parse(text.strip()))


def _set(fields: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, last = dotted.split(".")
    for key in sections:
        fields = fields.setdefault(key, {})
        if not isinstance(fields, dict):
            raise RecipeError(f"{dotted}: {key} is a value, not a section")
    fields[last] = value


def parse(text: str) -> Any:
    """Read a value written as in TOML; anything else is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentences(error: ValidationError) -> Iterator[str]:
    """Yield each problem once; for a key of several types, all reasons in one sentence."""
    reasons: dict[str, list[str]] = {}
    for problem in error.errors():
        keys = [str(key) for key in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield _unknown_key(keys)
        else:
            own = [key for key in keys if not key.startswith(UNION_BRANCHES)]
            place = f"{'.'.join(own)} = {problem['input']!r}: " if own else ""
            message = problem["msg"].removeprefix("Value error, ")
            reasons.setdefault(place, []).append(message)
    for place, messages in reasons.items():
        yield place + ", or: ".join(messages)


def _unknown_key(keys: list[str]) -> str:
    dotted = ".".join(keys)
    if dotted in RENAMED:
        return f"{dotted} is a recipe key of genrekit 0.1; write {RENAMED[dotted]} instead"
    model: type[BaseModel] = Recipe
    for key in keys[:-1]:
        model = model.model_fields[key].annotation  # type: ignore[assignment]
    prefix = "".join(f"{key}." for key in keys[:-1])
    return unknown_name("recipe key", prefix + keys[-1], [prefix + k for k in model.model_fields])
