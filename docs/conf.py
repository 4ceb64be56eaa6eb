"""How Sphinx builds the documentation site: `make docs`.

The reference of the command line is what the program's own help says, the tree of genres is the
label file's, and the notebooks are those of notebooks/: all are written for each build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from genrekit import __version__, labels
from genrekit.cli import main
from genrekit.labels import LabelSet

HERE = Path(__file__).parent
ROOT = HERE.parent
GENERATED = HERE / "generated"
HELP_WIDTH = 98

project = "genrekit"
author = copyright = "The genrekit developers"
release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"  # `make notebooks` runs them
html_theme = "furo"
html_title = f"genrekit {release}"
html_favicon = "../src/genrekit/server/page/icon.svg"

myst_heading_anchors = 4  # links to headings, as GitHub makes them
myst_all_links_external = False
suppress_warnings = ["myst.strikethrough"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False


def write_reference(_: object) -> None:
    """Write the pages that are generated from the program and its data."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "cli.md").write_text(command_line(), encoding="utf-8")
    (GENERATED / "labels.md").write_text(label_sets(), encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8").replace("../docs/", "../")
        (GENERATED / path.name).write_text(text, encoding="utf-8")


def command_line() -> str:
    """Return the help of every verb as a page."""
    parts = ["# Command line", "*For command-line users: the help of every command.*"]
    parts += ["## genrekit", help_of()]
    group = typer.main.get_group(main.build())
    for verb in main.verbs():
        parts += [f"## genrekit {verb}", help_of(verb)]
        for name in getattr(group.get_command(typer.Context(group), verb), "commands", ()):
            parts += [f"### genrekit {verb} {name}", help_of(verb, name)]
    return "\n\n".join(parts) + "\n"


def help_of(*verb: str) -> str:
    """Return what a verb prints with --help, fenced."""
    found = CliRunner().invoke(
        main.build(), [*verb, "--help"], prog_name="genrekit", terminal_width=HELP_WIDTH
    )
    return f"```text\n{found.stdout.strip()}\n```"


def label_sets() -> str:
    """Return the label sets as a page: each label with its aliases, as a tree."""
    parts = [
        "# Label sets",
        "*For anyone who maps genres: every label that genrekit knows, with its other spellings.*",
        "A set is a TOML file in `src/genrekit/labels/`. A label is listed below its wider genre.",
    ]
    for name in labels.names():
        parts += [f"## {name}", "\n".join(tree(labels.label_set(name)))]
    return "\n\n".join(parts) + "\n"


def tree(known: LabelSet, above: str | None = None) -> list[str]:
    """Return the labels below one as the lines of a nested list."""
    lines = []
    for label in sorted(label for label in known.labels if known.parents.get(label) == above):
        others = known.aliases[label]
        lines.append(f"- {label}" + (f" ({', '.join(others)})" if others else ""))
        lines += [f"  {line}" for line in tree(known, label)]
    return lines


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx looks for pages."""
    app.connect("builder-inited", write_reference)
