"""What one would use instead of genrekit: each way runs in an environment of its own.

``benchmarks/peers.py`` starts this file once with the Python of that environment, so nothing of
genrekit may be imported here, and each way imports what it needs itself:

    python peer_ways.py WAY PROCESSES FILE ...

It prints one JSON object: wall and processor time of all files after a warm-up, and the peak memory
of one process. With "once" for PROCESSES it runs one file and prints nothing, to be timed from
outside. One thread a process.

The networks of the neural peers have random weights where the published ones are a download; they
cost the same. Where a peer has no decoder of its own, files are read by libsndfile and resampled
by soxr, the fastest way that one would find.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pool_timing

Run = Callable[[str], object]
PANNS_HZ = 32_000
AST_HZ = WAV2VEC_HZ = MUSICNN_HZ = 16_000
AST_SECONDS = 10.24
HANDCRAFTED_HZ = 22_050
N_GENRES = 10
N_AUDIOSET = 527


def read(path: str, sample_rate: int) -> Any:
    """Decode a file to mono float32 at a rate. Shape (samples,)."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(1), rate, sample_rate, quality="HQ")


def decoding() -> Run:
    """Decode every sample and throw it away."""
    import soundfile

    def run(path: str) -> int:
        with soundfile.SoundFile(path) as file:
            return sum(len(block) for block in file.blocks(1 << 16, dtype="float32"))

    return run


def librosa_features() -> Run:
    """The 57 columns of the GTZAN table by librosa, one spectrum and one HPSS for all of them."""
    import librosa

    from handcrafted_librosa import shared

    def run(path: str) -> object:
        return shared(librosa.load(path, sr=HANDCRAFTED_HZ)[0])

    return run


def pyaudioanalysis() -> Run:
    """Mid-term statistics of short-term features, the input of its classifiers."""
    import numpy
    from pyAudioAnalysis import MidTermFeatures, audioBasicIO

    # Its reader passes bytes, which NumPy 2.3 took away.
    numpy.fromstring = numpy.frombuffer  # type: ignore[assignment]

    def run(path: str) -> object:
        rate, samples = audioBasicIO.read_audio_file(path)
        mono = audioBasicIO.stereo_to_mono(samples)
        short = round(0.05 * rate)  # its defaults, in samples
        return MidTermFeatures.mid_feature_extraction(mono, rate, rate, rate, short, short)

    return run


def essentia() -> Run:
    """MusicExtractor with all of its descriptors."""
    from essentia import log
    from essentia.standard import MusicExtractor

    log.infoActive = log.warningActive = False
    return MusicExtractor(lowlevelStats=["mean", "stdev"])  # type: ignore[no-any-return]


def opensmile() -> Run:
    """The functionals of ComParE 2016, its default feature set."""
    import opensmile as library

    smile = library.Smile(
        feature_set=library.FeatureSet.ComParE_2016,
        feature_level=library.FeatureLevel.Functionals,
    )

    def run(path: str) -> object:
        return smile.process_signal(read(path, WAV2VEC_HZ), WAV2VEC_HZ)

    return run


def musicnn() -> Run:
    """Musicnn's published front end by librosa, its network by ONNX Runtime, 3-s segments."""
    import librosa
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ["MUSICNN_ONNX"], options)
    n_frames = session.get_inputs()[0].shape[-1]

    def run(path: str) -> object:
        waveform = librosa.load(path, sr=MUSICNN_HZ)[0]
        mel = librosa.feature.melspectrogram(
            y=waveform, sr=MUSICNN_HZ, n_fft=512, hop_length=256, n_mels=96
        )
        log_mel = np.log10(10_000 * mel + 1)
        n_segments = log_mel.shape[1] // n_frames
        segments = log_mel[:, : n_segments * n_frames].reshape(len(log_mel), n_segments, n_frames)
        features = segments.transpose(1, 0, 2).astype(np.float32)
        return session.run(None, {session.get_inputs()[0].name: features})

    return run


def panns() -> Run:
    """PANNs' CNN14 over the whole clip, its front end included."""
    torch = _torch()
    _give_panns_its_labels()
    from panns_inference.models import Cnn14

    network = Cnn14(PANNS_HZ, 1024, 320, 64, 50, 14_000, N_AUDIOSET).eval()

    def run(path: str) -> object:
        with torch.inference_mode():
            return network(torch.from_numpy(read(path, PANNS_HZ))[None])

    return run


def _give_panns_its_labels() -> None:
    """Write the list that the package downloads when it is imported; names do not matter here."""
    path = Path.home() / "panns_data/class_labels_indices.csv"
    path.parent.mkdir(exist_ok=True)
    rows = [f"{index},/m/{index},label {index}" for index in range(N_AUDIOSET)]
    path.write_text("\n".join(["index,mid,display_name", *rows]), encoding="utf-8")


def ast() -> Run:
    """The Audio Spectrogram Transformer over windows of 10.24 s, with its feature extractor."""
    torch = _torch()
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    extract = ASTFeatureExtractor()
    network = ASTForAudioClassification(ASTConfig(num_labels=N_AUDIOSET)).eval()
    size = round(AST_SECONDS * AST_HZ)

    def run(path: str) -> object:
        waveform = read(path, AST_HZ)
        windows = [waveform[start : start + size] for start in range(0, len(waveform), size)]
        inputs = extract(windows, sampling_rate=AST_HZ, return_tensors="pt")
        with torch.inference_mode():
            return network(**inputs)

    return run


def distilhubert() -> Run:
    """DistilHuBERT, two layers of HuBERT base, over the whole clip."""
    from transformers import HubertConfig, HubertForSequenceClassification

    config = HubertConfig(num_hidden_layers=2, num_labels=N_GENRES)
    return _speech(HubertForSequenceClassification(config))


def wav2vec2() -> Run:
    """wav2vec 2.0 base over the whole clip."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    return _speech(Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=N_GENRES)))


def _speech(network: Any) -> Run:
    torch = _torch()
    from transformers import Wav2Vec2FeatureExtractor

    extract = Wav2Vec2FeatureExtractor()
    network.eval()

    def run(path: str) -> object:
        waveform = read(path, WAV2VEC_HZ)
        inputs = extract(waveform, sampling_rate=WAV2VEC_HZ, return_tensors="pt")
        with torch.inference_mode():
            return network(**inputs)

    return run


def _torch() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


def genrekit_fast() -> Run:
    """Genrekit's default model, every second of the file."""
    from genrekit import Classifier

    return Classifier("fast").predict_file


def genrekit_accurate() -> Run:
    """Genrekit's larger model."""
    from genrekit import Classifier

    return Classifier("accurate").predict_file


def genrekit_features() -> Run:
    """Genrekit's 57 hand-crafted columns."""
    from genrekit import audio
    from genrekit.features import handcrafted

    def run(path: str) -> object:
        return handcrafted.values(audio.load(path, HANDCRAFTED_HZ)[0])

    return run


WAYS: dict[str, Callable[[], Run]] = {
    function.__name__: function
    for function in (
        decoding,
        genrekit_fast,
        genrekit_accurate,
        genrekit_features,
        librosa_features,
        pyaudioanalysis,
        essentia,
        opensmile,
        musicnn,
        panns,
        ast,
        distilhubert,
        wav2vec2,
    )
}


def main() -> None:
    """Time one way and print what was found."""
    way, n_processes, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    found = pool_timing.measure(WAYS[way], files, n_processes, n_warm=n_processes)
    print(json.dumps(found._asdict()))


if __name__ == "__main__":
    if sys.argv[2] == "once":  # what a user waits for from a cold start
        WAYS[sys.argv[1]]()(sys.argv[3])
    else:
        main()
