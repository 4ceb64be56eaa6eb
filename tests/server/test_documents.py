"""What docs/serving.md, Dockerfile and compose.yaml describe is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import WAIT_SECONDS, Server, start
from typer.testing import CliRunner

from genrekit import demo
from genrekit.cli import main
from genrekit.explain.document import ExplanationDocument
from genrekit.prediction import PredictionDocument
from genrekit.server.app import create_app
from genrekit.server.settings import ServerLimits, Settings, parse_limits

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
LOCAL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    demo.write(tmp_path / "demo")
    return tmp_path


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the embedded models, as the page assumes."""
    running = start(tmp_path_factory.mktemp("fast"), model="fast")
    yield running
    running.check_left_nothing()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands_print_what_the_page_shows(fast: Server, folder: Path) -> None:
    pairs = [
        part.partition("\n")
        for block in blocks("console")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]
    curls = [(command, shown) for command, _, shown in pairs if command.startswith("curl")]
    assert len(curls) == 4
    for command, shown in curls:
        done = subprocess.run(
            ["bash", "-c", command.replace(LOCAL, fast.url)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT_SECONDS,
        )
        assert digits_left_out(done.stdout) == digits_left_out(shown), command


def digits_left_out(text: str) -> str:
    """Leave out what may differ from one processor to another."""
    return re.sub(r"0\.\d+", "N", text).strip()


def test_the_python_runs(fast: Server, folder: Path) -> None:
    snippets = blocks("python")
    assert len(snippets) == 2
    printed = [
        subprocess.run(
            [sys.executable, "-c", snippet.replace(LOCAL, fast.url)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT_SECONDS,
        ).stdout
        for snippet in snippets
    ]
    assert re.fullmatch(r"disco 0\.9\d+\n", printed[0])
    assert re.fullmatch(r"done \w+\n", printed[1])


def test_the_table_of_limits_is_the_code() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ([\d., ]+) \|", PAGE, flags=re.MULTILINE)
    stated = {}
    for names, values in rows:
        split = values.split(", ") if ", " in values else [values]
        for name, value in zip(re.findall(r"\w+", names), split, strict=True):
            stated[name] = float(value.replace(",", ""))
    assert stated == {name: float(value) for name, value in ServerLimits().model_dump().items()}


def test_every_option_and_limit_that_is_named_exists() -> None:
    files = [ROOT / "Dockerfile", ROOT / "compose.yaml", ROOT / "docs" / "serving.md"]
    runs = re.findall(r"(?:genrekit serve|command:|ENTRYPOINT)(.*)", "\n".join(map(read, files)))
    help_text = CliRunner().invoke(main.build(), ["serve", "--help"], env={"COLUMNS": "200"}).output
    options = {option for run in runs for option in re.findall(r"--[a-z-]+", run)}
    assert options
    assert all(option in help_text for option in options)
    pairs = [pair for run in runs for pair in re.findall(r"\b[a-z_]+=\d+", run)]
    assert pairs
    parse_limits(pairs)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_image_copies_files_that_exist_and_is_not_root() -> None:
    text = read(ROOT / "Dockerfile")
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "src" in sources
    assert all((ROOT / source).exists() for source in sources)
    kept = set(re.findall(r"^!(.+)$", read(ROOT / ".dockerignore"), flags=re.MULTILINE))
    assert kept == set(sources)
    last_user = re.findall(r"^USER (\w+)$", text, flags=re.MULTILINE)[-1]
    assert last_user == "genrekit"
    assert f"useradd --system --no-create-home --shell /usr/sbin/nologin {last_user}" in text


def test_the_openapi_document_holds_the_models_that_serialise() -> None:
    schemas = create_app(Settings()).openapi()["components"]["schemas"]
    for model, name in (
        (PredictionDocument, "PredictionResult"),
        (ExplanationDocument, "ExplanationDocument"),
    ):
        own = model.model_json_schema(ref_template="#/components/schemas/{model}")
        held = schemas[name]["properties"]
        assert held.items() >= own["properties"].items()
        extra = {"spectrogram", "timeline"} if name == "PredictionResult" else set()
        assert held.keys() - own["properties"].keys() == extra


def test_the_page_names_every_route() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    table = PAGE.partition("## With curl")[0].replace("ID", "{job_id}")
    assert [path for path in paths if path not in table] == []
    assert os.fspath(ROOT) not in PAGE
