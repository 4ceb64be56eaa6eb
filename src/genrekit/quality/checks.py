"""Checks of single files, of labels and of splits.

Files may be unreadable, cut short, silent, clipped or of unusual length; copies of one recording
may have two labels; and artists, albums and recordings may be on both sides of a split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrekit import labels
from genrekit.datasets.split import PARTS, Split
from genrekit.quality.findings import SILENT, UNREADABLE, Finding

if TYPE_CHECKING:
    from genrekit.datasets.tracks import Track
    from genrekit.quality.measurements import Measurements

SILENCE_PEAK = 1e-4  # -80 dB re full scale
FULL_SCALE = 0.99
# No clip of GTZAN or FMA here has more than 0.8 % of its samples at full scale.
CLIPPED_SHARE = 0.01
# Where nearly all tracks are equally long, a shorter one has lost its end.
_USUAL_SHARE, _USUAL_TOLERANCE, _CUT_BELOW = 0.9, 0.05, 0.9
_MIN_USUAL = 10  # fewer tracks have no usual length

Groups = dict[str, list[str]]


@dataclass(frozen=True)
class FaultLimits:
    """Lengths in seconds between which a file may be one piece of music."""

    min_seconds: float = 5.0
    max_seconds: float = 1200.0


def faults(
    measured: Mapping[str, Measurements], unreadable: Mapping[str, str], limits: FaultLimits
) -> Iterator[Finding]:
    """Yield what is wrong with single files.

    Args:
        measured: track_id -> what was measured.
        unreadable: track_id -> why nothing could be measured.
        limits: lengths outside of which a file is named.

    Yields:
        One finding per file and fault; clipping excludes nothing, because loud masters are music.
    """
    for track_id, reason in unreadable.items():
        yield Finding(UNREADABLE, (track_id,), reason, (track_id,))
    usual_seconds = _usual_seconds([its.duration_seconds for its in measured.values()])
    for track_id, its in measured.items():
        for check, reason in _faults_of(its, limits, usual_seconds):
            yield Finding(check, (track_id,), reason, (track_id,))
        if its.at_full_scale > CLIPPED_SHARE:
            share = f"{100 * its.at_full_scale:.1f} % of its samples are at {FULL_SCALE}"
            yield Finding("clipped", (track_id,), f"{share} of full scale or above")


def _faults_of(
    its: Measurements, limits: FaultLimits, usual_seconds: float | None
) -> Iterator[tuple[str, str]]:
    """Yield the check and the reason of each fault for which a file is left out."""
    seconds = its.duration_seconds
    if its.damage:
        yield "damaged", "; ".join(its.damage)
    if its.peak < SILENCE_PEAK:
        yield SILENT, "no sample is louder than -80 dB"
    if seconds < limits.min_seconds:
        yield "too short", f"{seconds:.2f} s; music has {limits.min_seconds:g} s or more"
    elif usual_seconds and seconds < _CUT_BELOW * usual_seconds:
        yield "truncated", f"{seconds:.2f} s, where nearly all others have {usual_seconds:.2f} s"
    if seconds > limits.max_seconds:
        yield "too long", f"{seconds:.0f} s; one piece has {limits.max_seconds:g} s or less"


def _usual_seconds(lengths: list[float]) -> float | None:
    """Return the length that at least 90 % of the tracks have to 5 %, if there is one."""
    if len(lengths) < _MIN_USUAL:
        return None
    seconds = np.array(lengths)
    median = float(np.median(seconds))
    near = np.abs(seconds - median) <= _USUAL_TOLERANCE * median
    return median if near.mean() >= _USUAL_SHARE else None


def under_two_labels(
    recordings: Iterable[Sequence[str]], tracks: Mapping[str, Track]
) -> Iterator[Finding]:
    """Yield the recordings whose copies have different genres; all copies are excluded.

    Args:
        recordings: the ids of the tracks that hold one recording, for each.
        tracks: the tracks by id.
    """
    for members in recordings:
        genres = sorted({tracks[track_id].genre for track_id in members})
        if len(genres) > 1:
            reason = f"one recording is called {' and '.join(genres)}"
            yield Finding("two labels", tuple(members), reason, tuple(members))


def on_both_sides(
    split: Split,
    tracks: Sequence[Track],
    measured: Mapping[str, Measurements],
    recordings: Iterable[Sequence[str]],
) -> Iterator[Finding]:
    """Yield the artists, albums and recordings that a split divides.

    An artist is the dataset's, or the file's tag where the dataset names none; an album is the tag.

    Args:
        split: the split to look at.
        tracks: the dataset's tracks.
        measured: track_id -> what was measured, with the tags.
        recordings: the ids of the tracks that hold one recording, for each.

    Yields:
        One finding for each. Its tracks outside the test part (or, where none is tested, outside
        the validation part) are excluded, so that what is measured on stays as it is.
    """
    artists, albums = _artists_and_albums(tracks, measured)
    copies = {members[0]: list(members) for members in recordings}
    for kind, groups in (("artist", artists), ("album", albums), ("recording", copies)):
        for name, members in sorted(groups.items()):
            yield from _on_both_sides(f"{kind} on both sides", name, members, split)


def _on_both_sides(check: str, name: str, members: list[str], split: Split) -> Iterator[Finding]:
    part_of = {its: split.assignment[its] for its in members if its in split.assignment}
    present = [part for part in PARTS if part in part_of.values()]
    if len(present) > 1:
        reason = f"{name} is in {' and '.join(present)} of the {split.title} split"
        leaves = tuple(track_id for track_id, part in part_of.items() if part != present[-1])
        yield Finding(check, tuple(part_of), reason, leaves)


def _artists_and_albums(
    tracks: Sequence[Track], measured: Mapping[str, Measurements]
) -> tuple[Groups, Groups]:
    """Return the track ids of each artist and of each album."""
    artists: Groups = defaultdict(list)
    albums: Groups = defaultdict(list)
    for track in tracks:
        its = measured.get(track.track_id)
        tagged, album = (its.artist, its.album) if its else ("", "")
        is_known = labels.artist_group(tagged) is not None
        if track.artist_group or is_known:
            artists[track.artist_group or tagged.casefold()].append(track.track_id)
        if album and is_known:
            albums[f"{album} by {tagged}"].append(track.track_id)
    return artists, albums
