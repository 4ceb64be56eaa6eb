"""What the documents show is true: their commands and Python run, their scripts exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import documents
import genrekit as genrekit_package
from genrekit import demo
from genrekit.models import registry
from in_process import genrekit

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
RUNNABLE = [ROOT / "README.md", ROOT / "docs" / "index.md"]
needs_model = pytest.mark.skipif(
    not registry.embedded_folder().is_dir(), reason="no model is embedded in this checkout"
)


@needs_model
@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: path.name)
def test_the_commands_run_in_order_and_print_what_the_document_shows(
    document: Path, tmp_path: Path
) -> None:
    ours = [pair for pair in documents.commands(document) if pair[0].startswith("genrekit ")]
    assert ours
    for command, shown in ours:
        documents.check(command, shown, tmp_path)


@needs_model
@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: path.name)
def test_the_python_runs(
    document: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    demo.write(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    snippets = documents.blocks(document, "python")
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, document.name, "exec"), {})  # noqa: S102
    assert capsys.readouterr().out


def test_the_first_sentence_everywhere_says_what_the_program_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n\n")[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shown = genrekit("--help").stdout.partition("\n\n")[2].strip()
    for text in (readme, project["description"], shown, genrekit_package.__doc__ or ""):
        assert text.startswith("Music genre classification of audio files, offline")


def test_the_readme_shows_install_and_a_prediction_by_line_15() -> None:
    top = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:15])
    assert "pip install" in top
    assert "genrekit predict" in top


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_and_script_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", text)) <= rules
    scripts = re.findall(r"(?:scripts|benchmarks)/\w+(?:\.py)?", text)
    assert [script for script in scripts if not (ROOT / script).exists()] == []
