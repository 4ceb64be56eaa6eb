"""Label sets: the spelling of each genre, and its aliases.

A set is a TOML file in ``genrekit/labels/``; adding one needs no other change.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from genrekit.errors import DatasetError, unknown_name

FOLDER = Path(__file__).parent / "labels"
# Names that mean no particular artist, by their spelling.
_NO_ARTIST = {"", "?", "-", "na", "none", "noartist", "unknown", "unknownartist"} | {
    "va", "various", "variousartists", "compilation", "compilations"
}  # fmt: skip


@dataclass(frozen=True)
class LabelSet:
    """Labels, each with one spelling, their aliases, and the wider genre of each if known.

    ``display_names`` holds the names for people and tags that are not the capitalised label.

    Raises:
        DatasetError: a spelling belongs to two labels, or the genres do not form a tree.
    """

    name: str
    aliases: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, str] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._spellings()
        try:
            TopologicalSorter({label: {wider} for label, wider in self.parents.items()}).prepare()
        except CycleError as error:
            raise DatasetError(
                f"label set {self.name!r}: {' < '.join(error.args[1])} form a cycle; a genre "
                "cannot be its own wider genre"
            ) from error
        named = {*self.parents, *self.parents.values(), *self.display_names}
        for label in sorted(named - set(self.aliases)):
            raise DatasetError(unknown_name(f"{self.name} label", label, self.labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the file."""
        return tuple(self.aliases)

    def canonical(self, name: str) -> str:
        """Return the label of a spelling, ignoring case, spaces and punctuation.

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
        for label, others in self.aliases.items():
            for key in map(spelling, (label, *others)):
                if found.setdefault(key, label) != label:
                    raise DatasetError(
                        f"label set {self.name!r}: {key!r} means both {found[key]!r} and "
                        f"{label!r}; a spelling may belong to one label only"
                    )
        return found


def spelling(name: str) -> str:
    r"""Return a name without case, spaces and punctuation, and with composed letters (NFC).

    >>> spelling("Hip-Hop") == spelling("hip hop")
    True
    >>> spelling("caf\u00e9") == spelling("cafe\u0301")
    True
    """
    return "".join(character for character in composed(name).casefold() if character.isalnum())


def composed(name: str) -> str:
    """Return a name with composed letters (Unicode NFC), unlike the file names of macOS."""
    return unicodedata.normalize("NFC", name)


def artist_group(artist: str) -> str | None:
    """Return an artist's key in splits; None for names that mean no particular artist.

    >>> artist_group("The  Beatles") == artist_group("the beatles")
    True
    """
    group = spelling(artist) or artist.strip().casefold()
    return None if group in _NO_ARTIST else group


def wider(genre: str) -> list[str]:
    """Return the wider genres of a genre, nearest first, by the trees of all label sets.

    >>> wider("Thrash Metal")
    ['metal', 'rock']
    >>> wider("rock"), wider("no such genre")
    ([], [])
    """
    found: list[str] = []
    while (parent := _parents().get(spelling(found[-1] if found else genre))) is not None:
        found.append(parent)
    return found


def is_known(genre: str) -> bool:
    """Return whether a spelling is in any label set."""
    return any(genre in label_set(name) for name in names())


def is_placeholder(name: str) -> bool:
    """Return whether a genre tag names no genre, as "Other", "Unknown", "12" and "-" do.

    >>> is_placeholder("Unknown"), is_placeholder("(12)"), is_placeholder("Jazz")
    (True, True, False)
    """
    spelled = spelling(name)
    return not spelled or spelled.isdecimal() or spelled in _listed("placeholders")


def is_not_music(label: str) -> bool:
    """Return whether a model's label means sound that is not music.

    >>> is_not_music("not music"), is_not_music("jazz")
    (True, False)
    """
    return spelling(label) in _listed("not_music")


@cache
def _listed(name: str) -> frozenset[str]:
    """Return the spellings in a list of one per line."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(spelling(line) for line in lines if not line.startswith("#"))


def display_name(label: str) -> str:
    """Return the name of a label for people and tags.

    Label sets hold the names that are not just the capitalised label; a label that already has a
    capital is kept as it is.

    >>> display_name("hiphop"), display_name("rnb"), display_name("drum & bass")
    ('Hip-Hop', 'R&B', 'Drum and Bass')
    >>> display_name("doo-wop"), display_name("my own"), display_name("EBM")
    ('Doo-Wop', 'My Own', 'EBM')
    """
    return _display_names().get(spelling(label)) or _with_capitals(label)


def meaning(name: str) -> str:
    """Return a key that all spellings of a genre share, across all label sets.

    >>> meaning("Hip-Hop") == meaning("rap") == meaning("hiphop"), meaning("Rock") == meaning("Pop")
    (True, False)
    """
    spelled = spelling(name)
    return _meanings().get(spelled, spelled)


def _with_capitals(label: str) -> str:
    """Return a label with capitals, or unchanged if it already has one."""
    if label != label.casefold():
        return label
    small = {"a", "and", "in", "of", "the"}
    words = re.split(r"(?<=[\s/&-])", label)
    return "".join(
        word if index and word.strip() in small else word[:1].upper() + word[1:]
        for index, word in enumerate(words)
    )


@cache
def _display_names() -> dict[str, str]:
    """Return the display name of every spelling in a label set."""
    found: dict[str, str] = {}
    for known in _sets():
        for label, others in known.aliases.items():
            name = known.display_names.get(label) or _with_capitals(label)
            for spelled in (label, *others):
                found.setdefault(spelling(spelled), name)
    return found


@cache
def _meanings() -> dict[str, str]:
    """Return, for every spelling, the representative of all spellings of the same genre."""
    found: dict[str, str] = {}
    for known in _sets():
        for label, others in known.aliases.items():
            keys = [spelling(spelled) for spelled in (label, *others)]
            first = next((found[key] for key in keys if key in found), keys[0])
            for key in keys:
                found.setdefault(key, first)
    return found


def _sets() -> list[LabelSet]:
    """Return all label sets, that of the common genres first."""
    return [label_set(name) for name in sorted(names(), key=lambda name: name != "common")]


@cache
def _parents() -> dict[str, str]:
    """Return the wider genres of the spellings that have one."""
    sets = [label_set(name) for name in names()]
    return {
        spelling(spelled): parent
        for known in sets
        for label, parent in known.parents.items()
        for spelled in (label, *known.aliases[label])
    }


def names() -> list[str]:
    """Return the names of the label sets that come with genrekit."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def label_set(name: str) -> LabelSet:
    """Return one of the label sets that come with genrekit.

    Raises:
        DatasetError: no set has this name, or its file is malformed.
    """
    if name not in names():
        raise DatasetError(unknown_name("label set", name, names()))
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> LabelSet:
    """Read a label set from a TOML file.

    It holds ``name``, a table ``aliases`` of lists, and optionally the tables ``parents`` (wider
    genres of labels) and ``display_names`` (names of labels for people).

    Raises:
        DatasetError: the file is not TOML or is malformed.
        OSError: the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is not a TOML file: {error}") from error
    name, aliases = content.pop("name", None), content.pop("aliases", None)
    tables = {key: content.pop(key, {}) for key in ("parents", "display_names")}
    if not isinstance(name, str) or not isinstance(aliases, dict) or content:
        raise DatasetError(
            f"{path}: a label set has exactly `name`, a table `aliases`, and optionally "
            "`parents` and `display_names`"
        )
    wrong = [label for label, others in aliases.items() if not _is_strings(others)]
    if wrong or not aliases:
        raise DatasetError(f"{path}: `aliases` gives each label a list of strings; see {wrong}")
    for key, what in (("parents", "one label"), ("display_names", "one name")):
        if not isinstance(tables[key], dict) or not _is_strings([*tables[key].values()]):
            raise DatasetError(f"{path}: `{key}` gives labels {what} each")
    spelled = {label: tuple(others) for label, others in aliases.items()}
    return LabelSet(name, spelled, **tables)


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
