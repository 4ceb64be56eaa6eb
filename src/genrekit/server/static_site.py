"""A folder whose page predicts genres entirely in the browser: any web server can serve it.

The page is that of ``genrekit serve``, with its requests to the server replaced by a front end in
JavaScript and ONNX Runtime in WebAssembly, which is downloaded from the npm registry, pinned and
checked, when the folder is built, and is not part of genrekit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from genrekit import demo
from genrekit.errors import GenrekitError, ModelError
from genrekit.inference import music_gate, timeline
from genrekit.models import registry
from genrekit.models.registry import CARD, NETWORK, ModelFolder

RUNTIME = "onnxruntime-web@1.22.0"
INTEGRITY = (
    "sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdI"
    "ZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=="
)
_RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
_KINDS = ("log_mel", "log_stft")
_NPM_SECONDS = 300
_SERVER = Path(__file__).parent


def build(out: Path, model: str | None = None) -> ModelFolder:
    """Write the folder.

    Args:
        out: the folder; it must not exist yet, or be empty.
        model: a model's name or folder; None is the embedded model.

    Returns:
        The model that the page uses.

    Raises:
        ModelError: the model is missing, or its front end is not made for browsers.
        GenrekitError: out holds files, npm is missing or fails, or what came is not what was
            pinned.
        OSError: out cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise GenrekitError(f"{out} is not empty; give a new or empty folder")
    found = registry.find(model)
    others = {view.features.kind for view in found.card.views} - set(_KINDS)
    if others:
        raise ModelError(
            f"model {found.card.name!r} takes {', '.join(others)} features, which the page does "
            f"not compute; expected a model of {' or '.join(_KINDS)}"
        )
    if found.card.images == "other":
        raise ModelError(f"model {found.card.name!r} takes only images, but the page takes audio")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        site = Path(folder) / "site"
        shutil.copytree(_SERVER / "page", site)
        shutil.copytree(_SERVER / "browser", site, dirs_exist_ok=True)
        _take_runtime(_runtime_package(Path(folder)), site)
        (site / "model").mkdir()
        for name in (NETWORK, CARD):
            shutil.copy(found.path / name, site / "model" / name)
        demo.write(site / "demo")
        constants = {
            "change_penalty": timeline.CHANGE_PENALTY,
            "colours": timeline.COLOURS,
            "mostly_music_share": music_gate.MOSTLY_MUSIC_SHARE,
            "some_music_share": music_gate.SOME_MUSIC_SHARE,
        }
        (site / "constants.json").write_text(json.dumps(constants), encoding="utf-8")
        if out.exists():
            out.rmdir()
        site.rename(out)
    return found


def _runtime_package(folder: Path) -> Path:
    """Fetch the pinned package by npm and check it."""
    npm = shutil.which("npm")
    if npm is None:
        raise GenrekitError(
            f"npm is not installed, but is needed to download {RUNTIME}; install Node.js"
        )
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", RUNTIME],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GenrekitError(
            f"npm did not download {RUNTIME} within {_NPM_SECONDS} s; try again"
        ) from error
    packages = list(folder.glob("*.tgz"))
    if done.returncode or len(packages) != 1:
        raise GenrekitError(f"npm could not download {RUNTIME}: {done.stderr.strip()[-300:]}")
    digest = base64.b64encode(hashlib.sha512(packages[0].read_bytes()).digest()).decode("ascii")
    if f"sha512-{digest}" != INTEGRITY:
        raise GenrekitError(
            f"npm downloaded another {RUNTIME} than the pinned one; nothing was written"
        )
    return packages[0]


def _take_runtime(package: Path, site: Path) -> None:
    with tarfile.open(package) as archive:
        for name in _RUNTIME_FILES:
            member = archive.extractfile(f"package/dist/{name}")
            if member is None:
                raise GenrekitError(f"{RUNTIME} lacks {name}; report it")
            (site / name).write_bytes(member.read())
