"""Images: matplotlib where it is installed, one sentence where it is not."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import GenrekitError
from genrekit.files import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = (
    "matplotlib is not installed, so no PNG can be drawn; install it with: pip install "
    "'genrekit[train]'"
)

COLOUR_MAP = "magma"  # what librosa draws decibels in


@lru_cache(maxsize=1)
def colours() -> NDArray[np.uint8]:
    """Return the colours of spectrograms, from quiet to loud. Shape (256, 3).

    Raises:
        GenrekitError: matplotlib is not installed.
    """
    try:
        from matplotlib import colormaps
    except ImportError as error:
        raise GenrekitError(MISSING) from error
    rgb = colormaps[COLOUR_MAP](np.arange(256))[:, :3]
    return np.asarray((255 * rgb).round(), np.uint8)


def figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure that lays itself out.

    Raises:
        GenrekitError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GenrekitError(MISSING) from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def save(drawn: Figure, path: Path, dots_per_inch: int = 150) -> None:
    """Write a figure as PNG.

    Raises:
        OSError: path cannot be written.
    """
    with write_beside(path) as stream:
        drawn.savefig(stream, format="png", dpi=dots_per_inch)
