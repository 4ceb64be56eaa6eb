"""``genrekit demo``: made tracks to try genrekit with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Argument(help="Where to write; made if it is missing.", show_default=True)
    ] = Path("demo"),
) -> None:
    """Write three tracks that genrekit makes itself, as FLAC, and print their paths."""
    from genrekit import demo

    for path in demo.write(folder):
        typer.echo(path)
