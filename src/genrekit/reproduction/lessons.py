"""What a reader should take away: five sentences, made from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from genrekit.reproduction import results, rows
from genrekit.reproduction.rows import Row

CLOSE_POINTS = 5.0


def sentences(all_rows: list[Row]) -> list[str]:
    """Return the sentences; those that nothing was measured for are left out."""
    own = rows.own(all_rows)
    found = [
        _held(own),
        _not_held(own, all_rows),
        _leak(own),
        _fault_filtered(own),
        _missing(own, all_rows),
    ]
    return [sentence for sentence in found if sentence]


def difference(row: Row) -> float | None:
    """Return the same protocol's accuracy minus the claim in points; None without both."""
    accuracy = row.accuracy(results.SOURCE)
    if accuracy is None or row.claim.accuracy is None:
        return None
    return accuracy - row.claim.accuracy


def _held(own: list[Row]) -> str:
    compared = [row for row in own if difference(row) is not None]
    if not compared:
        return ""
    held = [row for row in compared if abs(difference(row) or 0) <= CLOSE_POINTS]
    n_claims = sum(row.claim.accuracy is not None for row in own)
    return (
        f"**Claims that hold under their own protocol.** {len(compared)} of the {n_claims} numeric "
        f"claims were measured by the protocol of their source; {len(held)} of them came within "
        f"{CLOSE_POINTS:g} points of the claim{_names(held)}."
    )


def _not_held(own: list[Row], all_rows: list[Row]) -> str:
    awry = [row for row in own if abs(difference(row) or 0) > CLOSE_POINTS]
    parts = []
    for row in awry:
        part = f"`{row.name}` reaches {row.accuracy(results.SOURCE):.1f} % "
        part += f"where {row.claim.accuracy:g} % is claimed"
        leaky = [each for each in rows.below(all_rows, row.name) if each.claim.role == "leaky"]
        tried = [
            f"{accuracy:.1f} % by `{each.name}`"
            for each in leaky
            if (accuracy := each.accuracy(results.SOURCE)) is not None
        ]
        parts.append(part + (f" (LEAKY: {', '.join(tried)})" if tried else ""))
    return f"**Claims that do not.** {'; '.join(parts)}." if parts else ""


def _leak(own: list[Row]) -> str:
    tracks = _leaks(row for row in own if row.claim.split == results.TRACK)
    segments = _leaks(row for row in own if row.claim.split == results.SEGMENT)
    if not tracks:
        return ""
    text = (
        "**How much of that is leakage.** A split that shares artists between training and test "
        f"flatters the {len(tracks)} systems measured both ways by {_range(tracks)} points over an "
        f"artist-disjoint one (median {median(tracks):.1f})"
    )
    if segments:
        text += (
            f"; segments of one track on both sides (LEAKY) flatter {len(segments)} systems by "
            f"{_range(segments)} points"
        )
    return f"{text}."


def _leaks(chosen: Iterable[Row]) -> list[float]:
    leaks = (row.leak(results.SOURCE) for row in chosen if row.recipe.data.genres == ())
    return [leak for leak in leaks if leak is not None]


def _fault_filtered(own: list[Row]) -> str:
    values = [
        (accuracy, row.name)
        for row in own
        if row.recipe.data.genres == ()
        and (accuracy := row.accuracy(results.FAULT_FILTERED)) is not None
    ]
    if not values:
        return ""
    (low, worst), (high, best) = min(values), max(values)
    return (
        "**What remains without repetitions and shared artists.** On the published fault-filtered "
        f"split, accuracies range from {low:.1f} % (`{worst}`) to {high:.1f} % (`{best}`)."
    )


def _missing(own: list[Row], all_rows: list[Row]) -> str:
    missing = [row for row in own if row.result is None]
    if not missing:
        return ""
    helped = [
        row
        for row in missing
        if any(
            each.result and each.claim.role == "stand-in" for each in rows.below(all_rows, row.name)
        )
    ]
    return (
        f"**What is not known yet.** {len(missing)} of the sources' rows have not been measured "
        f"with these recipes; for {len(helped)} of them a stand-in was, which shows how far real "
        "ImageNet weights get under the row's protocol, not what its own network would reach."
    )


def _names(found: Sequence[Row]) -> str:
    return f" ({', '.join(f'`{row.name}`' for row in found)})" if found else ""


def _range(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"
