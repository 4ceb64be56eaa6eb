"""Check what this installation can do; name what it cannot, and the remedy.

Every check imports what it examines by itself: a broken decoder must not keep the doctor from
reporting it.
"""

from __future__ import annotations

import io
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import genrekit
from genrekit import extras
from genrekit.errors import GenrekitError

GOLDEN = Path(genrekit.__file__).parent / "data" / "golden.json"
# Other processors add float32 numbers in another order, and round differently in int8 kernels:
# both change a probability by less than this. A wrong front end, label or weight changes the
# synthetic tracks' probabilities by more.
GOLDEN_TOLERANCE = 0.02
_PACKAGES = ("numpy", "soundfile", "av", "soxr", "onnxruntime", "mutagen")


@dataclass(frozen=True)
class Check:
    """The result of one check: ok, a note, or a problem with its remedy."""

    check: str
    status: Literal["ok", "note", "problem"]
    text: str


def examine() -> Iterator[Check]:
    """Run every check, each as far as possible.

    Yields:
        Each finding as soon as it is known. A check that cannot run is a problem.
    """
    for name, check in CHECKS.items():
        try:
            yield from check(name)
        except (GenrekitError, ImportError, OSError, ValueError) as error:
            yield Check(name, "problem", f"{error} ({type(error).__name__})")


def versions(check: str) -> Iterator[Check]:
    """Name the versions that a bug report should name."""
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Check(check, "ok", f"genrekit {genrekit.__version__}, {system}")
    yield Check(check, "ok", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES))


def libsndfile(check: str) -> Iterator[Check]:
    """Decode a synthetic FLAC with libsndfile and list its formats."""
    import soundfile

    samples, _ = soundfile.read(io.BytesIO(_flac()), dtype="float32")
    formats = {*soundfile.available_formats(), *soundfile.available_subtypes("OGG")}
    needed = ["AIFF", "AU", "FLAC", "MP3", "OPUS", "VORBIS", "WAV"]
    missing = [name for name in needed if name not in formats]
    reads = ", ".join(name for name in needed if name in formats)
    text = f"libsndfile {soundfile.__libsndfile_version__}, {len(samples):,} samples decoded"
    yield Check(check, "ok", f"{text}; reads {reads}")
    if missing:
        yield Check(check, "note", f"without {', '.join(missing)}: PyAV decodes them, slower")


def ffmpeg(check: str) -> Iterator[Check]:
    """Decode the same FLAC with FFmpeg's libraries through PyAV."""
    import av

    with av.open(io.BytesIO(_flac()), "r") as container:
        n_samples = sum(frame.samples for frame in container.decode(audio=0))
    formats = ["aac", "alac", "wmav2", "ape", "wavpack", "ac3"]
    missing = [name for name in formats if name not in av.codecs_available]
    library = f"FFmpeg {av.ffmpeg_version_info} in PyAV {av.__version__}"
    yield Check(check, "ok", f"{library}, {n_samples:,} samples decoded")
    if missing:
        yield Check(check, "note", f"this FFmpeg lacks {', '.join(missing)}; reinstall av for them")


def models(check: str) -> Iterator[Check]:
    """Verify the SHA-256 of every available model."""
    from genrekit.models import registry

    embedded = registry.embedded_folder()
    names = registry.names()
    if not any(registry.locate(name).parent == embedded for name in names):
        text = f"no model is embedded in {embedded}; install a release of genrekit, or train one"
        yield Check(check, "problem", text)
    for name in names:
        try:
            model = registry.find(name)
        except GenrekitError as error:
            yield Check(check, "problem", str(error))
            continue
        found = f"{name} {model.card.version}, sha256 {model.card.onnx_sha256[:12]} verified"
        yield Check(check, "ok", f"{found}, {model.path}")


def golden(check: str) -> Iterator[Check]:
    """Compare each embedded model's predictions for the synthetic tracks with recorded ones."""
    from genrekit.models import registry

    recorded = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    for name in registry.names():
        if registry.locate(name).parent != registry.embedded_folder():
            continue
        sha256 = registry.find(name).card.onnx_sha256
        if recorded.get(name, {}).get("onnx_sha256") != sha256:
            text = f"{GOLDEN.name} has no predictions of {name} {sha256[:12]}; reinstall genrekit"
            yield Check(check, "problem", text)
            continue
        yield compare_predictions(check, name, recorded[name]["probabilities"], predict_demo(name))


def predict_demo(model: str) -> dict[str, dict[str, float]]:
    """Predict every synthetic track.

    Args:
        model: a registered name or the path of a model folder.

    Returns:
        Probabilities of each label, by the track's name.

    Raises:
        ModelError: the model cannot be found or used.
    """
    from genrekit import demo
    from genrekit.inference.classifier import Classifier

    classifier = Classifier(model)
    return {
        name: classifier.predict(demo.synthesise(name), demo.SAMPLE_RATE).probabilities
        for name in demo.NAMES
    }


def gpu(check: str) -> Iterator[Check]:
    """Name the GPUs that prediction and training would use; having none is fine."""
    import onnxruntime

    # Azure's provider computes nothing on this machine: it only calls a service.
    names = [n for n in onnxruntime.get_available_providers() if not n.startswith("Azure")]
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in names)
    yield Check(check, "ok", f"prediction runs on: {providers}")
    if not extras.is_installed("torch"):
        yield Check(check, "note", extras.sentence("training", "torch"))
        return
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    yield Check(check, "ok", f"training runs on: {device} (torch {torch.__version__})")


def folders(check: str) -> Iterator[Check]:
    """Try to write to the folders that genrekit uses, without leaving anything in them."""
    from platformdirs import user_cache_path

    from genrekit.models import registry

    writable = {
        "installed models": (registry.user_folder(), "set XDG_DATA_HOME to a folder of yours"),
        "caches": (user_cache_path("genrekit"), "set XDG_CACHE_HOME to a folder of yours"),
        "runs": (Path("runs").absolute(), "change to a folder of yours, or give --output"),
        "temporary files": (Path(tempfile.gettempdir()), "set TMPDIR to a folder of yours"),
    }
    for purpose, (folder, advice) in writable.items():
        try:
            # The folder, or its nearest existing ancestor, which may be a file in the way.
            nearest = next(path for path in (folder, *folder.parents) if path.exists())
            with tempfile.TemporaryFile(dir=nearest):
                yield Check(check, "ok", f"{purpose}: {folder} can be written")
        except OSError as error:
            text = f"{purpose}: {folder} cannot be written ({error.strerror}); {advice}"
            yield Check(check, "problem", text)


CHECKS: dict[str, Callable[[str], Iterator[Check]]] = {
    "versions": versions,
    "libsndfile": libsndfile,
    "ffmpeg": ffmpeg,
    "models": models,
    "golden prediction": golden,
    "gpu": gpu,
    "folders": folders,
}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _flac() -> bytes:
    import soundfile

    from genrekit import demo

    stream = io.BytesIO()
    second = demo.synthesise("drums")[:, : demo.SAMPLE_RATE]
    soundfile.write(stream, second.T, demo.SAMPLE_RATE, format="FLAC")
    return stream.getvalue()


def compare_predictions(
    check: str,
    model: str,
    recorded: dict[str, dict[str, float]],
    found: dict[str, dict[str, float]],
) -> Check:
    """Compare recorded with current predictions, as {track: {label: probability}}.

    A label or track that is on one side only is the largest possible difference.
    """
    worst, track, label = max(
        (abs(recorded.get(t, {}).get(k, 2.0) - found.get(t, {}).get(k, 2.0)), t, k)
        for side in (recorded, found)
        for t in side
        for k in side[t]
    )
    text = f"{model}: probabilities of {len(found)} synthetic tracks within {worst:.4f} of recorded"
    if worst <= GOLDEN_TOLERANCE:
        return Check(check, "ok", text)
    text = (
        f"{model}: probability of {label!r} on the synthetic track {track!r} is off by {worst:.3f} "
        f"(allowed: {GOLDEN_TOLERANCE}); reinstall genrekit, and report it if that does not help"
    )
    return Check(check, "problem", text)
