"""Which genre the sources of a track name: its audio, album, artist, tag and folder.

Most albums and artists keep to one genre, and a mean over their tracks errs less than one track.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.tags import spelling

Vector = NDArray[np.float64]

# The weight of each source that names a label. A folder may be named after anything.
WEIGHTS: Mapping[str, float] = {
    "audio": 1.0,
    "album": 1.0,
    "artist": 1.0,
    "tag": 1.0,
    "folder": 0.5,
}
_PREDICTED = ("audio", "album", "artist")


@dataclass(frozen=True)
class Agreement:
    """What the sources of one track give.

    Attributes:
        labels: the model's labels.
        sources: probabilities by source, where there are any. Each of shape (n_labels,). The labels
            of a tag or a folder share a probability of one.
        outside: genres of the tag, where all that it names lies outside the labels.
    """

    labels: tuple[str, ...]
    sources: Mapping[str, Vector]
    outside: tuple[str, ...] = ()

    def mean(self, sources: Iterable[str] = WEIGHTS) -> Vector:
        """Return the weighted mean of some sources. Shape (n_labels,)."""
        present = [source for source in sources if source in self.sources]
        total: Vector = np.sum([WEIGHTS[name] * self.sources[name] for name in present], axis=0)
        return total / sum(WEIGHTS[name] for name in present)

    @property
    def label(self) -> str:
        """The most probable label of all sources together."""
        return self.labels[int(self.mean().argmax())]

    @property
    def predicted_label(self) -> str:
        """The most probable label by the predictions of the track, its album and its artist."""
        return self.labels[int(self.mean(_PREDICTED).argmax())]

    @property
    def disagrees(self) -> bool:
        """Whether the prediction, the tag and the folder have no label in common.

        A tag outside the model's labels has none in common with anything, but for those that the
        tree of genres puts below it: "Electronic" is no other genre than "house".
        """
        predicted = self.predicted_label
        names = [part for tag in self.outside for part in (tag, *spelling.BETWEEN.split(tag))]
        if names and not any(spelling.says(predicted, name) for name in names):
            return True
        named = [self.labels_of(source) for source in ("tag", "folder")]
        sets = [{predicted}, *(set(names) for names in named if names)]
        return not set.intersection(*sets)

    def labels_of(self, source: str) -> tuple[str, ...]:
        """Return a source's most probable labels, several only where a tag names several."""
        if source not in self.sources:
            return ()
        values = self.sources[source]
        return tuple(self.labels[i] for i in np.flatnonzero(values == values.max()))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "label": self.label,
            "probability": round(float(self.mean().max()), 6),
            "disagrees": self.disagrees,
            "outside": list(self.outside),
            "sources": {
                source: {
                    "weight": WEIGHTS[source],
                    "labels": list(self.labels_of(source)),
                    "probability": round(float(values.max()), 6),
                }
                for source, values in self.sources.items()
            },
        }


@dataclass
class Albums:
    """The mean of each album's tracks, as they come."""

    _sums: dict[Hashable, Vector] = field(default_factory=dict)
    _counts: dict[Hashable, int] = field(default_factory=dict)

    def add(self, album: Hashable, probabilities: Vector) -> None:
        """Add a track. Shape (n_labels,)."""
        self._sums[album] = self._sums.get(album, 0) + probabilities
        self._counts[album] = self._counts.get(album, 0) + 1

    def mean(self, album: Hashable) -> Vector | None:
        """Return the mean of an album's tracks; None for an album of one track or none."""
        n_tracks = self._counts.get(album, 0)
        return self._sums[album] / n_tracks if n_tracks > 1 else None


class AgreementBuilder:
    """Reads the sources of tracks in one model's labels."""

    def __init__(self, model_labels: Sequence[str]) -> None:
        """Read how the labels may be spelled."""
        self._labels = tuple(model_labels)
        self._spellings = spelling.spellings(model_labels)

    def build(
        self,
        audio: Vector,
        album: Vector | None,
        artist: Vector | None,
        genres: Iterable[str],
        path: Path,
    ) -> Agreement:
        """Compare the sources of a track.

        Args:
            audio: the model's probabilities. Shape (n_labels,).
            album: their mean over the album, where there is one.
            artist: their mean over the artist's tracks that are not on the album.
            genres: the genres of the tags, in any spelling or by ID3's numbers; names of no label
                do not count, but where all are such, and no placeholders, they are outside.
            path: where the track lies; the nearest folder that is named like a label counts.
        """
        folders = (self._certain([parent.name]) for parent in path.parents)
        genres = tuple(map(spelling.in_words, genres))
        tag = self._certain(genres)
        sources = {
            "audio": audio,
            "album": album,
            "artist": artist,
            "tag": tag,
            "folder": next((values for values in folders if values is not None), None),
        }
        present = {name: values for name, values in sources.items() if values is not None}
        outside = spelling.without_placeholders(genres) if tag is None and genres else ()
        return Agreement(self._labels, present, outside)

    def _certain(self, names: Iterable[str]) -> Vector | None:
        found = set().union(*(spelling.meant(name, self._spellings) for name in names))
        if not found:
            return None
        return np.array([label in found for label in self._labels], np.float64) / len(found)
