"""From a resolved recipe to TOML that reads back as the same recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genrekit.training.recipe.schema import EMBEDDED, GRADUAL, TABULAR_KEYS, Model, Recipe


def to_toml(recipe: Recipe) -> str:
    """Write the full resolved recipe as TOML; load reads it back as an equal recipe.

    Keys that the model does not use are left out, since they are refused.
    """
    import tomli_w

    return tomli_w.dumps(recipe.model_dump(exclude=_unused(recipe), exclude_none=True))


def without_paths(recipe: Recipe) -> dict[str, Any]:
    """Return what differs from the defaults, with paths cut to their last part."""
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    for section, key in (("data", "source"), ("model", "weights"), ("teacher", "unlabelled")):
        if key in fields.get(section, {}):
            fields[section][key] = Path(fields[section][key]).name
    fields.get("data", {}).pop("cache", None)
    return fields


def _unused(recipe: Recipe) -> dict[str, Any]:
    claim = {} if recipe.claim.is_made else {"claim": True}
    if recipe.model.is_tabular:
        keys = set(Model.model_fields) - TABULAR_KEYS
        return {**claim, **dict.fromkeys(GRADUAL, True), "model": keys}
    without = {"features": True} if recipe.model.backbone.startswith(EMBEDDED) else {}
    return {**claim, **without, "model": {"parameters"}}
