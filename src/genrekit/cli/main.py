"""The entry point: find the verb, run it, turn errors into one sentence and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from genrekit import __version__, cli
from genrekit.cli import console, options
from genrekit.errors import GenrekitError
from genrekit.files import AUDIO_SUFFIXES

INTERRUPTED = 130
# Help as plain text: importing rich and drawing its frames is half of the time that help takes.
PLAIN = None
HELP_WIDTH = 120  # at most; narrower on a narrower terminal
START = """Music genre classification of audio files, offline. The most common commands:

  genrekit predict song.mp3           the genre of a file or a folder, with probabilities
  genrekit serve                      the same in the browser, and over HTTP
  genrekit tag plan Music -o p.jsonl  genres for a library: plan, review, apply, undo
  genrekit train --data MyGenres      a model for your own genres, one folder per genre
  genrekit explain song.mp3           which seconds and frequencies support the genre

No music at hand? genrekit demo writes three tracks. All commands: genrekit --help"""
EXAMPLES = "\n\nExamples:\n"  # in a verb's docstring: the rest is shown at the end of its help


class Command(TyperCommand):
    """A verb whose help has its options in sections and its examples at the end.

    An option's section is its ``rich_help_panel``; those without one come first, as "Options".
    A flag that is off by default has no --no-FLAG.
    """

    def __init__(self, name: str | None, *, help: str | None = None, **settings: Any) -> None:
        text, _, examples = (help or "").partition(EXAMPLES)
        super().__init__(name, help=text, **settings)
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        for parameter in self.params:
            if parameter.default is False:
                parameter.secondary_opts = []

    def invoke(self, ctx: Any) -> Any:
        """Run the verb, unless it was given a URL in place of a file.

        Raises:
            typer.BadParameter: a URL; a verb's TAKES_URLS names the parameters that may be one.
        """
        module = sys.modules.get(getattr(self.callback, "__module__", ""))
        allowed = getattr(module, "TAKES_URLS", ())
        given = [value for name, value in ctx.params.items() if name not in allowed]
        options.refuse_urls(
            one for value in given for one in (value if isinstance(value, list) else [value])
        )
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options section by section."""
        sections: dict[str, list[Any]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None) or "Options"
                sections.setdefault("Arguments" if is_argument else panel, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, each on a line of its own."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")


class Verbs(TyperGroup):
    """The group of all verbs: each is imported when it is requested.

    Expected errors end in one line on standard error.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(verbs())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one verb and return its command; None if there is none of this name."""
        del ctx
        module = _verb(cmd_name)
        if module is None:
            return None
        alone = typer.Typer(rich_markup_mode=PLAIN)
        alone.callback()(root)  # so that one command stays a group of one
        if hasattr(module, "command"):
            alone.command(cmd_name, cls=Command)(module.command)
        else:
            for registered in module.app.registered_commands:
                registered.cls = Command
            alone.add_typer(module.app, name=cmd_name)
        return typer.main.get_group(alone).commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs by the first line of their help; their options are not read."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(module)) for name, module in verbs().items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb named by the first argument; a path alone means ``predict``.

        Raises:
            UsageError: there is none; the message suggests the nearest of self.commands.
        """
        if _verb(args[0]) is None and _is_input(args[0]):
            args = ["predict", *args]
        if _verb(args[0]) is None:
            self.commands = {name: self.get_command(ctx, name) for name in verbs()}
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb.

        Raises:
            typer.Exit: with the error's exit code, or 130 after Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except (GenrekitError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                # Nothing is written any more, so that the interpreter's last flush cannot fail.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(1) from error
            _fail(str(error))
            raise typer.Exit(getattr(error, "exit_code", 1)) from error
        except ModuleNotFoundError as error:
            from genrekit import extras

            sentence = extras.sentence_of(f"genrekit {ctx.invoked_subcommand}", error)
            if sentence is None:
                raise
            _fail(sentence)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error


def _fail(sentence: str) -> None:
    """Write an error as one line, on standard error."""
    sys.stderr.write(f"genrekit: error: {console.printable(' '.join(sentence.split()))}\n")


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"genrekit {__version__}")
        raise typer.Exit


def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Music genre classification of audio files, offline."""
    if ctx.invoked_subcommand is None:
        typer.echo(START)


def verbs() -> dict[str, ModuleType]:
    """Return every module of genrekit.cli that is a verb, by the verb's name."""
    found = {file.replace("_", "-"): _verb(file) for file in _files()}
    return {name: module for name, module in found.items() if module}


def _verb(name: str) -> ModuleType | None:
    """Import a verb's module; None if there is no such module, or it is only a helper."""
    file = name.replace("-", "_")
    if file == "main" or file not in _files():
        return None
    module = importlib.import_module(f"genrekit.cli.{file}")
    return module if hasattr(module, "command") or hasattr(module, "app") else None


@cache
def _files() -> tuple[str, ...]:
    """Return the names of the modules of genrekit.cli."""
    return tuple(info.name for info in pkgutil.iter_modules(cli.__path__))


def _is_input(text: str) -> bool:
    """Return whether a text in place of a verb is an input of `predict`: a file or a folder."""
    is_audio = Path(text).suffix.lower() in AUDIO_SUFFIXES
    return is_audio or options.is_url(text) or os.path.exists(text)  # noqa: PTH110 - any text


def _summary(module: ModuleType) -> str:
    text = module.command.__doc__ if hasattr(module, "command") else module.app.info.help
    return str(text).strip().partition("\n")[0]


def build() -> typer.Typer:
    """Return the application; it imports its verbs on demand."""
    application = typer.Typer(
        cls=Verbs,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=PLAIN,
        context_settings={"max_content_width": HELP_WIDTH},
    )
    application.callback()(root)
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
