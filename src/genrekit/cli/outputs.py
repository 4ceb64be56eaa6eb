"""--output of every verb: a name's suffix chooses the form of what is written, or is refused."""

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
# What no folder is called by habit: a folder named so would look like a file of that form.
_FILE_SUFFIXES = """
    .csv .gif .html .jpeg .jpg .json .jsonl .m3u .m3u8 .npz .onnx .pdf .png .svg .toml .tsv .txt
    .wav .xlsx .xml .yaml .yml .zip
"""
FILE_SUFFIXES = frozenset(_FILE_SUFFIXES.split())


def output_option(text: str, *suffixes: str, folder: bool = False, **settings: Any) -> Any:
    """Return --output, which every verb that writes has.

    Args:
        text: its help.
        suffixes: what a file's name may end in; a name without any suffix is good too.
        folder: a folder may be named, whose name does not look like a file's.
        settings: of typer.Option.
    """

    def checked(output: Output | None) -> Output | None:
        if output is not None:
            check(output, suffixes, folder=folder)
        return output

    return option(text, "--output", "-o", callback=checked, **settings)


def form(output: str | Path | None, forms: Mapping[str, Form], default: Form) -> Form:
    """Return the form that the name of an output chooses.

    Args:
        output: a file; None is standard output.
        forms: what each suffix stands for.
        default: the form of standard output, and of a name without a suffix.

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
    """Refuse a name whose suffix is none of those allowed; one without a suffix is good.

    Args:
        output: the name.
        suffixes: what it may end in.
        folder: it may be that of a folder, too.

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
    """Return folders and files with the files of a playlist in its place.

    Those that are not there any more are named on standard error and left out.
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
                console.warn(f"{file}: {path} names it, and it is not there; left out")
    return list(found)
