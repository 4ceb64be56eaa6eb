"""Images drawn by matplotlib, from the extra genrekit[plot]; one clear error if it is missing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import extras
from genrekit.errors import GenrekitError
from genrekit.files import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
COLOUR_MAP = "magma"  # librosa's default for decibels


def missing() -> str:
    """Return the sentence that says how to get matplotlib."""
    return extras.sentence("drawing an image", "matplotlib")


def check() -> None:
    """Check in advance whether images can be drawn.

    Raises:
        GenrekitError: matplotlib is not installed.
    """
    if not extras.is_installed("matplotlib"):
        raise GenrekitError(missing())


@lru_cache(maxsize=1)
def colours() -> NDArray[np.uint8]:
    """Return the colours of spectrograms, from quiet to loud. Shape (256, 3).

    Raises:
        GenrekitError: matplotlib is not installed.
    """
    try:
        from matplotlib import colormaps
    except ImportError as error:
        raise GenrekitError(missing()) from error
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
        raise GenrekitError(missing()) from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def save(drawn: Figure, path: Path, dots_per_inch: int = 150) -> None:
    """Write a figure in the format of path's suffix: .png or .svg.

    Raises:
        OSError: path cannot be written.
    """
    with write_beside(path) as stream:
        write(drawn, stream, path.suffix.lower().removeprefix("."), dots_per_inch)


def write(drawn: Figure, stream: IO[bytes], form: str, dots_per_inch: int = 150) -> None:
    """Write a figure to a stream as "png" or "svg"."""
    drawn.savefig(stream, format=form, dpi=dots_per_inch)
