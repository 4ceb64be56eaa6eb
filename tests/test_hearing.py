"""What a frozen network said of a track is kept, and heard again where the record is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genrekit.datasets import Track
from genrekit.models import registry
from genrekit.models.runtime import LOGITS
from genrekit.training import smoke
from genrekit.training.hearing import FrozenNetwork, Listener

N_CUT_BYTES = 40


def test_a_damaged_record_is_heard_again(tmp_path: Path) -> None:
    folder = registry.read(smoke.write_model(tmp_path / "model"))
    path = sorted(smoke.write_audio(tmp_path / "audio", 4.0).rglob("*.wav"))[0]
    track = Track("one", path, "high")
    network = FrozenNetwork(folder.onnx_path.read_bytes(), folder.card.features)
    listener = Listener(network, LOGITS, tmp_path / "memory")
    first = listener.hear(track)
    (record,) = (tmp_path / "memory").rglob("*.npz")
    whole = record.read_bytes()
    for damaged in (whole[:-N_CUT_BYTES], b"", whole[:N_CUT_BYTES]):
        record.write_bytes(damaged)
        np.testing.assert_array_equal(listener.hear(track).output, first.output)
        assert record.read_bytes() == whole
