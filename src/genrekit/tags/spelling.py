"""How genres may be spelled in tags and folder names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from genrekit.labels import label_set, names, spelling, wider

_BETWEEN = re.compile(r"[/,;|&+]| - ")  # the names in "Reggae - Dub" and "Rock/Pop"


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
    parts = _BETWEEN.split(name)
    return set().union(*(meant(part, known) for part in parts)) if len(parts) > 1 else set()
