"""The page of results (docs/results.md): every claim beside what was measured here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from genrekit.evaluation.result import Level, LevelScores
from genrekit.files import write_beside
from genrekit.models import readme
from genrekit.reproduction import costs, lessons, overview, projects, results, rows
from genrekit.reproduction.results import Measurement
from genrekit.reproduction.rows import Row
from genrekit.training.recipe.claim import Claim

LINE_LENGTH = 120
PICTURES = "pictures"
HEAD = """# Results

*For students and researchers: what published systems claim, and what they reach.*

Written by `genrekit reproduce` from `results/*.json`; no number here is typed by hand.
"""
LEGEND = """Accuracy in %, with 95 % intervals from resampling artist groups. *Claimed* is what the
source reports; *same protocol* is what this program measures with the source's way of dividing the
data; *by artist* and *fault-filtered* are honest: no artist is in both training and test. *Artist
split* says how *by artist* was measured, by ten folds or, where training is costly, on one held-out
part of the artists, and on how many tracks. The *leak* is *same protocol* minus *by artist*. All
numbers of a row are at the level (segment, vote or mean) that its source used. LEAKY means that
parts of the test tracks, or a choice of epoch by them, went into training. A number after a
semicolon is that of a second seed. A stand-in uses another network and never replaces its row.
"Not measured with this recipe yet": what a smaller form of the recipe reached is given further
down, under its own name."""
NOT_MEASURED, NOT_THIS = "not measured", "not measured with this recipe yet"
PROTOCOLS = {
    results.SEGMENT: "Its protocol is LEAKY: segments of one track are in both training and test.",
    results.TRACK: "Its protocol flatters: tracks of one artist are in both training and test.",
}
ON_TEST = "Its protocol is LEAKY: the epoch is chosen by the test tracks."
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


def write(path: Path, all_rows: list[Row], counted: costs.Counted | None) -> None:
    """Write the page with all claims, measured or not, and its pictures beside it.

    Args:
        path: the Markdown file.
        all_rows: of rows.read.
        counted: what training each recipe on the full data takes; None where that is not known.

    Raises:
        OSError: the file or a picture cannot be written.
        GenrekitError: matplotlib is not installed.
    """
    ordered = rows.grouped(all_rows)
    lines = [HEAD, *_overview(path, ordered)]
    for sentence in lessons.sentences(all_rows):
        lines += [f"- {sentence}"]
    lines += ["", "## The sources", ""]
    used = {row.claim.source: None for row in ordered}
    lines += [f"- {projects.described(source)}." for source in used]
    lines += ["", "## All rows", "", LEGEND, "", readme.table(HEADERS, _table(all_rows)), ""]
    lines += costs.section(ordered, counted)
    lines += ["## Row by row", ""]
    for row in ordered:
        lines += [f"### {row.name}", "", *_about(row), *_measured(row), *_smoke_size(row)]
        lines += [*_curves(path, row), ""]
    with write_beside(path, "w") as stream:
        stream.write("\n".join(_wrapped("\n".join(lines).rstrip().split("\n"))) + "\n")


def _overview(path: Path, ordered: list[Row]) -> list[str]:
    overview.draw(path.parent / PICTURES / overview.FILE, ordered)
    shown = "Claimed, same protocol, by artist and fault-filtered accuracy of every row"
    return [f"![{shown}]({PICTURES}/{overview.FILE})", ""]


def _curves(path: Path, row: Row) -> list[str]:
    if not row.has_curves:
        return []
    name = f"{PICTURES}/curves/{row.name}.png"
    overview.curves(path.parent / name, row)
    return ["", f"![Learning curves of {row.name}]({name})"]


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, those of the text no longer than a document's lines may be."""
    for line in lines:
        is_text = len(line) > LINE_LENGTH and not line.startswith(("|", "!"))
        indent = "  " if line.startswith("- ") else ""
        yield from (
            textwrap.wrap(line, LINE_LENGTH, subsequent_indent=indent, break_on_hyphens=False)
            if is_text
            else [line]
        )


def _table(all_rows: list[Row]) -> Iterator[list[str]]:
    """Yield a line for every row, its stand-ins and LEAKY protocols right below it."""
    for row in rows.own(all_rows):
        for each in (row, *rows.below(all_rows, row.name)):
            yield _row(each)


def _row(row: Row) -> list[str]:
    claim = row.claim
    claimed = f"{claim.accuracy:g}" if claim.accuracy is not None else claim.statement or "-"
    claimed = claimed if claim.role == "source" else "-"
    cells = [f"{row.mark}`{row.name}`", claim.source, claimed]
    if row.result is None:
        is_other = row.has_old_result or row.smoke_size is not None
        return [*cells, NOT_THIS if is_other else NOT_MEASURED, "", "", "", ""]
    falls = " (loss still falling)" if row.still_falls else ""
    cells += [
        _accuracy(row, results.SOURCE) + falls,
        _accuracy(row, results.ARTIST),
        _artist_split(row),
    ]
    return [*cells, _accuracy(row, results.FAULT_FILTERED), _leak(row)]


def _accuracy(row: Row, protocol: str) -> str:
    found, level = row.result.seeds(protocol) if row.result else [], row.claim.level
    if not found:
        return "-"
    leaky = " LEAKY" if found[0].is_leaky else ""
    others = "".join(f"; {100 * its.levels[level].accuracy.value:.1f}" for its in found[1:])
    return f"{found[0].levels[level].accuracy.percent()}{others}{leaky}"


def _leak(row: Row) -> str:
    leak, leaky = row.leak(results.SOURCE), row.leak(results.SEGMENT)
    if leak is None:
        return "-"
    return f"{leak:+.1f}" if leaky is None else f"{leak:+.1f}; LEAKY {leaky:+.1f}"


def _artist_split(row: Row) -> str:
    """Return the number of parts that the artists were divided into, and of tracks tested."""
    measured, n_folds = row.measured(results.ARTIST), row.claim.artist_folds
    if measured is None:
        return "-"
    return f"{f'{n_folds} folds' if n_folds else 'one'}, {measured.n_tracks} tracks"


def _about(row: Row) -> list[str]:
    claim = row.claim
    lines = [f"{claim.source}: {claim.method}"]
    if claim.of:
        of = ", ".join(f"`{name}`" for name in claim.of)
        what = (
            "A stand-in for" if claim.role == "stand-in" else "The network, by another protocol, of"
        )
        lines.append(f"{what} {of}.")
    if claim.substitute:
        lines.append(f"Here: {claim.substitute}.")
    if row.recipe.data.validation == "test":
        return [*lines, ON_TEST]
    return [*lines, *([PROTOCOLS[claim.split]] if claim.split in PROTOCOLS else [])]


def _measured(row: Row) -> list[str]:
    result = row.result
    if result is None:
        return [f"Not measured with this recipe yet; it needs {row.needs}."]
    lines = [
        "",
        _levels(row.claim, result.measurements.values()),
        "",
        f"Data: {result.data}; seed {result.seed}; {result.seconds:.0f} s on {result.device}; "
        f"commit {result.commit[:12] or 'unknown'}.",
    ]
    if result.trained_by:
        lines.append(f"The models are those of `{result.trained_by}`, joined another way.")
    if row.still_falls:
        lines.append(
            "The validation loss of one of its networks was still falling when training stopped: "
            "its numbers are below what the recipe can reach."
        )
    return [*lines, *_training(row)]


def _smoke_size(row: Row) -> list[str]:
    """Return what a smaller form of a row gave that was not measured itself."""
    smaller = row.smoke_size
    if row.result or smaller is None:
        return []
    return [
        "",
        f"**Smoke-size measurement, not this recipe's**: {smaller.claim.substitute or 'fewer'}.",
        "",
        _levels(smaller.claim, smaller.measurements.values()),
    ]


def _training(row: Row) -> list[str]:
    parts = row.trainings.values()
    seconds = sum(part.seconds for part in parts)
    if not seconds:
        return []
    waited = sum(part.seconds * part.waiting_share for part in parts) / seconds
    n_epochs = sum(part.n_epochs for part in parts)
    n_networks = sum(part.n_networks for part in parts)
    return [
        f"{n_networks} network{'' if n_networks == 1 else 's'} in {n_epochs} epochs of "
        f"{seconds / n_epochs:.1f} s, of which {100 * waited:.1f} % were spent waiting for data."
    ]


def _levels(claim: Claim, measurements: Iterable[Measurement]) -> str:
    headers = ("split", "tracks", "level", *(share.replace("_", " ") for share in SHARES))
    table = []
    numbers = (claim.accuracy, claim.precision, claim.recall, claim.f1)
    if any(number is not None for number in numbers):
        claimed = [f"{number:g}" if number is not None else "-" for number in numbers]
        table.append(["claimed", "", claim.level.replace("_", " "), *claimed])
    for measured in measurements:
        for level, scores in _different(measured.levels).items():
            cells = [measured.split, str(measured.n_tracks), level.replace("_", " ")]
            table.append([*cells, *(getattr(scores, share).percent() for share in SHARES)])
    return readme.table([header.replace("f1", "F1") for header in headers], table)


def _different(levels: Mapping[Level, LevelScores]) -> dict[str, LevelScores]:
    """Return the levels, or one for all where every track is one segment."""
    if len({scores.n_items for scores in levels.values()}) == 1:
        return {"all": levels["mean_probability"]}
    return {str(level): scores for level, scores in levels.items()}
