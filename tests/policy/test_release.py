"""What is released: one version, a wheel of what is committed and of nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import genrekit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import release  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def committed() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("needs a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_version_stands_in_one_place() -> None:
    assert release.version_of(ROOT) == genrekit.__version__
    assert release.metadata_problems(ROOT, genrekit.__version__) == []
    assert len(release.metadata_problems(ROOT, "9.9")) == 3


def test_the_wheel_holds_what_is_committed_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    tracked = committed()
    assert release.wheel_problems(wheel, tracked) == []
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        described = archive.read(metadata).decode()
    for needed in ("py.typed", "recipes/cnn.toml", "data/models/fast/model.onnx"):
        assert f"genrekit/{needed}" in names
    assert f"\nVersion: {genrekit.__version__}\n" in described
    assert f"\nRequires-Python: {PROJECT['requires-python']}\n" in described
    spoiled = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(spoiled, "w") as target:
        for name in source.namelist():
            if name != "genrekit/py.typed":
                target.writestr(name, source.read(name))
        target.writestr("genrekit/secret.env", "x")
    assert release.wheel_problems(spoiled, tracked) == [
        "the wheel lacks genrekit/py.typed",
        "the wheel holds genrekit/secret.env, which is not committed",
        "the wheel does not say that it is typed",
    ]


def test_the_classifiers_are_true() -> None:
    trove = pytest.importorskip("trove_classifiers")
    assert set(PROJECT["classifiers"]) <= trove.classifiers
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d", c)}
    assert named == {"3.11"}, "only versions that the checks run with"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_the_issue_templates_are_forms(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert found == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= set(found)
    for field in found["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert set(field["attributes"]) & {"label", "value"}


@pytest.mark.full
def test_two_builds_are_the_same_and_the_wheel_predicts(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "release.py", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("twice the same") == 2
    assert len(list(tmp_path.iterdir())) == 2
