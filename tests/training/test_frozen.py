"""The output of a frozen network is kept, and computed again where the record is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from genrekit.datasets import Track, TrackPart
from genrekit.models import registry
from genrekit.models.runtime import LOGITS
from genrekit.training import smoke
from genrekit.training.frozen import CachedExtractor, FrozenNetwork

N_CUT_BYTES = 40


def test_a_damaged_record_is_computed_again(tmp_path: Path) -> None:
    folder = registry.read(smoke.write_model(tmp_path / "model"))
    path = sorted(smoke.write_audio(tmp_path / "audio", 4.0).rglob("*.wav"))[0]
    track = Track("one", path, "high")
    network = FrozenNetwork(folder.onnx_path.read_bytes(), folder.card.views)
    extractor = CachedExtractor(network, LOGITS, tmp_path / "cache")
    first = extractor.extract(track)
    (record,) = (tmp_path / "cache").rglob("*.npz")
    whole = record.read_bytes()
    for damaged in (whole[:-N_CUT_BYTES], b"", whole[:N_CUT_BYTES]):
        record.write_bytes(damaged)
        np.testing.assert_array_equal(extractor.extract(track).output, first.output)
        assert record.read_bytes() == whole


def test_segments_are_parts_of_the_whole_which_is_read_once(tmp_path: Path) -> None:
    folder = registry.read(smoke.write_model(tmp_path / "model"))
    paths = sorted(smoke.write_audio(tmp_path / "audio", 16.0).rglob("*.wav"))[:2]
    network = FrozenNetwork(folder.onnx_path.read_bytes(), folder.card.views)
    extractor = CachedExtractor(network, LOGITS, tmp_path / "cache")
    for path in paths:
        track = Track(path.stem, path, "high")
        whole = extractor.extract(track)
        first, second = (
            extractor.extract(replace(track, part=TrackPart(path.stem, index, 2)))
            for index in (0, 1)
        )
        assert 0 < len(first.output) < len(whole.output)
        np.testing.assert_array_equal(np.concatenate([first.output, second.output]), whole.output)
    paths[1].unlink()
    again = extractor.extract(replace(track, part=TrackPart(track.track_id, 0, 2)))
    np.testing.assert_array_equal(again.output, first.output)
