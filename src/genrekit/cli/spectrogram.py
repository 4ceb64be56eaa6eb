"""``genrekit spectrogram``: images of audio, in the style of GTZAN's published ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import batch_options, console, outputs
from genrekit.cli.options import Jobs, argument, option
from genrekit.cli.outputs import output_option


def command(
    path: Annotated[str, argument("An audio file, a folder, or a dataset's name or manifest.")],
    output: Annotated[
        Path,
        output_option("The PNG to write; for several files, their folder.", ".png", folder=True),
    ],
    segment_seconds: Annotated[float | None, batch_options.segment_seconds("image")] = None,
    plain: Annotated[
        bool, option("One pixel per mel band and frame, an 80 dB range, no margins.")
    ] = False,
    size: Annotated[
        str | None,
        option(
            "The size of an image in pixels.",
            metavar="WxH",
            show_default="432x288; with --plain the spectrogram's own",
        ),
    ] = None,
    jobs: Jobs = None,
    dry_run: Annotated[bool, option("List the images that would be rendered, and stop.")] = False,
    as_json: batch_options.Summary = False,
) -> None:
    """Render mel spectrograms as PNG: one file, or a whole dataset as OUT/GENRE/NAME.png.

    Run again to resume: finished images are kept.

    Examples:
      genrekit spectrogram song.mp3 -o song.png
      genrekit spectrogram gtzan -o images --segment-seconds 3
    """
    from genrekit.batch import rendering

    if Path(path).is_file():
        outputs.check(output, (".png",))
    style = rendering.Style(segment_seconds, plain, _size(size))
    targets = rendering.targets(path, output)
    if dry_run:
        for target in targets.values():
            typer.echo(target)
        return
    from genrekit import plotting

    plotting.check()
    progress = console.progress_of("Rendering")
    report = rendering.render(targets, style, jobs=jobs, progress=progress)
    sentence = f"{output}: {batch_options.counts(report)}, {report.n_images} images"
    fields = {"output": str(output), **report.to_dict()}
    batch_options.show(report, fields, sentence, as_json)


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
