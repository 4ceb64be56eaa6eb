"""What the other tracks of a track's artist say about it: their predictions, never their tags.

Most artists keep to few genres. An artist's tags would too, but a prediction that follows them
could no longer tell that they are wrong.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MAX_VOTERS = 100  # recordings of an artist; more would hardly change their mean

Vector = NDArray[np.float64]


@dataclass
class ArtistVotes:
    """The recordings that vote for each artist: the first ones, as the files come by their ids."""

    _voters: dict[str, dict[int, Vector]] = field(default_factory=dict)
    _albums: dict[Hashable, set[int]] = field(default_factory=dict)
    _means: dict[Hashable, Vector | None] = field(default_factory=dict)

    def add(
        self, artist: str | None, album: Hashable | None, audio_id: int, probabilities: Vector
    ) -> None:
        """Add a file that is there and was analysed.

        Args:
            artist: as ``keys.artist`` gives it.
            album: as ``query.album_of`` gives it; None where the file is on none.
            audio_id: its recording, which votes once.
            probabilities: shape (n_labels,).
        """
        if album is not None:
            self._albums.setdefault(album, set()).add(audio_id)
        if artist is not None:
            voters = self._voters.setdefault(artist, {})
            if len(voters) < MAX_VOTERS:
                voters.setdefault(audio_id, probabilities)

    def mean(self, artist: str | None, album: Hashable | None, audio_id: int) -> Vector | None:
        """Return the mean over an artist's recordings that are not on a file's own album.

        Returns:
            Shape (n_labels,); None where there are no others, or where no artist is named. The
            file's own recording never counts.
        """
        voters = self._voters.get(artist, {}) if artist is not None else {}
        on_album = self._albums.get(album, set()) if album is not None else set()
        own = (on_album | {audio_id}) & voters.keys()
        place = (artist, album, None if audio_id in on_album else audio_id)
        if place not in self._means:
            others = [vector for voter, vector in voters.items() if voter not in own]
            self._means[place] = np.mean(others, axis=0) if others else None
        return self._means[place]
