"""The label sets as the canonical tree and the whitelist of beets' plugin lastgenre.

lastgenre compares names in lower case. A Last.fm tag becomes the nearest genre above it in the tree
that is on the whitelist, so aliases of a genre are below it in the tree, and only there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from genrekit import files, labels

TREE, WHITELIST = "genrekit-tree.yaml", "genrekit-genres.txt"


def write(folder: Path) -> tuple[Path, Path]:
    """Write the tree and the whitelist into a folder, and return their paths.

    Raises:
        OSError: the folder cannot be written.
    """
    below, spellings = _nodes()
    with files.write_beside(folder / TREE, "w") as stream:
        stream.writelines(_lines(None, below, spellings, 0))
    with files.write_beside(folder / WHITELIST, "w") as stream:
        stream.writelines(f"{name}\n" for name in sorted(spellings))
    return folder / TREE, folder / WHITELIST


def _nodes() -> tuple[dict[str | None, set[str]], dict[str, set[str]]]:
    """Return the genres below each genre, and the aliases of each."""
    below: dict[str | None, set[str]] = {}
    spellings: dict[str, set[str]] = {}
    for known in map(labels.label_set, labels.names()):
        for label, others in known.aliases.items():
            name = labels.display_name(label).lower()
            wider = labels.wider(label)
            parent = labels.display_name(wider[0]).lower() if wider else None
            below.setdefault(parent, set()).add(name)
            spelled = {other.lower() for other in (label, *others)} - {name}
            spellings.setdefault(name, set()).update(spelled)
    return below, spellings


def _lines(
    genre: str | None,
    below: dict[str | None, set[str]],
    spellings: dict[str, set[str]],
    depth: int,
) -> Iterator[str]:
    """Yield the YAML lines below a genre; JSON strings are valid YAML."""
    others = set() if genre is None else spellings[genre] - set(spellings)
    indent = "    " * depth
    for name in sorted(below.get(genre, set()) | others):
        has_some = name in below or (name not in others and spellings[name] - set(spellings))
        yield f"{indent}- {json.dumps(name, ensure_ascii=False)}{':' if has_some else ''}\n"
        if has_some:
            yield from _lines(name, below, spellings, depth + 1)
