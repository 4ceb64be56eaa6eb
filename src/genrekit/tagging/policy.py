"""From a model's probabilities to the genres that a file should hold, by the user's rules."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from genrekit import labels
from genrekit.errors import LibraryError, unknown_name
from genrekit.labels import spelling
from genrekit.models.card import ModelCard, threshold_for
from genrekit.prediction import ModelReference

Mode = Literal["fill-missing", "append", "replace"]
MIN_PROBABILITY = 0.3


class GenreMap(BaseModel):
    """The user's own list of genres, and what a model's labels become in it.

    Attributes:
        genres: each of the user's names with the labels that it stands for; a name always stands
            for itself.
        drop: labels that are never written.
        roll_up: a label named nowhere counts for the nearest of its wider genres that is.
        keep_others: a label that finds no name keeps its own; otherwise it is not written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    genres: dict[str, tuple[str, ...]]
    drop: tuple[str, ...] = ()
    roll_up: bool = True
    keep_others: bool = False

    def name(self, label: str) -> str | None:
        """Return what a label is called in the user's list, or None where it has no place."""
        named, dropped = self._names(), {spelling(label) for label in self.drop}
        if spelling(label) in dropped:
            return None
        for genre in (label, *(labels.wider(label) if self.roll_up else ())):
            if spelling(genre) in named:
                return named[spelling(genre)]
        return label if self.keep_others else None

    def rolled_up(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Return the probability of each of the user's names: the sum over its labels."""
        found: dict[str, float] = {}
        for label, probability in probabilities.items():
            if name := self.name(label):
                found[name] = found.get(name, 0.0) + probability
        return found

    def check(self, known: Iterable[str]) -> None:
        """Refuse labels that neither the model nor any label set knows: they are misspelled.

        Raises:
            LibraryError: one is unknown, or one label belongs to two names.
        """
        known = list(known)
        spelled = {spelling(label) for label in known}
        for label in [*self.drop, *(label for others in self.genres.values() for label in others)]:
            if spelling(label) not in spelled and not labels.is_known(label):
                raise LibraryError(f"mapping: {unknown_name('label', label, known)}")
        self._names()

    def _names(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, others in self.genres.items():
            for label in (name, *others):
                if found.setdefault(spelling(label), name) != name:
                    raise LibraryError(
                        f"mapping: {label!r} belongs to both {found[spelling(label)]!r} and "
                        f"{name!r}; leave it in one of them"
                    )
        return found


def read_map(path: Path) -> GenreMap:
    """Read a mapping from a TOML file; its keys are GenreMap's.

    Raises:
        LibraryError: it is not TOML, or has another form.
        OSError: it cannot be read.
    """
    try:
        return GenreMap.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise LibraryError(f"{path}: is not a mapping ({reasons}); see docs/tagging.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LibraryError(f"{path}: is not a TOML file: {error}") from error


@dataclass(frozen=True)
class Policy:
    """Which files get genres, and which genres.

    Attributes:
        mode: "fill-missing" leaves files alone that have a genre; "append" adds to what is there;
            "replace" puts the new genres in its place.
        top: how many genres at most.
        min_probability: genres less probable are not written.
        genre_map: the user's own names; None writes the model's labels.
        by_album: an album's tracks count as their mean, so that all of them get the same genres.
    """

    mode: Mode = "fill-missing"
    top: int = 1
    min_probability: float = MIN_PROBABILITY
    genre_map: GenreMap | None = None
    by_album: bool = False

    def chosen(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Return the genres to write, the most probable first; none means "I don't know".

        What has no place in the user's list still counts: where it is more probable than all that
        has, a file that gets one genre gets none.
        """
        named = self.genre_map.rolled_up(probabilities) if self.genre_map else probabilities
        nameless = [
            (None, probability)
            for label, probability in probabilities.items()
            if self.genre_map and self.genre_map.name(label) is None
        ]
        ordered = sorted([*named.items(), *nameless], key=lambda item: -item[1])[: self.top]
        return {name: p for name, p in ordered if name is not None and p >= self.min_probability}

    def wanted(self, present: Sequence[str], chosen: Iterable[str]) -> tuple[str, ...]:
        """Return the genres that a file should hold, or none where it stays as it is.

        Args:
            present: the genres that it holds.
            chosen: the genres to write.
        """
        if self.mode == "fill-missing" and present:
            return ()
        if self.mode == "append":
            seen = set(map(spelling, present))
            added = [genre for genre in chosen if spelling(genre) not in seen]
            return (*present, *added) if added else ()
        return () if tuple(chosen) == tuple(present) else tuple(chosen)


def least_probability(card: ModelCard, min_precision: float | None = None) -> float:
    """Return the probability that a genre needs to be written.

    Args:
        card: the model's card, whose validation curve says which precision a threshold gave.
        min_precision: the share wanted of right answers; None asks for MIN_PROBABILITY alone.

    Raises:
        ModelError: the model cannot promise that precision.
    """
    return max(MIN_PROBABILITY, threshold_for(card, min_precision))


def provenance(model: ModelReference, genres: Mapping[str, float]) -> str:
    """Return what is written beside the genres: who said so, and how sure it was.

    One line of JSON: the model's name, version and the first 12 digits of its SHA-256, and the
    probability of each genre that came from it.
    """
    rounded = {name: round(probability, 3) for name, probability in genres.items()}
    said = {"model": model.name, "version": model.version, "sha256": model.sha256[:12]}
    return json.dumps({**said, "genres": rounded}, ensure_ascii=False)
