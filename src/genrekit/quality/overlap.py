"""Artists, albums and recordings that lie on both sides of a split, or under two labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from genrekit.datasets.dataset import Track
from genrekit.datasets.split import PARTS, Split
from genrekit.quality.findings import Finding
from genrekit.quality.measurements import Measurements

_NOBODY = {"", "unknown", "unknown artist", "various", "various artists", "va"}

Groups = dict[str, list[str]]


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


def on_both(
    split: Split,
    tracks: Sequence[Track],
    heard: Mapping[str, Measurements | str],
    recordings: Iterable[Sequence[str]],
) -> Iterator[Finding]:
    """Yield the artists, albums and recordings that a split tears apart.

    An artist is the dataset's, or the file's tag where the dataset names none; an album is the tag.

    Args:
        split: the split to look at.
        tracks: the dataset's tracks.
        heard: what was heard of each, by id.
        recordings: the ids of the tracks that hold one recording, for each.

    Yields:
        One finding for each. Its tracks outside the test part (or, where none is tested, outside
        the validation part) are excluded, so that what is measured on stays as it is.
    """
    artists, albums = _groups(tracks, heard)
    copies = {members[0]: list(members) for members in recordings}
    for kind, groups in (("artist", artists), ("album", albums), ("recording", copies)):
        for name, members in sorted(groups.items()):
            yield from _torn(f"{kind} on both sides", name, members, split)


def _torn(check: str, name: str, members: list[str], split: Split) -> Iterator[Finding]:
    part_of = {its: split.assignment[its] for its in members if its in split.assignment}
    present = [part for part in PARTS if part in part_of.values()]
    if len(present) > 1:
        reason = f"{name} is in {' and '.join(present)} of the {split.title} split"
        leaves = tuple(track_id for track_id, part in part_of.items() if part != present[-1])
        yield Finding(check, tuple(part_of), reason, leaves)


def _groups(
    tracks: Sequence[Track], heard: Mapping[str, Measurements | str]
) -> tuple[Groups, Groups]:
    """Return the track ids of each artist and of each album."""
    artists: Groups = defaultdict(list)
    albums: Groups = defaultdict(list)
    for track in tracks:
        its = heard.get(track.track_id)
        tagged, album = (its.artist, its.album) if isinstance(its, Measurements) else ("", "")
        artist = track.artist_group or tagged.casefold()
        if artist not in _NOBODY:
            artists[artist].append(track.track_id)
        if album and tagged.casefold() not in _NOBODY:
            albums[f"{album} by {tagged}"].append(track.track_id)
    return artists, albums
