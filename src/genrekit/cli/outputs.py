"""--output of every verb: a name's suffix chooses the form of what is written, or is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

import typer

from genrekit.cli.options import option

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

    def check(output: Output | None) -> Output | None:
        if output is not None:
            _refuse(str(output), suffixes, folder)
        return output

    return option(text, "--output", "-o", callback=check, **settings)


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
    _refuse(str(output), forms, folder=False)
    return forms[suffix]


def _suffix(output: str) -> str:
    """Return the suffix in lower case; a name that ends in a slash is a folder and has none."""
    return "" if output.endswith("/") else PurePath(output).suffix.lower()


def _refuse(output: str, suffixes: Collection[str], folder: bool) -> None:
    suffix = _suffix(output)
    if not suffix or suffix in suffixes:
        return
    if folder and (suffix not in FILE_SUFFIXES or Path(output).is_dir()):
        return
    allowed = (["a folder"] if folder else []) + ([_listed(suffixes)] if suffixes else [])
    raise typer.BadParameter(f"--output is {output}; give {' or '.join(allowed)}")


def _listed(suffixes: Collection[str]) -> str:
    *first, last = suffixes
    return f"a name that ends in {', '.join(first)}{' or ' * bool(first)}{last}"
