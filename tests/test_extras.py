"""What is missing is installed by one sentence that fits how genrekit came here."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from genrekit import extras

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OF_LIBRARIES = {"h11", "scipy", "starlette"}  # uvicorn, scikit-learn and fastapi bring them


class Installed:
    """A distribution whose origin is known."""

    def __init__(self, origin: str | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"  # PEP 610
        return self.origin


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    its = Installed(None)
    monkeypatch.setattr(metadata, "distribution", lambda name: its)
    return its


def test_from_a_registry_or_a_wheel_the_name_suffices(installed: Installed, tmp_path: Path) -> None:
    assert extras.command("train") == "pip install 'genrekit[train]'"
    wheel = (tmp_path / "genrekit-0.2.0-py3-none-any.whl").as_uri()
    installed.origin = f'{{"url": "{wheel}", "archive_info": {{}}}}'
    assert extras.command("ray,s3") == "pip install 'genrekit[ray,s3]'"
    installed.origin = '{"url": "https://a.org/g.git", "vcs_info": {"vcs": "git"}}'
    assert extras.command("train") == "pip install 'genrekit[train]'"


def test_from_a_clone_the_folder_is_named(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    installed.origin = f'{{"url": "{clone.as_uri()}", "dir_info": {{"editable": true}}}}'
    assert extras.command("train") == f"pip install -e '{clone}[train]'"
    monkeypatch.chdir(clone)
    assert extras.command("train") == "pip install -e '.[train]'"
    installed.origin = f'{{"url": "{clone.as_uri()}", "dir_info": {{}}}}'
    assert extras.command("train") == "pip install '.[train]'"


def test_a_clone_that_was_removed_is_not_named(installed: Installed) -> None:
    installed.origin = '{"url": "file:///gone", "dir_info": {"editable": true}}'
    assert extras.command("train") == "pip install 'genrekit[train]'"


@pytest.mark.parametrize("origin", ["", "no JSON", "[]", "{}", '{"url": 3, "dir_info": {}}'])
def test_a_broken_note_of_the_origin_does_not_matter(installed: Installed, origin: str) -> None:
    installed.origin = origin
    assert extras.command("plot") == "pip install 'genrekit[plot]'"


@pytest.mark.parametrize(
    ("note", "command"),
    [
        ("pipx_metadata.json", "pipx install --force 'genrekit[serve]'"),
        ("uv-receipt.toml", "uv tool install 'genrekit[serve]'"),
    ],
)
def test_tools_that_have_no_pip_are_named(
    installed: Installed, note: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / note).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert extras.command("serve") == command


def test_the_table_names_real_extras_and_packages_of_theirs() -> None:
    assert set(extras.EXTRAS.values()) <= set(OPTIONAL)
    owners = metadata.packages_distributions()
    for package, extra in extras.EXTRAS.items():
        if package in OF_LIBRARIES or package not in owners:
            continue
        names = {re.split(r"[\[<>=]", need)[0].replace("_", "-") for need in OPTIONAL[extra]}
        brought = names | {
            re.split(r"[\[<>=]", need)[0].replace("_", "-")
            for inner in OPTIONAL[extra]
            if inner.startswith("genrekit[")
            for need in OPTIONAL[inner.partition("[")[2].rstrip("]")]
        }
        owned = {its.lower().replace("_", "-").removesuffix("-cpu") for its in owners[package]}
        assert owned & {its.removesuffix("-cpu") for its in brought}, package


@pytest.mark.slow
@pytest.mark.untraced
def test_every_package_of_an_extra_that_the_code_imports_is_in_the_table() -> None:
    trees = [ast.parse(path.read_bytes()) for path in (ROOT / "src" / "genrekit").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    imported = {name.partition(".")[0] for name in imported}
    core = {
        *("av", "genrekit", "jinja2", "markupsafe", "mutagen", "numpy", "onnxruntime"),
        *("platformdirs", "pydantic", "rich", "soundfile", "soxr", "typer"),
    }
    assert imported - core - set(sys.stdlib_module_names) <= set(extras.EXTRAS)
