"""The recipes that come with genrekit, by name: from a clone, or from the installed package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import genrekit
from genrekit.errors import RecipeError, unknown_name

REPRODUCTIONS = "reproductions"
SUFFIX = ".toml"
_PACKAGE = Path(genrekit.__file__).parent
_CLONE = _PACKAGE.parents[1]


def folder() -> Path:
    """Return the folder of the recipes; those with a claim are in its REPRODUCTIONS."""
    in_clone = _CLONE / "recipes"
    is_clone = (_CLONE / "pyproject.toml").is_file() and in_clone.is_dir()
    return in_clone if is_clone else _PACKAGE / "recipes"


@cache
def names() -> dict[str, Path]:
    """Return every recipe by name: its file's name without .toml."""
    found = sorted(folder().glob(f"*{SUFFIX}")) + sorted(
        (folder() / REPRODUCTIONS).glob(f"*{SUFFIX}")
    )
    return {path.stem: path for path in found}


def completions(incomplete: str, subfolder: str = "") -> list[str]:
    """Return the recipes whose names begin with a text, for shell completion.

    Args:
        incomplete: the text typed so far.
        subfolder: only recipes in it; "" for all.
    """
    found = [name for name, path in names().items() if subfolder in ("", path.parent.name)]
    return [name for name in found if name.startswith(incomplete)]


def find(text: str) -> Path:
    """Return the file of a recipe, given its name or its path.

    A file of the user's has precedence over a recipe of the same name; recipes/NAME.toml, the path
    in a clone, works everywhere.

    Args:
        text: a path or a name.

    Raises:
        RecipeError: it is neither; the message suggests the nearest names.
    """
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise RecipeError(f"{text} is a folder, not a recipe; for a folder of music give --data")
    in_clone = path.parent.as_posix() in (".", "recipes", f"recipes/{REPRODUCTIONS}")
    known = names()
    if in_clone and path.name.removesuffix(SUFFIX) in known:
        return known[path.name.removesuffix(SUFFIX)]
    if len(path.parts) > 1 and not in_clone:
        return path  # reading it will report what is wrong with it
    raise RecipeError(unknown_name("recipe", path.name.removesuffix(SUFFIX), known))
