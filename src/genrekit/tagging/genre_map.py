"""The user's own list of genres, or one that comes with genrekit, and how labels map to it.

A list is a TOML file; those in ``genrekit/tagging/maps`` have names, and adding one needs no other
change.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator

from genrekit import labels
from genrekit.errors import LibraryError, unknown_name
from genrekit.labels import spelling

FOLDER = Path(__file__).parent / "maps"


class GenreMap(BaseModel):
    """The user's own list of genres, and the mapping of a model's labels to it.

    Attributes:
        genres: each of the user's names with the labels that it covers; a name always covers
            itself.
        drop: labels that are never written.
        roll_up: map a label that is not listed to the nearest listed one of its wider genres.
        keep_others: a label without a name keeps its own; otherwise it is not written.
        parents: the wider names of names; if empty, the tree of the label sets is used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    genres: dict[str, tuple[str, ...]]
    drop: tuple[str, ...] = ()
    roll_up: bool = True
    keep_others: bool = False
    parents: dict[str, str] = {}
    _named: dict[str, str] = PrivateAttr(default_factory=dict)
    _dropped: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _is_a_tree(self) -> GenreMap:
        for name in sorted({*self.parents, *self.parents.values()} - set(self.genres)):
            raise ValueError(unknown_name("genre in parents", name, self.genres))
        try:
            TopologicalSorter({name: {parent} for name, parent in self.parents.items()}).prepare()
        except CycleError as error:
            raise ValueError(
                f"{' < '.join(error.args[1])} form a cycle; a genre cannot be its own wider genre"
            ) from error
        return self

    def model_post_init(self, context: object) -> None:
        """Index the names by all spellings with the same meaning."""
        del context
        every = [(genre, label) for genre in self.genres for label in (genre, *self.genres[genre])]
        for key in (spelling, labels.meaning):
            for genre, label in every:
                self._named.setdefault(key(label), genre)
        self._dropped = frozenset(map(labels.meaning, self.drop))

    def chain(self, label: str) -> tuple[str, ...]:
        """Return a label's name in the list, then the list's names of its wider genres.

        Empty if the label has none.
        """
        if labels.meaning(label) in self._dropped:
            return ()
        wider = labels.wider(label) if self.roll_up else []
        named = [name for genre in (label, *wider) if (name := self.spelled(genre))]
        if not named and self.keep_others:
            return (labels.display_name(label),)
        if self.parents and named:
            named = [named[0]]
            while named[-1] in self.parents:
                named.append(self.parents[named[-1]])
        return tuple(dict.fromkeys(named))

    def spelled(self, genre: str) -> str | None:
        """Return a genre's own name in the list, ignoring its wider genres."""
        return self._named.get(spelling(genre)) or self._named.get(labels.meaning(genre))

    def check(self, known: Iterable[str]) -> None:
        """Refuse labels unknown to the model and all label sets: they are misspelled.

        Raises:
            LibraryError: one is unknown, or one label belongs to two names.
        """
        known = list(known)
        spelled = {spelling(label) for label in known}
        for label in [*self.drop, *(label for others in self.genres.values() for label in others)]:
            if spelling(label) not in spelled and not labels.is_known(label):
                raise LibraryError(f"mapping: {unknown_name('label', label, known)}")
        found: dict[str, str] = {}
        for name, others in self.genres.items():
            for label in (name, *others):
                if found.setdefault(spelling(label), name) != name:
                    raise LibraryError(
                        f"mapping: {label!r} belongs to both {found[spelling(label)]!r} and "
                        f"{name!r}; keep it in one of them"
                    )


def names() -> list[str]:
    """Return the names of the lists that come with genrekit."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_map(path: Path) -> GenreMap:
    """Read a mapping from a TOML file, whose keys are GenreMap's, or by its name.

    Raises:
        LibraryError: there is no such mapping, it is not TOML, or is malformed.
        OSError: it cannot be read.
    """
    if os.fspath(path) in names():
        path = FOLDER / f"{path}.toml"
    elif not path.suffix and not path.exists():
        raise LibraryError(
            f"{unknown_name('mapping', os.fspath(path), names())}; or give your own TOML file"
        )
    try:
        return GenreMap.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise LibraryError(f"{path}: is not a mapping ({reasons}); see docs/tagging.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LibraryError(f"{path}: is not a TOML file: {error}") from error
