"""The page of results (docs/results.md): every claim beside what was measured here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from genrekit.evaluation.result import Level, LevelScores
from genrekit.files import write_beside
from genrekit.models import readme
from genrekit.reproduction import results
from genrekit.reproduction.results import Measurement, Result
from genrekit.training.recipe.claim import Claim

LINE_LENGTH = 120
HEAD = """# Results

*For students and researchers: what published systems claim, and what they reach.*

Written by `genrekit reproduce`; no number here is typed by hand. Each row is a recipe of
`recipes/reproductions/`; its numbers are in `results/NAME.json`, with the resolved recipe, the
commit and the cost.

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
PROTOCOLS = {
    results.SEGMENT: "Its protocol is LEAKY: segments of one track stand on both sides.",
    results.TRACK: "Its protocol flatters: tracks of one artist stand on both sides.",
}
HEADERS = (
    "recipe",
    "source",
    "claimed",
    "same protocol",
    "by artist",
    "artist split",
    "fault-filtered",
    "leak",
)
SHARES = ("accuracy", "macro_precision", "macro_recall", "macro_f1")


def write(
    path: Path,
    claims: Mapping[str, Claim],
    measured: Mapping[str, Result],
    needs: Mapping[str, str],
) -> None:
    """Write the page with all claims, measured or not.

    Args:
        path: the Markdown file.
        claims: by recipe.
        measured: the results, by recipe.
        needs: what a recipe needs to be measured.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [_row(name, claim, measured.get(name)) for name, claim in claims.items()]
    lines = [HEAD, readme.table(HEADERS, rows), "", "## Rows", ""]
    for name, claim in claims.items():
        lines += [f"### {name}", "", *_about(claim)]
        result = measured.get(name)
        lines += _measured(result) if result else [f"Not measured yet; it needs {needs[name]}."]
        lines.append("")
    with write_beside(path, "w") as stream:
        stream.write("\n".join(_wrapped("\n".join(lines).rstrip().split("\n"))) + "\n")


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, those of the text no longer than a document's lines may be."""
    for line in lines:
        is_text = len(line) > LINE_LENGTH and not line.startswith("|")
        yield from textwrap.wrap(line, LINE_LENGTH) if is_text else [line]


def _row(name: str, claim: Claim, result: Result | None) -> list[str]:
    claimed = f"{claim.accuracy:g}" if claim.accuracy is not None else claim.statement or "-"
    cells = [f"`{name}`", claim.source, claimed]
    if result is None:
        return [*cells, "not measured", "", "", "", ""]
    cells += [
        _accuracy(result, results.SOURCE),
        _accuracy(result, results.ARTIST),
        _artist_split(result),
    ]
    return [*cells, _accuracy(result, results.FAULT_FILTERED), _leak(result)]


def _accuracy(result: Result, protocol: str) -> str:
    measured = result.measurements.get(protocol)
    if measured is None:
        return "-"
    leaky = " LEAKY" if measured.is_leaky else ""
    return f"{measured.levels[result.claim.level].accuracy.percent()}{leaky}"


def _leak(result: Result) -> str:
    level, found = result.claim.level, result.measurements.items()
    values = {protocol: its.levels[level].accuracy.value for protocol, its in found}
    if not {results.SOURCE, results.ARTIST} <= set(values):
        return "-"
    leak = f"{100 * (values[results.SOURCE] - values[results.ARTIST]):+.1f}"
    leaky = values.get(results.SEGMENT)
    return leak if leaky is None else f"{leak}; LEAKY {100 * (leaky - values[results.ARTIST]):+.1f}"


def _artist_split(result: Result) -> str:
    """Return the number of parts that the artists were divided into, and of tracks tested."""
    measured = result.measurements.get(results.ARTIST)
    if measured is None:
        return "-"
    n_folds = result.claim.artist_folds
    return f"{f'{n_folds} folds' if n_folds else 'one'}, {measured.n_tracks} tracks"


def _about(claim: Claim) -> list[str]:
    lines = [f"{claim.source}: {claim.method}"]
    if claim.substitute:
        lines.append(f"Here: {claim.substitute}.")
    return [*lines, *([PROTOCOLS[claim.split]] if claim.split in PROTOCOLS else [])]


def _measured(result: Result) -> list[str]:
    lines = [
        "",
        _levels(result.claim, result.measurements.values()),
        "",
        f"Data: {result.data}; seed {result.seed}; {result.seconds:.0f} s on {result.device}; "
        f"commit {result.commit[:12] or 'unknown'}.",
    ]
    if result.trained_by:
        lines.append(f"The models are those of `{result.trained_by}`, joined another way.")
    return [*lines, *_training(result)]


def _training(result: Result) -> list[str]:
    parts = [its.training for its in result.measurements.values() if its.training]
    seconds = sum(part.seconds for part in parts)
    if not seconds:
        return []
    waited = sum(part.seconds * part.waiting_share for part in parts) / seconds
    n_epochs = sum(part.n_epochs for part in parts)
    return [
        f"{sum(part.n_networks for part in parts)} networks in {n_epochs} epochs of "
        f"{seconds / n_epochs:.1f} s, of which {100 * waited:.1f} % were spent waiting for data."
    ]


def _levels(claim: Claim, measurements: Iterable[Measurement]) -> str:
    headers = ("split", "tracks", "level", *(share.replace("_", " ") for share in SHARES))
    rows = []
    numbers = (claim.accuracy, claim.precision, claim.recall, claim.f1)
    if any(number is not None for number in numbers):
        claimed = [f"{number:g}" if number is not None else "-" for number in numbers]
        rows.append(["claimed", "", claim.level.replace("_", " "), *claimed])
    for measured in measurements:
        for level, scores in _different(measured.levels).items():
            cells = [measured.split, str(measured.n_tracks), level.replace("_", " ")]
            rows.append([*cells, *(getattr(scores, share).percent() for share in SHARES)])
    return readme.table([header.replace("f1", "F1") for header in headers], rows)


def _different(levels: Mapping[Level, LevelScores]) -> dict[str, LevelScores]:
    """Return the levels, or one for all where every track is one segment."""
    if len({scores.n_items for scores in levels.values()}) == 1:
        return {"all": levels["mean_probability"]}
    return {str(level): scores for level, scores in levels.items()}
