"""From a model's probabilities to the genres of a file, by the user's rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from genrekit import labels
from genrekit.errors import ModelError
from genrekit.models.card import ModelCard, threshold_for
from genrekit.prediction import ModelReference, percent
from genrekit.tagging.genre_map import GenreMap
from genrekit.tags import spelling
from genrekit.tags.formats.base import StyleField

Mode = Literal["fill-missing", "append", "merge", "replace"]
MIN_PROBABILITY = 0.3
PRECISION = 0.9  # of the proposals, by default


@dataclass(frozen=True)
class Policy:
    """The rules for which files get genres, and which genres.

    Attributes:
        mode: "fill-missing" leaves files with a genre alone; "append" adds to a file's genres;
            "merge" does too, but a style replaces its wider genre; "replace" replaces all of a
            file's genres.
        top: the maximum number of genres.
        min_probability: genres less probable are not written.
        genre_map: the user's own names; None writes the display names of the model's labels.
        by_album: an album whose tracks agree gets its mean's genres, see ``tagging.albums``.
        depth: 1 writes the widest genres only, 2 their styles, ...; None whatever is predicted.
        with_parents: write a style's wider genres before it.
        placeholders: more names that mean no genre, besides "Other", "Unknown" and the like.
        style_field: write the style into this field, and its widest genre as the genre.
    """

    mode: Mode = "fill-missing"
    top: int = 1
    min_probability: float = MIN_PROBABILITY
    genre_map: GenreMap | None = None
    by_album: bool = False
    depth: int | None = None
    with_parents: bool = False
    placeholders: tuple[str, ...] = ()
    style_field: StyleField | None = None
    _chains: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    def chain(self, label: str) -> tuple[str, ...]:
        """Return a label's name, then its wider genres; nothing if the list has no place for it."""
        if label not in self._chains:
            if self.genre_map:
                names = self.genre_map.chain(label)
            else:
                names = tuple(map(labels.display_name, (label, *labels.wider(label))))
            self._chains[label] = names[-self.depth :] if self.depth else names
        return self._chains[label]

    def divided(self, chosen: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Divide the chosen names into genres, and styles for the style field.

        A name is a style if a label that can be chosen has it below a wider one.
        """
        below = {name for names in self._chains.values() for name in names[:-1]}
        styles = below if self.style_field else set()
        genres = tuple(name for name in chosen if name not in styles)
        return genres, tuple(name for name in chosen if name in styles)

    def with_widest(self, name: str) -> tuple[str, ...]:
        """Return a label's name, preceded by its widest genre if styles have a field."""
        chain = next((names for names in self._chains.values() if names[:1] == (name,)), (name,))
        return tuple(dict.fromkeys((chain[-1], name))) if self.style_field else (name,)

    def chosen(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Return the genres to write, the most probable first; none means "I don't know".

        Genres that reach the minimum probability are written; if none does, the narrowest wider
        genre that does, by the sum over its genres. A genre and its wider genre are not both
        chosen. Labels without a place in the user's list still count: if one of them is the most
        probable, a file that would get one genre gets none.
        """
        mass = _Mass(probabilities, self)
        taken: dict[str, float] = {}
        n_used = 0
        for name, probability in mass.ordered:
            if n_used == self.top or probability < self.min_probability:
                break
            if name is None:
                n_used += 1
            elif not any(mass.are_related(name, other) for other in taken):
                taken[name] = probability
                n_used += 1
        if not n_used and (wider := mass.narrowest(self.min_probability)):
            taken = {wider: mass.total[wider]}
        if self.with_parents or self.style_field:
            return dict(self._with_parents(taken, mass))
        return taken

    def _with_parents(self, taken: Mapping[str, float], mass: _Mass) -> Iterator[tuple[str, float]]:
        for name, probability in taken.items():
            wider = mass.tails[name][1:]
            for other in reversed(wider[-1:] if self.style_field else wider):
                yield other, mass.total[other]
            yield name, probability

    def present(self, genres: Sequence[str]) -> tuple[str, ...]:
        """Return the genres of a file, without placeholders."""
        return spelling.without_placeholders(genres, self.placeholders)

    def says(self, genre: str, name: str) -> bool:
        """Return whether a file's genre already means a name, or a narrower genre."""
        genre = spelling.in_words(genre)
        return spelling.says(genre, name) or (
            self.genre_map is not None and name in self.genre_map.chain(genre)
        )

    def wanted(self, present: Sequence[str], chosen: Iterable[str]) -> tuple[str, ...]:
        """Return the genres that a file should have, or none if it is to be left alone.

        Args:
            present: its genres; placeholders do not count.
            chosen: the genres to write. One that the file says already, in whatever spelling or by
                a narrower genre, stays as the file says it.
        """
        present, chosen = self.present(present), list(chosen)
        if self.mode == "fill-missing" and present:
            return ()
        new = [name for name in chosen if not any(self.says(genre, name) for genre in present)]
        if not new:
            return ()
        if self.mode == "append":
            if not self.with_parents:
                new = [n for n in new if not any(self._is_wider(g, n) for g in present)]
            return (*present, *new) if new else ()
        if self.mode == "merge":
            styles = () if self.with_parents else new
            beside = [g for g in present if not any(self._is_wider(g, n) for n in styles)]
            return (*beside, *new)
        kept = {
            name: next(genre for genre in present if self.says(genre, name))
            for name in chosen
            if name not in new
        }
        return tuple(dict.fromkeys(kept.get(name, name) for name in chosen))

    def means(self, genre: str, name: str) -> bool:
        """Return whether a file's genre is a name, and no narrower one."""
        return self.says(genre, name) and self.says(name, genre)

    def wanted_with_styles(
        self, genres: tuple[str, ...], styles: tuple[str, ...], chosen: Iterable[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the genres and the styles that a file should hold; the field is never emptied.

        A file whose genre is that of the predicted style, and which has no style, misses the style.

        Args:
            genres: what it holds, placeholders included.
            styles: what the field for styles holds.
            chosen: the names to write, some of which are styles.
        """
        wider, narrow = self.divided(chosen)
        present = self.present(genres)
        said = (*present, *styles)
        new_genres = tuple(n for n in wider if not any(self.says(s, n) for s in present))
        new_styles = tuple(n for n in narrow if not any(self.says(s, n) for s in said))
        if self.mode in ("append", "merge"):
            return ((*present, *new_genres) if new_genres else genres), (*styles, *new_styles)
        if self.mode == "fill-missing":
            if not present:
                return wider, styles or narrow
            is_wider = any(self.means(s, n) for s in present for n in wider)
            return genres, styles or (new_styles if is_wider else ())
        kept = tuple(next((s for s in present if self.means(s, n)), n) for n in wider)
        moved = tuple(next((s for s in said if self.says(s, n)), n) for n in narrow)
        return kept, tuple(dict.fromkeys(moved)) or styles

    def _is_wider(self, genre: str, name: str) -> bool:
        """Return whether a file's genre is a wider one of a style."""
        wider = {labels.meaning(genre) for genre in labels.wider(name)}
        if self.genre_map:
            wider |= set(map(labels.meaning, self.genre_map.chain(name)[1:]))
        return labels.meaning(spelling.in_words(genre)) in wider


class _Mass:
    """Probability by name: what each has for itself, and with all that is narrower."""

    def __init__(self, probabilities: Mapping[str, float], rules: Policy) -> None:
        own: dict[str, float] = {}
        nameless: list[tuple[None, float]] = []
        self.total: dict[str, float] = {}
        self.tails: dict[str, tuple[str, ...]] = {}  # each name with the wider ones
        for label, probability in probabilities.items():
            chain = rules.chain(label)
            if not chain:
                nameless.append((None, probability))
                continue
            own[chain[0]] = own.get(chain[0], 0.0) + probability
            for index, name in enumerate(chain):
                self.total[name] = self.total.get(name, 0.0) + probability
                self.tails[name] = chain[index:]
        self.ordered: list[tuple[str | None, float]] = sorted(
            [*own.items(), *nameless], key=lambda item: -item[1]
        )

    def are_related(self, name: str, other: str) -> bool:
        """Return whether one is the other's wider genre."""
        return name in self.tails[other] or other in self.tails[name]

    def narrowest(self, least: float) -> str | None:
        """Return the narrowest genre whose sum reaches a probability, or None.

        None as well where the most probable of all has no place.
        """
        reached = [name for name, probability in self.total.items() if probability >= least]
        if not reached or self.ordered[0][0] is None:
            return None
        return max(reached, key=lambda name: (len(self.tails[name]), self.total[name]))


def least_probability(card: ModelCard, min_precision: float | None = None) -> float:
    """Return the probability that a genre needs to be written.

    Args:
        card: the model's card, whose validation curve says which precision a threshold gave.
        min_precision: the share wanted of right answers; 0 takes every answer. None asks for
            PRECISION; of a model of which that was not measured, or that never reached it, the
            probability has to be PRECISION itself.

    Raises:
        ModelError: the model cannot promise the precision that is asked for.
    """
    if min_precision == 0:
        return 0.0
    if min_precision is None and not is_measured(card):
        return PRECISION
    return max(MIN_PROBABILITY, threshold_for(card, min_precision or PRECISION))


def is_measured(card: ModelCard) -> bool:
    """Return whether a model reached PRECISION on its validation tracks."""
    try:
        return threshold_for(card, PRECISION) >= 0
    except ModelError:
        return False


def threshold_in_words(card: ModelCard, min_precision: float | None) -> str:
    """Say from which probability on genres are proposed, and why from there.

    Raises:
        ModelError: the model cannot promise the precision that is asked for.
    """
    if min_precision == 0:
        return "every prediction is proposed, however improbable"
    bound = least_probability(card, min_precision)
    least = f"proposed from {percent(bound)} on"
    if min_precision is None and not is_measured(card):
        return (
            f"{least}: model {card.name!r} was never measured to be right in "
            f"{percent(PRECISION)} of cases, so its probabilities are taken at their word"
        )
    share = percent(min_precision or PRECISION)
    enough = threshold_for(card, min_precision or PRECISION)
    if enough < bound:
        whence = f"from {percent(enough)} on" if enough else "whatever the probability"
        return (
            f"{least} and never below, though {share} of the model's validation tracks were "
            f"right {whence}; --min-precision 0 proposes every prediction"
        )
    return f"{least}, where {share} of the model's validation tracks were right"


def provenance(model: ModelReference, genres: Mapping[str, float]) -> str:
    """Return what is written beside the genres: who said so, and how sure it was.

    One line of JSON: the model's name, version and the first 12 digits of its SHA-256, and the
    probability of each genre that came from it.
    """
    rounded = {name: round(probability, 3) for name, probability in genres.items()}
    said = {"model": model.name, "version": model.version, "sha256": model.sha256[:12]}
    return json.dumps({**said, "genres": rounded}, ensure_ascii=False)
