"""The ways that benchmarks/predict.py compares. Each maker returns what is run for every file."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[Path], object]

PLAIN_NEEDS = ("librosa",)
SOURCE_NEEDS = ("librosa", "matplotlib", "timm", "torch")
N_PARTS = 10
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
    """The product's own road."""
    from genrekit import Classifier

    return Classifier(model).predict_file


def plain(model: str) -> Run:
    """librosa.load, librosa's mel, and the same network in ONNX Runtime, all segments at once."""
    import librosa
    import onnxruntime

    from genrekit.models import registry

    folder = registry.find(model)
    spec = folder.card.features
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder.onnx_path), options)

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
        return session.run(["logits"], {"features": features})

    return run


def source() -> Run:
    """What the source projects do: ten parts, each a picture by matplotlib, through ResNet18."""
    import librosa
    import librosa.display
    import matplotlib
    import torch

    from genrekit.models import torchvision_shim  # noqa: F401 - timm needs it with a CPU-only torch

    matplotlib.use("Agg")
    import timm
    from matplotlib import pyplot

    torch.set_num_threads(1)
    network = timm.create_model("resnet18", num_classes=10).eval()

    def picture(waveform: np.ndarray) -> np.ndarray:
        mel = librosa.power_to_db(librosa.feature.melspectrogram(y=waveform, sr=22050), ref=np.max)
        figure = pyplot.figure(figsize=(2.24, 2.24), dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        librosa.display.specshow(mel, sr=22050, ax=axes)
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        pyplot.close(figure)
        stream.seek(0)
        return np.asarray(pyplot.imread(stream)[..., :3], np.float32)

    def run(path: Path) -> object:
        waveform, _ = librosa.load(path, sr=22050)
        size = len(waveform) // N_PARTS
        parts = [picture(waveform[i * size : (i + 1) * size]) for i in range(N_PARTS)]
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2)
            return network(images).softmax(1).mean(0)

    return run
