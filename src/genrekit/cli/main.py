"""The entry point: find the verbs, run one, turn errors into one sentence and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import sys
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from genrekit import __version__, cli
from genrekit.cli import console
from genrekit.errors import GenrekitError

INTERRUPTED = 130


class Verbs(TyperGroup):
    """The group of all verbs: expected errors end in one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb.

        Raises:
            typer.Exit: with the error's exit code, or 130 after Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except (GenrekitError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                _forget_stdout()
                raise typer.Exit(1) from error
            sentence = console.printable(" ".join(str(error).split()))
            sys.stderr.write(f"genrekit: error: {sentence}\n")
            raise typer.Exit(getattr(error, "exit_code", 1)) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error


def _forget_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"genrekit {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hear what genre music is."""


def verbs() -> dict[str, ModuleType]:
    """Return every module of genrekit.cli that is a verb, by the verb's name."""
    modules = {}
    for info in pkgutil.iter_modules(cli.__path__):
        if info.name == "main":
            continue
        module = importlib.import_module(f"genrekit.cli.{info.name}")
        if hasattr(module, "command") or hasattr(module, "app"):
            modules[info.name.replace("_", "-")] = module
    return modules


def build() -> typer.Typer:
    """Return the application with every verb registered."""
    application = typer.Typer(cls=Verbs, no_args_is_help=True, pretty_exceptions_enable=False)
    application.callback()(root)
    for name, module in verbs().items():
        if hasattr(module, "command"):
            application.command(name)(module.command)
        else:
            application.add_typer(module.app, name=name)
    return application


def main() -> None:
    """Run the command line and exit.

    File names that are not valid text and characters that the terminal cannot show are written
    with backslashes instead of failing.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        build()(prog_name="genrekit")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
