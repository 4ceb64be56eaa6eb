"""The public names: pinned, each one importable on first use, each one documented."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import genrekit

PUBLIC = ["Classifier", "FeatureSpec", "GenrekitError", "Prediction", "SegmentPrediction"]


def test_the_public_names_are_these() -> None:
    assert genrekit.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_can_be_imported_and_is_documented(name: str) -> None:
    public = getattr(genrekit, name)
    assert public.__name__ == name
    undocumented = [
        member
        for member, value in vars(public).items()
        if not member.startswith("_")
        and member != "model_config"
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
        and not inspect.getdoc(getattr(public, member))
    ]
    assert inspect.getdoc(public)
    assert undocumented == []


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        genrekit.Clasifier  # noqa: B018


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, genrekit; print([m for m in sys.modules if m.startswith('genrekit.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_onnxruntime_writes_no_device_id_and_sends_nothing(tmp_path: Path) -> None:
    # With CI set, it is silent by itself: the test must not pass because of that.
    own = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "GITHUB_ACTIONS", "TF_BUILD"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    code = "import genrekit.models.runtime, onnxruntime; onnxruntime.get_available_providers()"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=60,
        env={**environment, "HOME": str(tmp_path)},
    )
    assert list(tmp_path.rglob("*")) == []
