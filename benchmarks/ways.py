"""The ways that benchmarks/predict.py compares. Each maker returns what is run for every file."""

from __future__ import annotations

import importlib.util
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Run = Callable[[Path], object]
Draw = Callable[[np.ndarray], "Image"]

PLAIN_NEEDS = ("librosa", "torch")
SOURCE_NEEDS = ("librosa", "matplotlib", "timm", "torch")
N_PARTS = 10
SOURCE_HZ = 22050
_BLOCK_SAMPLES = 1 << 16


def missing(packages: tuple[str, ...]) -> str:
    """Return the packages that are not installed, as text."""
    return ", ".join(name for name in packages if importlib.util.find_spec(name) is None)


def decoding() -> Run:
    """Decode every sample and throw it away: libsndfile where it can, otherwise FFmpeg."""
    import soundfile

    def run(path: Path) -> int:
        if path.suffix == ".m4a":
            return _decode_by_ffmpeg(path)
        with soundfile.SoundFile(path) as file:
            buffer = np.empty((_BLOCK_SAMPLES, file.channels), np.float32)
            return sum(len(block) for block in file.blocks(out=buffer))

    return run


def _decode_by_ffmpeg(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


def genrekit(model: str) -> Run:
    """The pipeline of genrekit."""
    from genrekit import Classifier

    return Classifier(model).predict_file


def plain(model: str) -> Run:
    """librosa.load, librosa's mel, and the published network in torch, all segments at once.

    musicnn as its authors published it, with random weights, which cost the same.
    """
    import librosa
    import torch

    from genrekit.models import registry
    from genrekit.networks.musicnn import Musicnn

    spec = registry.find(model).card.segments
    torch.set_num_threads(1)
    network = Musicnn(spec, ("pooled", "embedding", "tags")).eval()
    head = torch.nn.Linear(network.n_features, 10)

    def run(path: Path) -> object:
        waveform, _ = librosa.load(path, sr=spec.sample_rate)
        hop = round(spec.segment_hop_seconds * spec.sample_rate)
        starts = range(0, len(waveform) - spec.segment_samples + 1, hop)
        mels = [
            librosa.feature.melspectrogram(
                y=waveform[start : start + spec.segment_samples],
                sr=spec.sample_rate,
                n_fft=spec.n_fft,
                hop_length=spec.hop_length,
                n_mels=spec.n_mels,
                fmin=spec.f_min,
                fmax=spec.f_max,
                htk=spec.mel_scale == "htk",
            )
            for start in starts
        ]
        decibels = np.maximum(librosa.power_to_db(np.stack(mels), top_db=None), spec.floor_db)
        features = ((decibels - spec.mean) / spec.std).astype(np.float32)
        with torch.inference_mode():
            return head(network(torch.from_numpy(features))).softmax(1).mean(0)

    return run


def source(draw: Draw, n_threads: int = 1) -> Run:
    """Ten parts, each a mel image by matplotlib, through ResNet18."""
    import librosa

    classify = _resnet18(n_threads)

    def run(path: Path) -> object:
        waveform, _ = librosa.load(path, sr=SOURCE_HZ)
        size = len(waveform) // N_PARTS
        parts = [waveform[i * size : (i + 1) * size] for i in range(N_PARTS)]
        mels = [librosa.feature.melspectrogram(y=part, sr=SOURCE_HZ) for part in parts]
        return classify([draw(librosa.power_to_db(mel, ref=np.max)) for mel in mels])

    return run


def source_cut(n_threads: int = 1) -> Run:
    """One image of the decibels of the whole STFT by matplotlib, cut in ten, through ResNet18."""
    import librosa

    classify = _resnet18(n_threads)

    def run(path: Path) -> object:
        waveform, _ = librosa.load(path, sr=SOURCE_HZ)
        decibels = librosa.amplitude_to_db(np.abs(librosa.stft(waveform)), ref=np.max)
        drawn = published_image(decibels)
        edges = np.linspace(0, drawn.width, N_PARTS + 1).round().astype(int).tolist()
        return classify([drawn.crop((a, 0, b, drawn.height)) for a, b in itertools.pairwise(edges)])

    return run


def published_image(decibels: np.ndarray) -> Image:
    """A spectrogram alone, 432 x 288 pixels: as large as GTZAN's published images."""
    import librosa.display

    pyplot = _pyplot()
    figure = pyplot.figure(figsize=(6, 4), dpi=72)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    librosa.display.specshow(decibels, sr=SOURCE_HZ, ax=axes)
    return _read_back(figure)


def documented_figure(decibels: np.ndarray) -> Image:
    """A spectrogram with axes and colour bar, as librosa 0.7's page on melspectrogram draws it."""
    import librosa.display

    pyplot = _pyplot()
    figure = pyplot.figure(figsize=(10, 4))
    librosa.display.specshow(decibels, sr=SOURCE_HZ, x_axis="time", y_axis="mel")
    pyplot.colorbar(format="%+2.0f dB")
    pyplot.title("Mel-frequency spectrogram")
    pyplot.tight_layout()
    return _read_back(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _read_back(figure: Any) -> Image:
    import PIL.Image

    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    _pyplot().close(figure)
    stream.seek(0)
    return PIL.Image.open(stream).convert("RGB")


def _resnet18(n_threads: int) -> Callable[[list[Image]], object]:
    import torch

    from genrekit.networks import torchvision_shim  # noqa: F401 - timm needs it with a CPU-only torch

    import timm  # isort: skip

    torch.set_num_threads(n_threads)
    network = timm.create_model("resnet18", num_classes=10).eval()

    def classify(parts: list[Image]) -> object:
        resized = [np.asarray(part.resize((224, 224)), np.float32) / 255 for part in parts]
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
            return network(images).softmax(1).mean(0)

    return classify
