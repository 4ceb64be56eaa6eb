"""Being there is being registered, and being registered is being tested: every verb's help."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from genrekit import __version__, cli
from genrekit.cli import main

VERBS = main.verbs()
HELPERS = {"console", "findings", "main", "options", "running", "tables", "writers"}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main.build(), list(arguments))
    return result.exit_code, result.output


def test_every_file_is_a_verb_or_a_helper() -> None:
    files = {info.name for info in pkgutil.iter_modules(cli.__path__)}
    assert {module.__name__.rpartition(".")[2] for module in VERBS.values()} == files - HELPERS


@pytest.mark.parametrize("name", VERBS)
def test_help(name: str) -> None:
    code, output = run(name, "--help")
    assert code == 0
    assert "Usage:" in output


@pytest.mark.parametrize(
    ("arguments", "default"),
    [
        (["predict"], "[default: (one a core)]"),
        (["train"], "[default: (runs/NAME-TIME)]"),
        (["evaluate"], "[default: (the embedded model)]"),
        (["models", "verify"], "[default: (every model found)]"),
        (["datasets", "get"], "[default: (the user's data folder)]"),
    ],
)
def test_help_states_defaults(
    arguments: list[str], default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # the terminal's width would break the line
    code, output = run(*arguments, "--help")
    assert code == 0
    assert default in output


@pytest.mark.parametrize("name", VERBS)
def test_an_unknown_option_is_wrong_usage(name: str) -> None:
    assert run(name, "--no-such-option")[0] == 2


@pytest.mark.parametrize("name", VERBS)
def test_every_command_has_a_docstring(name: str) -> None:
    module = VERBS[name]
    commands = [module.command] if hasattr(module, "command") else []
    if hasattr(module, "app"):
        assert isinstance(module.app, typer.Typer)
        commands += [info.callback for info in module.app.registered_commands]
    assert commands
    assert all(command.__doc__ for command in commands)


def test_version() -> None:
    assert run("--version") == (0, f"genrekit {__version__}\n")


def test_unknown_verb_is_wrong_usage() -> None:
    assert run("sing")[0] == 2


def test_completion_names_the_verbs() -> None:
    request = {"_GENREKIT_COMPLETE": "complete_bash", "COMP_WORDS": "genrekit ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "genrekit.cli.main"],
        env={**os.environ, **request},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert set(VERBS) <= set(done.stdout.split())
