"""``genrekit demo``: synthetic tracks to try genrekit with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder to write to; created if it is missing."),
    ] = Path("demo"),
) -> None:
    """Write three synthetic tracks as FLAC and print their paths."""
    from genrekit import demo

    for path in demo.write(output):
        typer.echo(path)
