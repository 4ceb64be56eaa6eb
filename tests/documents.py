"""What documents show: their blocks in order, and whether a command prints what stands below it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from in_process import genrekit

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def blocks(document: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of these languages, in order."""
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    return [content for language, content in found if language in languages]


def commands(document: Path) -> list[tuple[str, str]]:
    """Return each command of the console blocks with the output that the document shows below."""
    return [pair for block in blocks(document, "console") for pair in commands_of(block)]


def commands_of(block: str) -> list[tuple[str, str]]:
    """Return the commands of one block with what is shown below each."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]


def follow(
    document: Path,
    folder: Path,
    left_out: Collection[str] = (),
    alike: Callable[[str], str] = str,
    **environment: str,
) -> int:
    """Do what a tutorial says, in order, and check what is shown.

    Args:
        document: its console blocks and its Python run.
        folder: where they run.
        left_out: commands with one of these words are not run.
        alike: takes out of an output what differs for other music than the tutorial's.
        environment: beside the test's own.

    Returns:
        How many commands ran.
    """
    n_commands = 0
    for block in blocks(document, "console", "python"):
        pairs = commands_of(block)
        for command, shown in pairs:
            if not set(left_out) & set(shlex.split(command)):
                check(command, shown, folder, alike, **environment)
                n_commands += 1
        if not pairs:
            script = folder / "snippet.py"
            script.write_text(block, encoding="utf-8")
            subprocess.run([sys.executable, script.name], cwd=folder, check=True)
    return n_commands


def check(
    command: str,
    shown: str,
    folder: Path,
    alike: Callable[[str], str] = str,
    **environment: str,
) -> None:
    """Run a command: it succeeds, and prints the lines shown; ``...`` stands for any lines."""
    words = shlex.split(command)
    if words[0] == "genrekit":
        done = genrekit(*words[1:], cwd=folder, **environment)
        assert done.returncode == 0, f"{command}: {done.output}"
        printed = done.output
    else:
        other = subprocess.run(  # noqa: S602
            command, shell=True, cwd=folder, check=True, capture_output=True, text=True
        )
        printed = other.stdout
    if shown:
        pattern = re.escape(alike(shape(shown))).replace(r"\.\.\.", r"(?s:.*)")
        assert re.fullmatch(pattern, alike(shape(printed))), f"{command}:\n{printed}"


def shape(printed: str) -> str:
    """Leave out what may differ in the last digit from one processor to another."""
    bars = re.sub(r"[█░#]{3,}|(?<=\d)\.{3,}", "BAR", re.sub(r"\d+(\.\d+)?", "N", printed))
    trimmed = re.sub(r" +$", "", bars.strip(), flags=re.MULTILINE)
    return re.sub(r" {2,}|\n\n+", lambda run: run[0][0], trimmed)
