"""Every verb of the command line, with its commands and their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from genrekit.cli import main

VERBS = main.verbs()


def leaves(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that name it."""
    children = getattr(command, "commands", {})
    for word, child in children.items():
        yield from leaves(child, f"{words} {word}")
    if not children:
        yield words, command


GROUP = typer.main.get_group(main.build())
COMMANDS = {
    words: command
    for verb in VERBS
    for words, command in leaves(GROUP.get_command(None, verb), verb)
}
TEXT = re.compile(r"<(?:str|path|list\[str\])>")  # a name, a path, or several


def options() -> dict[str, dict[str, tuple[str, str]]]:
    """Return how each option is written and what its help says, by verb."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for words, command in COMMANDS.items():
        context = command.make_context(words, [], resilient_parsing=True)
        for option in command.params:
            if option.param_type_name == "option":
                written = TEXT.sub("<text>", option.get_help_record(context)[0])
                found.setdefault(max(option.opts, key=len), {})[words] = written, option.help
    return found


OPTIONS = options()
