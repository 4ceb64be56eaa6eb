"""From a resolved recipe to the TOML that reads back as it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genrekit.training.recipe.schema import EMBEDDED, GRADUAL, TABULAR_KEYS, Model, Recipe


def to_toml(recipe: Recipe) -> str:
    """Write the whole resolved recipe as TOML; load reads it back as an equal recipe.

    What the model has no use for is left out, since it may not be given.
    """
    lines: list[str] = []
    sections: list[str] = []
    for name, value in recipe.model_dump(exclude=_unused(recipe)).items():
        if isinstance(value, dict):
            sections += _toml_section(name, value)
        else:
            lines.append(f"{name} = {_toml_value(value)}")
    return "\n".join([*lines, *sections]) + "\n"


def _unused(recipe: Recipe) -> dict[str, Any]:
    if recipe.model.is_tabular:
        keys = set(Model.model_fields) - TABULAR_KEYS
        return {**dict.fromkeys(GRADUAL, True), "model": keys}
    without = {"features": True} if recipe.model.backbone.startswith(EMBEDDED) else {}
    return {**without, "model": {"parameters"}}


def _toml_section(name: str, fields: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"[{name}]")
    inner = {key: value for key, value in fields.items() if isinstance(value, dict)}
    for key, value in fields.items():
        if key not in inner and value is not None:
            yield f"{key} = {_toml_value(value)}"
    for key, value in inner.items():
        yield from _toml_section(f"{name}.{key}", value)


def _toml_value(value: object) -> str:
    # JSON's strings, numbers, booleans and lists of them are valid TOML.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def without_paths(recipe: Recipe) -> dict[str, Any]:
    """Return what differs from the defaults, with paths cut to their last part."""
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    for section, key in (("data", "source"), ("model", "weights"), ("teacher", "unlabelled")):
        if key in fields.get(section, {}):
            fields[section][key] = Path(fields[section][key]).name
    fields.get("data", {}).pop("cache", None)
    return fields
