"""How genres may be spelled in tags and names of folders."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from genrekit.labels import (
    is_known,
    is_placeholder,
    label_set,
    meaning,
    names,
    spelling,
    wider,
)

BETWEEN = re.compile(r"[/,;|&+]| - ")  # the names in "Reggae - Dub" and "Rock/Pop"
_NUMBER = re.compile(r"\(?(\d{1,3})\)?")


def spellings(labels: Iterable[str]) -> dict[str, str]:
    """Return spelling -> label for some labels, with the aliases that any label set has for them.

    >>> spellings(["hiphop"])["rap"]
    'hiphop'
    """
    found = {spelling(label): label for label in labels}
    for name in names():
        for label, others in label_set(name).aliases.items():
            known = [found[key] for key in map(spelling, (label, *others)) if key in found]
            for other in (label, *others) if known else ():
                found.setdefault(spelling(other), known[0])
    return found


def meant(name: str, known: Mapping[str, str]) -> set[str]:
    """Return the labels that a tag or a folder's name stands for.

    A name that is no label stands for the nearest of its wider genres that is one; a name of
    several for what each of them stands for.

    Args:
        name: in any spelling.
        known: spelling -> label, as spellings returns.

    >>> known = spellings(["hiphop", "metal", "rock", "reggae", "blues"])
    >>> sorted(meant("Rap", known)), sorted(meant("Thrash Metal", known))
    (['hiphop'], ['metal'])
    >>> sorted(meant("Reggae - Blues", known)), meant("Spoken", known)
    (['blues', 'reggae'], set())
    """
    for genre in (name, *wider(name)):
        if spelling(genre) in known:
            return {known[spelling(genre)]}
    parts = BETWEEN.split(name)
    return set().union(*(meant(part, known) for part in parts)) if len(parts) > 1 else set()


def in_words(genre: str) -> str:
    """Return the name that one of ID3's numbers stands for, or the genre as it is.

    Source: Winamp's list, as mutagen has it.

    >>> in_words("(17)"), in_words("17"), in_words("House"), in_words("999")
    ('Rock', 'Rock', 'House', '999')
    """
    found = _NUMBER.fullmatch(genre.strip())
    if not found:
        return genre
    from mutagen.id3 import TCON

    return TCON.GENRES[int(found[1])] if int(found[1]) < len(TCON.GENRES) else genre


def without_placeholders(genres: Sequence[str], more: Collection[str] = ()) -> tuple[str, ...]:
    """Return the genres of a tag that are real ones; "Other" and "Unknown" are not.

    Args:
        genres: as the tag spells them.
        more: names that the user counts as placeholders, in any spelling.

    >>> without_placeholders(["Other", "12", "Rock", "???"]), without_placeholders(["Rip"], ["rip"])
    (('Rock',), ())
    """
    none = set(map(spelling, more))
    return tuple(
        genre
        for genre in genres
        if not is_placeholder(in_words(genre)) and spelling(genre) not in none
    )


def says(genre: str, name: str) -> bool:
    """Return whether a tag's genre means a name: by any spelling, or as a narrower genre.

    >>> says("Hip Hop/Rap", "Hip-Hop"), says("Thrash Metal", "Rock"), says("(7)", "hiphop")
    (True, True, True)
    >>> says("Rock", "Metal"), says("Jazz", "Rock")
    (False, False)
    """
    genre, key = in_words(genre), meaning(name)
    if key in map(meaning, (genre, *wider(genre))):
        return True
    parts = [part.strip() for part in BETWEEN.split(genre)] if not is_known(genre) else []
    return any(says(part, name) for part in parts if part) if len(parts) > 1 else False
