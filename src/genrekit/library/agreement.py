"""Who says what about a track: its audio, its album, its tag and its folder's name.

The tracks of an album vote: most albums keep to one genre, and a mean over tracks errs less than
one track does.
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

# How much each one counts where it has something to say. A folder may be named after anything.
WEIGHTS: Mapping[str, float] = {"audio": 1.0, "album": 1.0, "tag": 1.0, "folder": 0.5}
_HEARD = ("audio", "album")


@dataclass(frozen=True)
class Agreement:
    """The opinions on one track.

    Attributes:
        labels: the model's labels.
        opinions: probabilities by source (of those that say something), each of shape (n_labels,).
            A tag and a folder are sure: their labels share a probability of one.
    """

    labels: tuple[str, ...]
    opinions: Mapping[str, Vector]

    def mean(self, sources: Iterable[str] = WEIGHTS) -> Vector:
        """Return the weighted mean of some sources' opinions. Shape (n_labels,)."""
        said = [source for source in sources if source in self.opinions]
        total: Vector = np.sum([WEIGHTS[s] * self.opinions[s] for s in said], axis=0)
        return total / sum(WEIGHTS[s] for s in said)

    @property
    def label(self) -> str:
        """The most probable label of all opinions together."""
        return self.labels[int(self.mean().argmax())]

    @property
    def heard(self) -> str:
        """The most probable label of what was heard: of the track and of its album together."""
        return self.labels[int(self.mean(_HEARD).argmax())]

    @property
    def disagrees(self) -> bool:
        """Whether what was heard, the tag and the folder have no label in common."""
        named = [self.said_by(source) for source in ("tag", "folder")]
        sets = [{self.heard}, *(set(names) for names in named if names)]
        return not set.intersection(*sets)

    def said_by(self, source: str) -> tuple[str, ...]:
        """Return a source's most probable labels, several only where a tag names several."""
        if source not in self.opinions:
            return ()
        opinion = self.opinions[source]
        return tuple(self.labels[i] for i in np.flatnonzero(opinion == opinion.max()))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        mean = self.mean()
        return {
            "label": self.label,
            "probability": round(float(mean.max()), 6),
            "disagrees": self.disagrees,
            "opinions": {
                source: {
                    "weight": WEIGHTS[source],
                    "labels": list(self.said_by(source)),
                    "probability": round(float(opinion.max()), 6),
                }
                for source, opinion in self.opinions.items()
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


class Judge:
    """Gathers the opinions on tracks, in one model's labels."""

    def __init__(self, model_labels: Sequence[str]) -> None:
        """Learn how the labels may be spelled."""
        self._labels = tuple(model_labels)
        self._spellings = spelling.spellings(model_labels)

    def judge(
        self, audio: Vector, album: Vector | None, genres: Iterable[str], path: Path
    ) -> Agreement:
        """Gather who says what about a track.

        Args:
            audio: what the model heard. Shape (n_labels,).
            album: the mean over its album, where there is one.
            genres: what the tags say, in any spelling; names of no label say nothing.
            path: the nearest of its folders that is called like a label has an opinion.
        """
        opinions = {"audio": audio}
        if album is not None:
            opinions["album"] = album
        tag = self._sure(genres)
        if tag is not None:
            opinions["tag"] = tag
        folders = (self._sure([parent.name]) for parent in path.parents)
        folder = next((opinion for opinion in folders if opinion is not None), None)
        if folder is not None:
            opinions["folder"] = folder
        return Agreement(self._labels, opinions)

    def _sure(self, names: Iterable[str]) -> Vector | None:
        found = set().union(*(spelling.meant(name, self._spellings) for name in names))
        if not found:
            return None
        return np.array([label in found for label in self._labels], np.float64) / len(found)
