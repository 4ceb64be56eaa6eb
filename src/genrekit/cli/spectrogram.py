"""``genrekit spectrogram``: images of audio, as the published ones of GTZAN are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import Jobs

if TYPE_CHECKING:
    from genrekit.batch.rendering import RenderedImage


def command(
    path: Annotated[
        str,
        typer.Argument(help="An audio file, a folder, or a dataset's name or manifest."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The PNG of a file; the folder of a folder's PNGs."),
    ],
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            help="Give each segment of this length an image, NAME.K.png.",
            show_default="one image a file",
        ),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="A pixel for each mel band and frame over 80 dB, without margins."
        ),
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Pixels of an image.",
            show_default="432x288, or with --plain what the spectrogram has",
        ),
    ] = None,
    jobs: Jobs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the images that would be drawn, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write a summary as JSON.")] = False,
) -> None:
    """Draw mel spectrograms as PNG: one file, or a whole dataset as OUT/GENRE/NAME.png.

    Run it again to go on after a kill: what is there already stays.
    """
    from genrekit.batch import rendering

    style = rendering.Style(_seconds(segment_seconds), plain, _size(size))
    wanted = rendering.targets(path, output)
    if dry_run:
        for target in wanted.values():
            typer.echo(target)
        return
    with console.progress("Drawing", len(wanted), unit="files") as advance:
        result = rendering.paint(wanted, style, jobs=jobs, advance=advance)
    _report(result, output, as_json)
    if result.failures:
        raise typer.Exit(1)


def _seconds(segment_seconds: float | None) -> float | None:
    if segment_seconds is not None and not 0.1 <= segment_seconds <= 600:
        raise typer.BadParameter(f"--segment-seconds is {segment_seconds}; allowed: 0.1 to 600")
    return segment_seconds


def _size(text: str | None) -> tuple[int, int] | None:
    from genrekit.features.image import MAX_SIDE, MIN_SIDE

    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (min(width, height) >= MIN_SIDE and max(width, height) <= MAX_SIDE):
        raise typer.BadParameter(
            f"--size is {text!r}; give width and height in pixels, each from {MIN_SIDE} to "
            f"{MAX_SIDE}, such as 432x288"
        )
    return width, height


def _report(result: RenderedImage, output: Path, as_json: bool) -> None:
    if as_json:
        facts = {
            "output": str(output),
            "files": result.n_files,
            "images": result.n_images,
            "kept": result.n_kept,
            "warnings": {str(path): found for path, found in result.warnings.items()},
            "failures": {str(path): reason for path, reason in result.failures.items()},
        }
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        n_done = result.n_files - len(result.failures)
        kept = f", {result.n_kept} of them drawn before" if result.n_kept else ""
        typer.echo(f"{output}: {result.n_images} images of {n_done} files{kept}")
    complaints = [(path, each) for path, found in result.warnings.items() for each in found]
    for path, sentence in [*complaints, *result.failures.items()]:
        console.complain(str(path), sentence, as_given=True)
    console.count_failed(len(result.failures), result.n_files)
