"""The packages beyond the core install: the extra of each, and how to install it here."""

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

# The extra of each package that a verb imports, by the package's import name.
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
    """Return whether a package of an extra is installed, without importing it."""
    try:
        return find_spec(package) is not None
    except ValueError:  # an entry of sys.modules that is not a module
        return False


def sentence(what: str, package: str, extra: str | None = None) -> str:
    """Return a sentence on a missing package and how to install it.

    Args:
        what: what needs it, such as "training".
        package: its import name.
        extra: the extra to install, or several with commas; None is the package's.

    Returns:
        One sentence for an error message.
    """
    chosen = extra or EXTRAS[package]
    return f"{what} needs {package}, which is not installed; install it with: {command(chosen)}"


def sentence_of(what: str, error: ImportError) -> str | None:
    """Return the sentence for a failed import; None if no extra has the package."""
    package = (error.name or "").partition(".")[0]
    return sentence(what, package) if package in EXTRAS else None


def command(extra: str) -> str:
    """Return the command that adds an extra to this installation, whatever its source."""
    project, flag = _source(extra)
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return f"pipx install --force{flag} {project}"
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        return f"uv tool install{flag.replace('-e', '--editable')} {project}"
    return f"pip install{flag} {project}"


def _source(extra: str) -> tuple[str, str]:
    """Return what to install, in quotes, and the flag that precedes it.

    PEP 610: pip records the source of a package in direct_url.json, unless it is a registry.
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
