"""What one track costs a core, stage by stage, in the pipeline that predicts; writes JSON.

    python benchmarks/service_times.py CLIP.mp3 ... [--songs 3] [--rounds 9] [-o FILE.json]

Clips of 30 s are predicted whole, songs of 4 minutes (a clip, repeated) by 8 evenly spread
segments, both by one thread. Times are processor time (user and system), in which waiting for a
busy machine does not count; what is kept of each stage is the median over files and rounds. Output
bytes are those of real rows, compressed as Parquet.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import material
from genrekit import Classifier, audio, features
from genrekit.inference import segments
from genrekit.models import registry
from genrekit.models.runtime import EMBEDDING, LOGITS, Network

HERE = Path(__file__).parent
TIMES = HERE / "service_times.json"
STAGES = ("read", "decode", "resample", "front_end", "network", "rest")
N_ROWS = 5000


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """The pipeline for one kind of track, in pieces that can be timed alone."""

    classifier: Classifier
    network: Network

    def stages(self, path: Path) -> dict[str, float]:
        """Return processor seconds of each stage for one file."""
        spec = self.classifier.card.segments
        _, read = _timed(path.read_bytes)
        info, probe = _timed(lambda: audio.probe(path))
        _, decode = _timed(lambda: self._waveform(info, info.sample_rate))
        waveform, resampled = _timed(lambda: self._waveform(info, spec.sample_rate))
        computed, front_end = _timed(lambda: features.compute(waveform, spec))
        _, network = _timed(lambda: self.network.run({"features": computed}, LOGITS, EMBEDDING))
        _, whole = _timed(lambda: self.classifier.predict_file(path))
        return {
            "read": read,
            "decode": probe + decode,
            "resample": resampled - decode,
            "front_end": front_end,
            "network": network,
            "rest": whole - probe - resampled - front_end - network,
        }

    def _waveform(self, info: audio.AudioInfo, sample_rate: int) -> Any:
        """Return the segments that are predicted. Shape (n, samples)."""
        spec = self.classifier.card.segments
        n_spread = segments.n_spread(info.duration_seconds, spec, None)
        if n_spread is not None:
            starts = segments.spread_starts(info.duration_seconds, spec, n_spread)
            return audio.read_segments(info, sample_rate, starts, spec.segment_seconds)
        at_rate = spec.model_copy(update={"sample_rate": sample_rate})
        blocks = audio.blocks(info, sample_rate, block_seconds=segments.WHOLE_TRACK_SECONDS)
        return next(segments.cut_whole(blocks, at_rate))[1]


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


def measure(model: str, files: list[Path], n_rounds: int) -> dict[str, Any]:
    """Return the medians, every file's own cost, and the sizes of one kind of track."""
    pipeline = Pipeline(Classifier(model), Network.of(registry.find(model)))
    pipeline.stages(files[0])  # warm
    rows = [[pipeline.stages(path) for _ in range(n_rounds)] for path in files]
    every = [row for of_file in rows for row in of_file]
    medians = {stage: statistics.median(row[stage] for row in every) for stage in STAGES}
    per_file = [statistics.median(sum(row.values()) for row in of_file) for of_file in rows]
    return {
        "n_files": len(files),
        "n_rounds": n_rounds,
        "stages_seconds": {stage: round(value, 6) for stage, value in medians.items()},
        "files_seconds": [round(value, 5) for value in per_file],
        "input_bytes": round(statistics.mean(path.stat().st_size for path in files)),
        "output_bytes": output_bytes(pipeline.classifier, files),
        "network_flops": _n_segments(pipeline.classifier, files[0]) * segment_flops(model),
    }


def _n_segments(classifier: Classifier, path: Path) -> int:
    return len(classifier.predict_file(path).segments)


def segment_flops(model: str) -> int:
    """Return the operations of the network's convolutions and products for one segment."""
    import numpy as np
    import onnx
    import onnxruntime

    folder = registry.find(model)
    graph = onnx.load(folder.onnx_path)
    n_weights = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.graph.initializer}
    for node in graph.graph.node:  # weights of eight bits
        if node.op_type == "DequantizeLinear" and node.input[0] in n_weights:
            n_weights[node.output[0]] = n_weights[node.input[0]]
    products = {
        node.output[0]: n_weights[node.input[1]]
        for node in graph.graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in n_weights
    }
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in products)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    spec = folder.card.segments
    silence = np.zeros((1, spec.n_bins, spec.n_frames), np.float32)
    outputs = session.run(list(products), {"features": silence})
    # Each output value is a sum over the weights of its channel; a product and a sum are two.
    return sum(
        2 * output.size * n // output.shape[1]
        for n, output in zip(products.values(), outputs, strict=True)
    )


def output_bytes(classifier: Classifier, files: list[Path]) -> int:
    """Return the bytes of one row of output, as a Parquet file of many holds it.

    Numbers are drawn anew in every row: repeated ones would be compressed away.
    """
    import pyarrow as pa
    from pyarrow import parquet

    drawn = random.Random(0)  # noqa: S311 - no secret
    rows = [classifier.predict_file(path).to_dict() for path in files]
    table = pa.Table.from_pylist(
        [
            _renumbered(rows[i % len(rows)], drawn) | {"path": f"s3://bucket/{i:09}.mp3"}
            for i in range(N_ROWS)
        ]
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return round(sink.tell() / N_ROWS)


def _renumbered(value: Any, drawn: random.Random, key: str = "") -> Any:
    """Return the value with other probabilities, to as many decimals."""
    if isinstance(value, dict):
        return {name: _renumbered(inner, drawn, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renumbered(inner, drawn, key) for inner in value]
    is_probability = isinstance(value, float) and not key.endswith("_seconds")
    return round(drawn.random(), 6) if is_probability else value


def main() -> None:
    """Measure both kinds of track and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", nargs="*", type=Path, help="30-s MP3s (default: made tracks)")
    parser.add_argument("--songs", type=int, default=3, help="4-minute songs (default: 3)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds (default: 9)")
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("-o", "--output", type=Path, default=TIMES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_clips = max(len(options.clips), 3)
        clips = material.short_mp3s(options.clips, n_clips, folder)
        songs = material.long_songs(clips, options.songs, folder)["MP3"]
        found = {
            "measured": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
            "load_average": round(os.getloadavg()[0], 1),
            "model": options.model,
            "clip": measure(options.model, clips, options.rounds),
            "song": measure(options.model, songs, options.rounds),
        }
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def _processor() -> str:
    lines = Path("/proc/cpuinfo")
    names = lines.read_text().split("model name") if lines.exists() else []
    return names[1].partition(":")[2].splitlines()[0].strip() if names[1:] else platform.machine()


if __name__ == "__main__":
    main()
