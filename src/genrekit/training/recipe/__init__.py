"""Recipe: a TOML file with only the differences from the typed defaults of its schema.

The defaults are a recipe themselves: a small head on the embedding of the embedded model, which
trains in minutes on two cores from one folder per genre.
"""

from genrekit.training.recipe.reading import changed, load, parse, resolve, with_values
from genrekit.training.recipe.schema import (
    EMBEDDED,
    FROM_TAGS,
    TABULAR,
    Augmentation,
    Data,
    Optimiser,
    Recipe,
    Schedule,
)
from genrekit.training.recipe.writing import to_toml, without_paths

__all__ = [
    "EMBEDDED",
    "FROM_TAGS",
    "TABULAR",
    "Augmentation",
    "Data",
    "Optimiser",
    "Recipe",
    "Schedule",
    "changed",
    "load",
    "parse",
    "resolve",
    "to_toml",
    "with_values",
    "without_paths",
]
