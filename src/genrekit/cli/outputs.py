"""The --output of every verb: a name's suffix selects the format, or is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

import typer

from genrekit.cli import console
from genrekit.cli.options import option
from genrekit.files import is_playlist, playlist

Form = TypeVar("Form")
Output = TypeVar("Output", str, Path)
# Suffixes that folders do not have: such a folder would look like a file of that format.
_FILE_SUFFIXES = """
    .csv .gif .html .jpeg .jpg .json .jsonl .m3u .m3u8 .npz .onnx .pdf .png .svg .toml .tsv .txt
    .wav .xlsx .xml .yaml .yml .zip
"""
FILE_SUFFIXES = frozenset(_FILE_SUFFIXES.split())


def output_option(text: str, *suffixes: str, folder: bool = False, **settings: Any) -> Any:
    """Return --output, an option of every verb that writes.

    Args:
        text: its help.
        suffixes: what a file's name may end in; a name without a suffix is allowed too.
        folder: allow a folder, if its name does not look like a file's.
        settings: of typer.Option.
    """

    def checked(output: Output | None) -> Output | None:
        if output is not None:
            check(output, suffixes, folder=folder)
        return output

    return option(text, "--output", "-o", callback=checked, **settings)


def form(output: str | Path | None, forms: Mapping[str, Form], default: Form) -> Form:
    """Return the format selected by the name of an output.

    Args:
        output: a file; None is standard output.
        forms: the format of each suffix.
        default: the format of standard output, and of a name without a suffix.

    Raises:
        typer.BadParameter: another suffix.
    """
    if output is None or not (suffix := _suffix(str(output))):
        return default
    check(output, forms)
    return forms[suffix]


def _suffix(output: str) -> str:
    """Return the suffix in lower case; a name that ends in a slash is a folder and has none."""
    return "" if output.endswith("/") else PurePath(output).suffix.lower()


def check(output: str | Path, suffixes: Collection[str], *, folder: bool = False) -> None:
    """Refuse a name whose suffix is not allowed; a name without a suffix is.

    Args:
        output: the name.
        suffixes: what it may end in.
        folder: it may also name a folder.

    Raises:
        typer.BadParameter: it ends in another.
    """
    suffix = _suffix(str(output))
    if not suffix or suffix in suffixes:
        return
    if folder and (suffix not in FILE_SUFFIXES or Path(output).is_dir()):
        return
    allowed = (["a folder"] if folder else []) + ([_listed(suffixes)] if suffixes else [])
    raise typer.BadParameter(f"--output is {output}; give {' or '.join(allowed)}")


def _listed(suffixes: Collection[str]) -> str:
    *first, last = suffixes
    return f"a name that ends in {', '.join(first)}{' or ' * bool(first)}{last}"


def with_playlists(paths: Iterable[Path]) -> list[Path]:
    """Return folders and files, with each playlist replaced by its files.

    Files that no longer exist are named on standard error and left out.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not (is_playlist(path) and path.is_file()):
            found[path] = None
            continue
        for file in playlist(path):
            if file.exists():
                found[file] = None
            else:
                console.warn(f"{file}: listed in {path} but does not exist; left out")
    return list(found)
