"""``genrekit demo``: synthetic tracks to try genrekit with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli.outputs import output_option


def command(
    output: Annotated[
        Path,
        output_option("The folder to write to; created if it is missing.", folder=True),
    ] = Path("demo"),
) -> None:
    """Write three synthetic tracks as FLAC and print their paths."""
    from genrekit import demo

    for path in demo.write(output):
        typer.echo(path)
