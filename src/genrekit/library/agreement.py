"""The genres named by the sources of a track: its audio, album, artist, tag and folder.

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

# The weight of each source that names a label. A folder may have any name.
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
    """The genres by source of one track.

    Attributes:
        labels: the model's labels.
        sources: probabilities by source, if there are any. Each of shape (n_labels,). The labels
            of a tag or a folder share a probability of one.
        outside: the genres of the tag, if none of them is among the labels.
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

        A tag outside the model's labels disagrees with all of them, except those below it in the
        tree of genres: "Electronic" does not contradict "house".
        """
        predicted = self.predicted_label
        names = [part for tag in self.outside for part in (tag, *spelling.BETWEEN.split(tag))]
        if names and not any(spelling.says(predicted, name) for name in names):
            return True
        named = [self.labels_of(source) for source in ("tag", "folder")]
        sets = [{predicted}, *(set(names) for names in named if names)]
        return not set.intersection(*sets)

    def labels_of(self, source: str) -> tuple[str, ...]:
        """Return a source's most probable label, or several if a tag names several."""
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
    """The running mean of each album's tracks."""

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
    """Maps the sources of tracks to one model's labels."""

    def __init__(self, model_labels: Sequence[str]) -> None:
        """Index the spellings of the labels."""
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
            album: their mean over the album, if there is one.
            artist: their mean over the artist's tracks that are not on the album.
            genres: the genres of the tags, in any spelling or as ID3 numbers; those that are not
                labels are ignored, unless all are, and are not placeholders: then they are outside.
            path: of the track; the nearest folder named like a label counts.
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
