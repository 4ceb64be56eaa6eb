"""What reproducing a recipe's claim gave: one small JSON a recipe, and the page made from them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from genrekit.errors import RecipeError
from genrekit.evaluation.result import EvaluationResult, Level
from genrekit.files import write_beside
from genrekit.models import readme
from genrekit.models.card import Interval
from genrekit.schema import StrictModel
from genrekit.training.callbacks import METRICS
from genrekit.training.recipe import Recipe
from genrekit.training.recipe.claim import Claim

SOURCE, ARTIST, FAULT_FILTERED = "source", "artist", "fault-filtered"
HONEST = (ARTIST, FAULT_FILTERED)
TRACK, SEGMENT = "track", "segment"
LEAKY_WHY = "segments of one track stand on both sides"
ARTISTS_WHY = "tracks of one artist stand on both sides"
HEAD = """# Results

Written by `genrekit reproduce`; no number here is typed by hand. Each row is a recipe of
`recipes/`; its numbers are in `results/NAME.json`, with the resolved recipe, the commit and the
cost.

Accuracy in %, with 95 % intervals that resample artist groups. *Claimed* is what the source says;
*same protocol* is what its way of dividing the data gives here; *by artist* and *fault-filtered*
are honest: no artist stands on both sides. *Artist split* says how the row's *by artist* was
measured: by ten folds, or on one part of the artists that was held out, because networks are
costly; and how many tracks were tested. The *leak* is same protocol minus by artist. All numbers
of a row are of the level that the source used. LEAKY: segments of one track stand on both sides;
a *LEAKY* leak is what dividing segments at random gives above by artist.

The sources are student projects: S0 (GTZAN images by ResNet; models from scratch), S1 (GTZAN
images, mel spectrograms and the feature table), S2 (FMA-small by DenseNet and EfficientNet), S3
(the first three seconds of GTZAN) and S4 (GTZAN by ResNet18 and XGBoost).
"""


class LevelScores(StrictModel):
    """The scores of one level."""

    n_items: int
    accuracy: Interval
    macro_precision: Interval
    macro_recall: Interval
    macro_f1: Interval
    negative_log_likelihood: Interval


class Training(StrictModel):
    """What training the networks of a protocol came to; the share is of the epochs' time."""

    n_networks: int
    n_epochs: int
    seconds: float
    waiting_share: float


class Measurement(StrictModel):
    """One protocol: how the data were divided, on how many tracks, and what came out.

    ``training`` is None where nothing was trained in epochs.
    """

    split: str
    split_sha256: str
    is_leaky: bool
    n_tracks: int
    n_artist_groups: int
    n_failed: int
    levels: dict[Level, LevelScores]
    seconds: float
    training: Training | None = None


class Result(StrictModel):
    """Everything that reproducing one recipe gave so far; measurements by protocol.

    ``trained_by`` names the recipe whose models these are, where that is another one; ``commit``
    and ``device`` are those of the last measurement.
    """

    name: str
    recipe: dict[str, Any]
    claim: Claim
    seed: int
    commit: str
    device: str
    data: str
    trained_by: str = ""
    measurements: dict[str, Measurement] = Field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """What all measurements cost."""
        return sum(its.seconds for its in self.measurements.values())


def training(folder: Path) -> Training | None:
    """Sum up the epochs of every run below a folder; None where none was trained in epochs.

    Raises:
        OSError: a log cannot be read.
    """
    paths = sorted(folder.glob(f"*/{METRICS}"))
    logs = [list(csv.DictReader(path.read_text().splitlines())) for path in paths]
    logs = [log for log in logs if log and "waiting_share" in log[0]]
    epochs = [row for log in logs for row in log]
    if not epochs:
        return None
    seconds = [float(row["seconds"]) for row in epochs]
    waited = sum(s * float(row["waiting_share"]) for s, row in zip(seconds, epochs, strict=True))
    return Training(
        n_networks=len(logs),
        n_epochs=len(epochs),
        seconds=round(sum(seconds), 1),
        waiting_share=round(waited / sum(seconds), 4),
    )


def measurement(
    result: EvaluationResult, seconds: float, trained: Training | None = None
) -> Measurement:
    """Keep the small part of an evaluation."""
    kept = LevelScores.model_fields
    return Measurement(
        split=result.split_title,
        split_sha256=result.split_sha256,
        is_leaky=result.leaky,
        n_tracks=result.n_tracks,
        n_artist_groups=result.n_artist_groups,
        n_failed=len(result.failures),
        levels={
            level: LevelScores(**{key: getattr(scores, key) for key in kept})
            for level, scores in result.levels.items()
        },
        seconds=round(seconds, 1),
        training=trained,
    )


def save(result: Result, folder: Path) -> None:
    """Write NAME.json.

    Raises:
        OSError: the folder cannot be written.
    """
    with write_beside(folder / f"{result.name}.json", "w") as stream:
        stream.write(result.model_dump_json(indent=1) + "\n")


def load(folder: Path) -> dict[str, Result]:
    """Read every NAME.json of a folder; none where it is not there.

    Raises:
        RecipeError: a file is no result.
        OSError: a file cannot be read.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = Result.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise RecipeError(
                f"{path} is no result of genrekit reproduce; remove it and reproduce it again"
            ) from error
    return found


def write_page(
    path: Path, recipes: Mapping[str, Recipe], found: Mapping[str, Result], needs: Mapping[str, str]
) -> None:
    """Write the page with all claims, measured or not.

    Args:
        path: the Markdown file.
        recipes: those with a claim, by name.
        found: what was measured, by name.
        needs: what a recipe needs to be measured, by name.

    Raises:
        OSError: the file cannot be written.
    """
    measured = {name: found[name] for name in recipes if name in found}
    lines = [HEAD, _table(recipes, measured)]
    lines += ["", "## Rows", ""]
    for name, recipe in recipes.items():
        lines += _details(name, recipe.claim, measured.get(name), needs[name])
    with write_beside(path, "w") as stream:
        stream.write("\n".join(lines).rstrip() + "\n")


def _table(recipes: Mapping[str, Recipe], measured: Mapping[str, Result]) -> str:
    headers = (
        "recipe",
        "source",
        "claimed",
        "same protocol",
        "by artist",
        "artist split",
        "fault-filtered",
        "leak",
    )
    rows = []
    for name, recipe in recipes.items():
        claim = recipe.claim
        cells = [f"`{name}`", claim.source, _claimed(claim)]
        if name in measured:
            result = measured[name]
            cells += [_accuracy(result, SOURCE), _accuracy(result, ARTIST), _artists(result)]
            cells += [_accuracy(result, FAULT_FILTERED), _leak(result)]
        else:
            cells += ["not measured", "", "", "", ""]
        rows.append(cells)
    return readme.table(headers, rows)


def _claimed(claim: Claim) -> str:
    return f"{claim.accuracy:g}" if claim.accuracy is not None else claim.words or "-"


def _accuracy(result: Result, key: str) -> str:
    its = result.measurements.get(key)
    if its is None:
        return "-"
    leaky = " LEAKY" if its.is_leaky else ""
    return f"{its.levels[result.claim.level].accuracy.percent()}{leaky}"


def _leak(result: Result) -> str:
    values = {
        key: its.levels[result.claim.level].accuracy.value
        for key, its in result.measurements.items()
    }
    if not {SOURCE, ARTIST} <= set(values):
        return "-"
    told = f"{100 * (values[SOURCE] - values[ARTIST]):+.1f}"
    leaky = values.get(SEGMENT)
    return told if leaky is None else f"{told}; LEAKY {100 * (leaky - values[ARTIST]):+.1f}"


def _artists(result: Result) -> str:
    """Say into how many parts the artists were divided, and how many tracks were tested."""
    its = result.measurements.get(ARTIST)
    if its is None:
        return "-"
    n_folds = result.claim.artist_folds
    return f"{f'{n_folds} folds' if n_folds else 'one'}, {its.n_tracks} tracks"


def _details(name: str, claim: Claim, result: Result | None, needs: str) -> list[str]:
    lines = [f"### {name}", "", f"{claim.source}: {claim.did}"]
    if claim.stands_in:
        lines.append(f"Here: {claim.stands_in}.")
    if claim.split == "segment":
        lines.append(f"Its protocol is LEAKY: {LEAKY_WHY}.")
    elif claim.split == "track":
        lines.append(f"Its protocol flatters: {ARTISTS_WHY}.")
    if result is None:
        return [*lines, f"Not measured yet; it needs {needs}.", ""]
    lines += ["", _levels(claim, result), ""]
    lines.append(
        f"Data: {result.data}; seed {result.seed}; {result.seconds:.0f} s on {result.device}; "
        f"commit {result.commit[:12] or 'unknown'}."
    )
    if result.trained_by:
        lines.append(f"The models are those of `{result.trained_by}`, joined another way.")
    lines += _trainings(result)
    return [*lines, ""]


def _trainings(result: Result) -> list[str]:
    all_of_them = [its.training for its in result.measurements.values() if its.training]
    seconds = sum(its.seconds for its in all_of_them)
    if not seconds:
        return []
    waited = sum(its.seconds * its.waiting_share for its in all_of_them) / seconds
    n_networks = sum(its.n_networks for its in all_of_them)
    n_epochs = sum(its.n_epochs for its in all_of_them)
    return [
        f"{n_networks} networks in {n_epochs} epochs of {seconds / n_epochs:.1f} s, of which "
        f"{100 * waited:.1f} % were spent waiting for data."
    ]


def _levels(claim: Claim, result: Result) -> str:
    headers = (
        "split",
        "tracks",
        "level",
        "accuracy",
        "macro precision",
        "macro recall",
        "macro F1",
    )
    rows = []
    numbers = (claim.accuracy, claim.precision, claim.recall, claim.f1)
    if any(number is not None for number in numbers):
        told = [f"{number:g}" if number is not None else "-" for number in numbers]
        rows.append(["claimed", "", claim.level.replace("_", " "), *told])
    for its in result.measurements.values():
        for level, scores in _different(its.levels).items():
            shares = (
                scores.accuracy,
                scores.macro_precision,
                scores.macro_recall,
                scores.macro_f1,
            )
            cells = [its.split, str(its.n_tracks), level.replace("_", " ")]
            rows.append([*cells, *(share.percent() for share in shares)])
    return readme.table(headers, rows)


def _different(levels: Mapping[Level, LevelScores]) -> dict[str, LevelScores]:
    """Return the levels, or one for all where every track is one segment."""
    if len({scores.n_items for scores in levels.values()}) == 1:
        return {"all": levels["mean_probability"]}
    return {str(level): scores for level, scores in levels.items()}
