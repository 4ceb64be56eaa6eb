"""The labels of a head trained on a library, and the meaning of the library's genre names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from genrekit import labels
from genrekit.errors import DatasetError
from genrekit.labels import LabelSet, is_placeholder
from genrekit.tags import spelling

MIN_GROUPS = 2  # artists per genre that the model lacks: a single one could never be held out


@dataclass(frozen=True)
class LabelSpace:
    """The labels of a new model.

    Attributes:
        labels: the new labels, those of the old model first.
        old: the new label of each of the old model's labels; None if it has none.
        meanings: for each genre name, the new labels that it means.
    """

    labels: tuple[str, ...]
    old: tuple[str | None, ...]
    meanings: Mapping[str, frozenset[str]]

    def meant(self, genres: Iterable[str]) -> frozenset[str]:
        """Return the labels meant by a track's genres."""
        return frozenset().union(*(self.meanings.get(genre, frozenset()) for genre in genres))


def label_space(
    old: Sequence[str],
    genres: Sequence[Sequence[str]],
    groups: Sequence[str],
    label_set: LabelSet | None = None,
    min_per_genre: int = 10,
) -> LabelSpace:
    """Decide on the labels of a head for a library.

    Without a label set they are those of the old model, plus each missing genre that enough tracks
    name. A name counts towards the old model's label that it means, possibly as a narrower genre
    ("Thrash Metal" is metal). With a label set they are those of its labels that the old model has
    or that enough tracks name; names that it does not know are ignored.

    Args:
        old: the labels of the old model.
        genres: each track's genre names.
        groups: each track's artist group.
        label_set: the user's own genres.
        min_per_genre: the number of tracks needed for a genre that the old model lacks.

    Raises:
        DatasetError: fewer than two labels are left.
    """
    names = dict.fromkeys(name for its in genres for name in its)
    if label_set is None:
        known = spelling.spellings(old)
        own = _own_names(names, known)
        meanings = {name: own.get(name) or spelling.meant(name, known) for name in names}
        mapped: list[str | None] = list(old)
    else:
        meanings = {name: _in_set(name, label_set) for name in names}
        mapped = [next(iter(_in_set(label, label_set)), None) for label in old]
    first = list(dict.fromkeys(label for label in mapped if label is not None))
    kept = [*first, *_frequent(genres, groups, meanings, min_per_genre, set(first))]
    if len(kept) < 2:
        raise DatasetError(
            f"{len(kept)} genres would be left, but a model needs two; correct or tag more tracks, "
            "or name more genres in the label set"
        )
    found = {name: frozenset(its & set(kept)) for name, its in meanings.items()}
    return LabelSpace(tuple(kept), tuple(mapped), found)


def _own_names(names: Iterable[str], known: Mapping[str, str]) -> dict[str, set[str]]:
    """Map the names of genres that a model lacks to one name for all their spellings."""
    every = [label for name in labels.names() for label in labels.label_set(name).labels]
    canonical = spelling.spellings(every)
    found: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for name in names:
        if not is_placeholder(name) and not spelling.meant(name, known):
            key = canonical.get(labels.spelling(name), labels.spelling(name))
            found[name] = {first.setdefault(labels.spelling(key), name)}
    return found


def _in_set(name: str, label_set: LabelSet) -> set[str]:
    for genre in (name, *labels.wider(name)):
        if genre in label_set:
            return {label_set.canonical(genre)}
    return set()


def _frequent(
    genres: Sequence[Sequence[str]],
    groups: Sequence[str],
    meanings: Mapping[str, set[str]],
    min_per_genre: int,
    known: set[str],
) -> list[str]:
    """Return the labels, besides the known ones, that enough tracks of enough artists name."""
    n_tracks: Counter[str] = Counter()
    artists: defaultdict[str, set[str]] = defaultdict(set)
    for its, group in zip(genres, groups, strict=True):
        for label in set().union(*(meanings[name] for name in its)) - known:
            n_tracks[label] += 1
            artists[label].add(group)
    return [
        label
        for label, n in n_tracks.most_common()
        if n >= min_per_genre and len(artists[label]) >= MIN_GROUPS
    ]
