"""The command line in this process, for tests of what it does rather than of the process."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from genrekit.cli.main import build


@dataclass(frozen=True)
class Done:
    """What a finished command gave, named as subprocess names it; ``output`` is all, in order."""

    returncode: int
    stdout: str
    stderr: str
    stdout_bytes: bytes
    output: str


def genrekit(
    *arguments: object, cwd: Path | None = None, stdin: bytes = b"", **environment: str
) -> Done:
    """Run ``genrekit ARGUMENTS`` in a folder; an unexpected exception is raised."""
    with contextlib.chdir(cwd or Path.cwd()):
        result = CliRunner().invoke(
            build(), [_text(its) for its in arguments],
            input=stdin, env=environment, prog_name="genrekit",
        )  # fmt: skip
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr, result.stdout_bytes, result.output)


def _text(argument: object) -> str:
    return os.fspath(argument) if isinstance(argument, os.PathLike) else str(argument)
