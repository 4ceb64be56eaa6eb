"""``genrekit explain``: why a file got its genre."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import Model
from genrekit.cli.writers import clock
from genrekit.errors import unknown_name

if TYPE_CHECKING:
    from genrekit.explain import Explanation

FORMS = (".html", ".json", ".png", ".wav")


def command(
    path: Annotated[Path, typer.Argument(help="An audio file.")],
    genre: Annotated[
        str | None,
        typer.Option(help="Explain this genre.", show_default="the most probable one"),
    ] = None,
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write FILE.html, .json, .png or .wav (the deciding seconds)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Say which seconds and which frequencies speak for a genre, and whether that is to be trusted.

    Parts of what the network saw are taken away, one at a time: evidence is how far the genre's
    log-odds fall, in nats.
    """
    if output and output.suffix.lower() not in FORMS:
        raise typer.BadParameter(f"{output} came; allowed are {', '.join(FORMS)}")
    from genrekit import audio
    from genrekit.explain import explain, writing
    from genrekit.inference import Classifier

    audio.silence_decoders()
    classifier = Classifier(model)
    if genre is not None and genre not in classifier.labels:
        raise typer.BadParameter(unknown_name("genre", genre, classifier.labels))
    with console.progress("Taking parts away", None) as advance:
        found = explain(classifier, path, genre, advance)
    if output:
        writing.write(found, path, output)
    if as_json:
        typer.echo(writing.to_json(found))
    elif not output:
        _show(found)


def _show(found: Explanation) -> None:
    """Print the explained genre's stretches, bands and check."""
    out = console.stdout()
    label = found.labels.index(found.genre)
    probability = found.prediction.probabilities[found.genre]
    out.print(f"{found.genre}  {100 * probability:.1f} %")
    stretches = found.deciding()
    out.print("deciding seconds" if stretches else "no seconds speak for it")
    for stretch in stretches:
        times = f"{clock(stretch.start_seconds)} - {clock(stretch.end_seconds)}"
        out.print(f"  {times:>19}  {stretch.evidence:+.2f} nats")
    means = found.blocks[label].mean(axis=(0, 2)).tolist()
    ranked = sorted(zip(means, found.bands, strict=True), reverse=True)
    kind = "columns" if "tempo" in found.bands else "bands"
    out.print(f"{kind} that speak most for it, and against it")
    for mean, band in (*ranked[:3], *ranked[-3:]):
        out.print(f"  {band:>19}  {mean:+.3f} nats")
    areas = found.curves.to_dict()["areas"]
    verdict = "better" if found.curves.better_than_random else "NOT better"
    out.print(
        f"check: {verdict} than random orders "
        f"(deletion {areas['deletion']:.2f} against {areas['random_deletion']:.2f}, lower is "
        f"better; insertion {areas['insertion']:.2f} against {areas['random_insertion']:.2f})"
    )
