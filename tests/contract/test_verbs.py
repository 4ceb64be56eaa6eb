"""Being there is being registered, and being registered is being tested: every verb's help."""

from __future__ import annotations

import os
import pkgutil
import re
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from genrekit import __version__, cli
from genrekit.cli import main
from verb_commands import COMMANDS, OPTIONS, VERBS

HELPERS = {
    "batch_options",
    "console",
    "library_teaching",
    "library_training",
    "main",
    "options",
    "outputs",
    "proposal_options",
}
HELPERS |= {"tables", "writers"}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main.build(), list(arguments))
    return result.exit_code, result.output


# What the help of an option says in every verb that has it; the help of others is the same text.
MEANING = {
    "--data": r"\b(dataset|datasets)\b",
    "--dry-run": r"^(Show|List) .*(stop|nothing)\.$",
    "--engine": r"processes of this machine,? or on Ray",
    "--folds": r"\bfolds?\b",
    "--genre": r"\bgenre\b",
    "--jobs": r"^Worker (processes|threads)\.$",
    "--json": r"^Write .*JSON",
    "--min-precision": r"precision|only where this share of",
    "--model": r"\b[Mm]odel\b",
    "--output": r"^(Write .*|The .*|A .*)(there|file|folder|image|PNG|TSV|\.zip|\.wav)\b",
    "--segment-seconds": r"segment of this length",
    "--split": r"\bsplit|\bdivides\b",
    "--top": r"^(Show|List|Write) (at most )?this many",
}


SHARED = sorted(name for name, verbs in OPTIONS.items() if len(verbs) > 1)


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_one_type_and_one_meaning_in_every_verb(name: str) -> None:
    assert len({written for written, _ in OPTIONS[name].values()}) == 1
    if name in MEANING:
        others = {
            verb: text
            for verb, (_, text) in OPTIONS[name].items()
            if not re.search(MEANING[name], text)
        }
        assert others == {}
    else:
        assert len({text for _, text in OPTIONS[name].values()}) == 1


def test_what_a_verb_writes_is_named_by_output() -> None:
    assert not {"--out", "--to", "--destination", "--page-out", "--target"} & set(OPTIONS)
    assert {written for written, _ in OPTIONS["--output"].values()} == {"-o, --output <text>"}


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
        (["predict"], "default: (one per core)"),
        (["train"], "default: (runs/NAME-TIME)"),
        (["evaluate"], "default: (the embedded model)"),
        (["models", "verify"], "default: (every model found)"),
        (["datasets", "get"], "default: (the user's data folder)"),
    ],
)
def test_help_states_defaults(arguments: list[str], default: str) -> None:
    code, output = run(*arguments, "--help")
    assert code == 0
    assert default in " ".join(output.split())  # wherever the lines break


def test_the_first_screen_of_predict_has_the_five_options_that_matter() -> None:
    _, output = run("predict", "--help")
    first, _, rest = output.partition("Options:")[2].partition("Output format:")
    assert set(re.findall(r"--[a-z-]+", first)) == {
        *("--model", "--top", "--min-precision", "--json", "--output"),
        "--help",
    }
    assert re.findall(r"^([A-Z][a-z]+):$", rest, re.MULTILINE) == ["Processing", "Examples"]


@pytest.mark.parametrize(
    "verb",
    [
        *("predict", "evaluate", "train", "explain", "serve"),
        *("library scan", "tag plan", "models install", "datasets audit"),
    ],
)
def test_the_help_of_a_main_verb_ends_with_two_examples_that_can_be_parsed(verb: str) -> None:
    code, output = run(*verb.split(), "--help")
    assert code == 0
    examples = [line.strip() for line in output.partition("\nExamples:\n")[2].splitlines()]
    assert len(examples) == 2
    for example in examples:
        assert example.startswith(f"genrekit {verb} ")
        with COMMANDS[verb].make_context(verb, shlex.split(example)[1 + len(verb.split()) :]):
            pass  # make_context refuses what the verb does not take


@pytest.mark.parametrize("name", VERBS)
def test_an_unknown_option_is_wrong_usage(name: str) -> None:
    assert run(name, "--no-such-option")[0] == 2


@pytest.mark.parametrize("name", sorted(OPTIONS["--api-key"]))
def test_an_empty_key_is_refused(name: str) -> None:
    code, output = run(*name.split(), "--api-key", "")
    assert code == 2
    assert "the API key is empty" in " ".join(output.split())


@pytest.mark.parametrize("name", VERBS)
def test_every_command_has_a_docstring(name: str) -> None:
    module = VERBS[name]
    commands = [module.command] if hasattr(module, "command") else []
    if hasattr(module, "app"):
        assert isinstance(module.app, typer.Typer)
        commands += [info.callback for info in module.app.registered_commands]
    assert commands
    assert all(command.__doc__ for command in commands)


def test_help_lists_every_verb_with_its_summary() -> None:
    code, output = run("--help")
    assert code == 0
    listed = re.findall(r"^  ([a-z-]+)  ", output.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(VERBS)
    assert "Predict the genre of audio files, with probabilities." in output


def test_version() -> None:
    assert run("--version") == (0, f"genrekit {__version__}\n")


def test_unknown_verb_is_wrong_usage() -> None:
    assert run("sing")[0] == 2


@pytest.mark.parametrize(
    ("typed", "meant"), [("serv", "serve"), ("tgs", "tag"), ("trian", "train")]
)
def test_an_unknown_verb_names_the_nearest(typed: str, meant: str) -> None:
    code, output = run(typed)
    assert code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in output


@pytest.mark.parametrize("helper", sorted(HELPERS))
def test_a_helper_is_no_verb(helper: str) -> None:
    assert run(helper)[0] == 2


def test_a_verb_imports_no_other_verb() -> None:
    code = (
        "import sys\nfrom genrekit.cli import main\nmain.build()(['demo', '--help'], "
        "standalone_mode=False)\nprint([n for n in sys.modules if n.startswith('genrekit.cli.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    imported = done.stdout.strip().splitlines()[-1]
    shared = ["console", "options", "main", "outputs"]
    assert imported == str([f"genrekit.cli.{name}" for name in (*shared, "demo")])


def test_completion_names_the_verbs() -> None:
    request = {"_GENREKIT_COMPLETE": "complete_bash", "COMP_WORDS": "genrekit ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "genrekit"],
        env={**os.environ, **request},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert set(VERBS) <= set(done.stdout.split())
