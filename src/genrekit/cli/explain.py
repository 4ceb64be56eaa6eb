"""``genrekit explain``: why a file was given its genre."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import console
from genrekit.cli.options import AsJson, Model, argument, option
from genrekit.cli.outputs import output_option
from genrekit.cli.writers import clock
from genrekit.errors import GenrekitError, unknown_name

if TYPE_CHECKING:
    from genrekit.explain import Explanation
    from genrekit.networks.gradcam import GradCam

FORMS = (".html", ".json", ".png", ".svg", ".wav")


def command(
    path: Annotated[Path, argument("An audio file.")],
    genre: Annotated[
        str | None, option("Explain this genre.", show_default="the most probable one")
    ] = None,
    model: Model = None,
    output: Annotated[
        Path | None,
        output_option("Write FILE.html, .json, .png, .svg or .wav (the deciding seconds).", *FORMS),
    ] = None,
    method: Annotated[
        Literal["occlusion", "gradcam"],
        option("gradcam needs torch, and --model RUN: a folder of `genrekit train`."),
    ] = "occlusion",
    as_json: AsJson = False,
) -> None:
    """Show which seconds and frequencies support a genre, and check that evidence.

    Parts of the network's input are masked one at a time: the evidence of a part is the factor
    by which the genre's odds fall (as a logarithm: nats). Grad-CAM uses a CNN's last feature
    map instead.

    Examples:
        genrekit explain song.mp3
        genrekit explain song.mp3 --genre rock -o why.html
    """
    if output and not output.suffix:
        raise typer.BadParameter(
            f"--output is {output}; expected a name that ends in one of {', '.join(FORMS)}"
        )
    from genrekit import audio, plotting
    from genrekit.explain import explain, saving
    from genrekit.inference.classifier import Classifier

    audio.silence_decoders()
    if output and output.suffix.lower() in plotting.SUFFIXES:
        plotting.check()
    gradcam, folder = _gradcam(model) if method == "gradcam" else (None, model)
    classifier = Classifier(folder)
    if genre is not None and genre not in classifier.labels:
        raise typer.BadParameter(unknown_name("genre", genre, classifier.labels))
    with console.progress("Explaining", None) as advance:
        found = explain(classifier, path, genre, advance, gradcam)
    if output:
        saving.write(found, path, output)
    if as_json:
        typer.echo(saving.to_json(found))
    elif not output:
        _show(found)


def _gradcam(model: str | None) -> tuple[GradCam, Path]:
    """Return Grad-CAM for a run's network, and the run's model folder."""
    if model is None:
        raise typer.BadParameter(
            "--method gradcam needs --model RUN, a run folder of `genrekit train`"
        )
    try:
        from genrekit.networks.gradcam import GradCam
        from genrekit.training import run
    except ModuleNotFoundError as error:
        from genrekit import extras

        sentence = extras.sentence_of("Grad-CAM", error)
        if sentence is None:
            raise
        raise GenrekitError(f"{sentence}, or use --method occlusion") from error
    network, folder, recipe = run.restore(Path(model))
    return GradCam(network, low_bins_first=not recipe.model.image), folder.path


def _show(found: Explanation) -> None:
    """Print the explained genre's passages, bands and check."""
    from genrekit.explain.wording import in_words
    from genrekit.prediction import percent

    out = console.stdout()
    label = found.labels.index(found.genre)
    probability = found.prediction.probabilities[found.genre]
    out.print(f"{found.genre}  {percent(probability)}")
    out.print(found.coverage)
    passages = found.deciding()
    out.print("deciding seconds" if passages else "no seconds support it")
    for passage in passages:
        times = f"{clock(passage.start_seconds)} - {clock(passage.end_seconds)}"
        out.print(f"  {times:>19}  {in_words(passage.evidence, found.genre)}")
    means = found.blocks[label].mean(axis=(0, 2)).tolist()
    ranked = sorted(zip(means, found.bands, strict=True), reverse=True)
    kind = "columns" if "tempo" in found.bands else "bands"
    out.print(f"{kind} that support it most, and oppose it most")
    for mean, band in (*ranked[:3], *ranked[-3:]):
        out.print(f"  {band:>19}  {in_words(mean, found.genre)}")
    areas = found.curves.to_dict()["areas"]
    verdict = "holds" if found.curves.better_than_random else "does NOT hold"
    out.print(
        f"check: this evidence {verdict}. Masking the named parts lowers the probability "
        f"{'more' if found.curves.better_than_random else 'no more'} than masking random ones "
        f"(deletion {areas['deletion']:.2f} against {areas['random_deletion']:.2f}, lower is "
        f"better; insertion {areas['insertion']:.2f} against {areas['random_insertion']:.2f})"
    )
