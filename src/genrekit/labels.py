"""Label sets: how each genre is spelled, and which other spellings mean it.

A set is a TOML file in ``genrekit/labels/``; adding one edits nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from genrekit.errors import DatasetError, unknown_name

FOLDER = Path(__file__).parent / "labels"


@dataclass(frozen=True)
class LabelSet:
    """Labels, each spelled once, and their aliases.

    Raises:
        DatasetError: one spelling stands for two labels.
    """

    name: str
    aliases: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        self._spellings()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the file."""
        return tuple(self.aliases)

    def canonical(self, name: str) -> str:
        """Return the label that a spelling stands for; case, spaces and punctuation do not count.

        Raises:
            DatasetError: no label has this spelling; the message names the nearest ones.

        >>> label_set("gtzan").canonical("Hip Hop")
        'hiphop'
        """
        label = self._spellings().get(spelling(name))
        if label is None:
            raise DatasetError(unknown_name(f"{self.name} label", name, self.labels))
        return label

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and spelling(name) in self._spellings()

    def _spellings(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, label in self._pairs():
            if found.setdefault(key, label) != label:
                raise DatasetError(
                    f"label set {self.name!r}: {key!r} stands for both {found[key]!r} and "
                    f"{label!r}; a spelling may belong to one label only"
                )
        return found

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for label, others in self.aliases.items():
            for name in (label, *others):
                yield spelling(name), label


def spelling(name: str) -> str:
    """Return a name without case, spaces and punctuation, to compare names by.

    >>> spelling("Hip-Hop") == spelling("hip hop")
    True
    """
    return "".join(character for character in name.casefold() if character.isalnum())


def names() -> list[str]:
    """Return the names of the label sets that come with genrekit."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def label_set(name: str) -> LabelSet:
    """Return one of the label sets that come with genrekit.

    Raises:
        DatasetError: no set has this name, or its file has another form.
    """
    if name not in names():
        raise DatasetError(unknown_name("label set", name, names()))
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> LabelSet:
    """Read a label set from a TOML file: ``name`` and a table ``aliases`` of lists.

    Raises:
        DatasetError: the file is not TOML or has another form.
        OSError: the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is not a TOML file: {error}") from error
    name, aliases = content.get("name"), content.get("aliases")
    if (
        not isinstance(name, str)
        or not isinstance(aliases, dict)
        or set(content) - {"name", "aliases"}
    ):
        raise DatasetError(f"{path}: a label set holds exactly `name` and a table `aliases`")
    wrong = [label for label, others in aliases.items() if not _is_strings(others)]
    if wrong or not aliases:
        raise DatasetError(f"{path}: `aliases` gives each label a list of strings; see {wrong}")
    return LabelSet(name, {label: tuple(others) for label, others in aliases.items()})


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
