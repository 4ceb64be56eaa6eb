"""How genres may be spelled in tags and folder names."""

from __future__ import annotations

from collections.abc import Iterable

from genrekit.labels import label_set, names, spelling


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
