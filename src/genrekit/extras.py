"""The packages beyond the core install: which extra brings each, and how it is installed here."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

# The extra that brings what a verb imports, by the name that it is imported by.
EXTRAS = {
    "aiohttp": "ray",
    "beets": "beets",
    "cleanlab": "audit",
    "fastapi": "serve",
    "fsspec": "ray",
    "h11": "serve",
    "huggingface_hub": "hub",
    "lightning": "train",
    "matplotlib": "plot",
    "onnx": "train",
    "onnxmltools": "train",
    "onnxscript": "train",
    "pandas": "ray",
    "PIL": "plot",
    "prometheus_client": "serve",
    "pyarrow": "parquet",
    "python_multipart": "serve",
    "pytorch_optimizer": "train",
    "ray": "ray",
    "s3fs": "s3",
    "scipy": "train",
    "skl2onnx": "train",
    "sklearn": "train",
    "starlette": "serve",
    "tensorboard": "train",
    "timm": "train",
    "tomli_w": "train",
    "torch": "train",
    "torchvision": "train",
    "uvicorn": "serve",
    "xgboost": "train",
}


def is_installed(package: str) -> bool:
    """Return whether a package of an extra is there; it is not imported."""
    try:
        return find_spec(package) is not None
    except ValueError:  # an entry of sys.modules that is no module
        return False


def sentence(what: str, package: str, extra: str | None = None) -> str:
    """Say that a package is missing, and how to install it.

    Args:
        what: what needs it, such as "training".
        package: the name that it is imported by.
        extra: the extra, or several with commas, to install; None is the one of the package.

    Returns:
        One sentence for an error message.
    """
    chosen = extra or EXTRAS[package]
    return f"{what} needs {package}, which is not installed; install it with: {command(chosen)}"


def sentence_of(what: str, error: ImportError) -> str | None:
    """Return the sentence for a failed import; None where no extra brings the package."""
    package = (error.name or "").partition(".")[0]
    return sentence(what, package) if package in EXTRAS else None


def command(extra: str) -> str:
    """Return the command that adds an extra to this installation, wherever it came from."""
    project, flag = _source(extra)
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return f"pipx install --force{flag} {project}"
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        return f"uv tool install{flag.replace('-e', '--editable')} {project}"
    return f"pip install{flag} {project}"


def _source(extra: str) -> tuple[str, str]:
    """Return what to install, in quotes, and the flag before it.

    PEP 610: pip notes in direct_url.json where a package came from, unless from a registry.
    """
    origin = _origin()
    folder = origin.get("dir_info")
    path = url2pathname(urlsplit(str(origin.get("url", ""))).path)
    if folder is None or not os.path.isdir(path):  # noqa: PTH112 - the text of a URL
        return f"'genrekit[{extra}]'", ""
    here = "." if Path(path).resolve() == Path.cwd().resolve() else path
    return f"'{here}[{extra}]'", " -e" if folder.get("editable") else ""


def _origin() -> dict[str, Any]:
    try:
        found = json.loads(metadata.distribution("genrekit").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
