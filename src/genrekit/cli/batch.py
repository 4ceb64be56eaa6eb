"""``genrekit batch``: inspect batch jobs over many files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import AsJson, argument

if TYPE_CHECKING:
    from genrekit.batch.status import Status

TAKES_URLS = ("output",)
app = typer.Typer(name="batch", help="Inspect batch jobs over many files.")


@app.command()
def status(
    output: Annotated[str, argument("The -o of the job: of predict or of features.")],
    as_json: AsJson = False,
) -> None:
    """Show how far a batch job is: done, failed, files per second, time left.

    Examples:
      genrekit batch status genres.parquet
      genrekit batch status s3://bucket/genres/ --json
    """
    from genrekit.batch import status as progress

    found = progress.status(output)
    typer.echo(json.dumps(found.to_dict()) if as_json else _sentence(found))


def _sentence(found: Status) -> str:
    share = 100 * found.n_done / found.n_files if found.n_files else 100.0
    words = [
        f"{console.printable(found.output)}: {found.n_done} of {found.n_files} files done "
        f"({share:.1f} %), {found.n_failed} failed"
    ]
    if found.n_done < found.n_files:
        if found.files_per_second and found.seconds_left is not None:
            words.append(f"{found.files_per_second:.1f} files/s, {_span(found.seconds_left)} left")
        if found.seconds_since is not None:
            words.append(f"last block written {_span(found.seconds_since)} ago")
    return "; ".join(words)


def _span(seconds: float) -> str:
    """Format a duration in its two largest units.

    >>> _span(12.3), _span(190), _span(7400), _span(200_000)
    ('12 s', '3 min 10 s', '2 h 3 min', '2 d 7 h')
    """
    whole = round(seconds)
    for long, short, size in (("d", "h", 86400), ("h", "min", 3600), ("min", "s", 60)):
        if whole >= size:
            rest = whole % size // {"h": 3600, "min": 60, "s": 1}[short]
            return f"{whole // size} {long} {rest} {short}"
    return f"{whole} s"
