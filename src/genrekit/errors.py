"""The error tree: everything genrekit raises on purpose, and the exit code of each.

    GenrekitError
    ├── AudioError      a file or waveform that cannot be decoded
    │   └── ImageError    an image that cannot be read as a spectrogram
    ├── ModelError      a model folder, card or weight file that cannot be used
    ├── DatasetError    a dataset, split or manifest that cannot be used
    ├── RecipeError     a recipe with an unknown key or a value out of range
    ├── TagError        a tag that cannot be read or written
    ├── LibraryError    a library database or plan that cannot be used
    └── RunError        a run over many files that cannot be started or continued

Every message says what was given, what is allowed and what to do. The command line prints it as one
sentence and exits with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GenrekitError(Exception):
    """Base of every error that genrekit raises on purpose."""

    exit_code = 1


class AudioError(GenrekitError):
    """A file or a waveform that cannot be decoded: unreadable, empty or not finite."""


class ImageError(AudioError):
    """An image that is damaged, or that cannot be used in place of audio."""


class ModelError(GenrekitError):
    """A model folder, card or weight file that is missing, edited or does not fit."""


class DatasetError(GenrekitError):
    """A dataset, split or manifest that is missing, ambiguous or leaks."""


class RecipeError(GenrekitError):
    """A recipe with an unknown key, a wrong type or a value out of range: wrong usage."""

    exit_code = 2


class TagError(GenrekitError):
    """A tag that cannot be read or written."""


class LibraryError(GenrekitError):
    """A library database or a plan that cannot be used."""


class BatchError(GenrekitError):
    """A run over many files whose list, output or cluster cannot be used."""


def unknown_name(kind: str, name: str, allowed: Iterable[str], listed: str = "") -> str:
    """Return a sentence on an unknown name, with the nearest allowed names.

    Args:
        kind: what the name refers to, such as "model" or "recipe key".
        name: the name given.
        allowed: every name that would have been accepted.
        listed: what to list instead, where these are too many.

    Returns:
        One sentence for an error message.

    >>> unknown_name("label", "jaz", ["jazz", "rock"])
    "unknown label 'jaz'; did you mean 'jazz'? Allowed: jazz, rock."
    >>> unknown_name("label", "xyz", ["jazz"])
    "unknown label 'xyz'; allowed: jazz."
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    listed = listed or ", ".join(names) or "none"
    if not near:
        return f"unknown {kind} {name!r}; allowed: {listed}."
    nearest = " or ".join(repr(match) for match in near)
    return f"unknown {kind} {name!r}; did you mean {nearest}? Allowed: {listed}."


def naming(path: str, reason: str) -> str:
    """Return what is wrong with a file as a sentence that names the file exactly once.

    >>> naming("a.mp3", "no audio"), naming("a.mp3", "a.mp3: no audio")
    ('a.mp3: no audio', 'a.mp3: no audio')
    """
    return reason if path in reason else f"{path}: {reason}"
