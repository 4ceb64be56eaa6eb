"""The votes of an artist's other tracks on a track: their predictions, never their tags.

Most artists keep to few genres. So would an artist's tags, but a prediction that follows them could
no longer show that they are wrong.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MAX_VOTERS = 100  # recordings per artist; more would hardly change their mean

Vector = NDArray[np.float64]


@dataclass
class ArtistVotes:
    """The recordings that vote for each artist: the first ones by file id."""

    _voters: dict[str, dict[int, Vector]] = field(default_factory=dict)
    _albums: dict[Hashable, set[int]] = field(default_factory=dict)
    _means: dict[Hashable, Vector | None] = field(default_factory=dict)

    def add(
        self, artist: str | None, album: Hashable | None, audio_id: int, probabilities: Vector
    ) -> None:
        """Add a file that exists and was analysed.

        Args:
            artist: as returned by ``keys.artist``.
            album: as returned by ``query.album_of``; None if the file is on no album.
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
            Shape (n_labels,); None if there are no others, or no artist. The file's own recording
            never counts.
        """
        voters = self._voters.get(artist, {}) if artist is not None else {}
        on_album = self._albums.get(album, set()) if album is not None else set()
        own = (on_album | {audio_id}) & voters.keys()
        place = (artist, album, None if audio_id in on_album else audio_id)
        if place not in self._means:
            others = [vector for voter, vector in voters.items() if voter not in own]
            self._means[place] = np.mean(others, axis=0) if others else None
        return self._means[place]
