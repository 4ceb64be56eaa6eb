"""Which segments are analysed: counted by hand, and found by the value that each sample carries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrekit.features.spec import FeatureSpec
from genrekit.inference import segments

RATE = 1000
SPEC = FeatureSpec(
    sample_rate=RATE, n_fft=64, hop_length=32, segment_seconds=3.0, segment_hop_seconds=3.0
)


def ramp(n_samples: int) -> np.ndarray:
    """Sample i has the value i, so a segment tells where it was cut. Shape (1, samples)."""
    return np.arange(n_samples, dtype=np.float32)[None]


def starts_of(n_samples: int, spec: FeatureSpec = SPEC, block: int = 10**9) -> list[int]:
    whole = ramp(n_samples)
    blocks = [whole[:, i : i + block] for i in range(0, n_samples, block)]
    found = []
    hop = round(spec.segment_hop_seconds * spec.sample_rate)
    for first, cut in segments.cut_whole(blocks, spec):
        for index, segment in enumerate(cut):
            assert segment[0] == first + index * hop
            assert np.array_equal(np.diff(segment), np.ones(spec.segment_samples - 1))
            found.append(int(segment[0]))
    return found


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (3.0, [0]),
        (30.0, list(range(0, 30000, 3000))),
        (31.4, list(range(0, 30000, 3000))),  # 1.4 s remain: less than half a segment
        (31.5, [*range(0, 30000, 3000), 28500]),
        (29.9, [*range(0, 27000, 3000), 26900]),
    ],
)
def test_whole_track(seconds: float, starts: list[int]) -> None:
    assert starts_of(round(seconds * RATE)) == starts


def test_hop_of_half_a_segment() -> None:
    spec = SPEC.model_copy(update={"segment_hop_seconds": 1.5})
    assert starts_of(9000, spec) == [0, 1500, 3000, 4500, 6000]
    assert starts_of(10499, spec) == [0, 1500, 3000, 4500, 6000]
    assert starts_of(10500, spec) == [0, 1500, 3000, 4500, 6000, 7500]


@given(
    n_samples=st.integers(3000, 20000),
    block=st.integers(1, 9000),
    hop=st.sampled_from([0.5, 1.1, 3.0, 4.0]),
)
def test_blocks_change_nothing(n_samples: int, block: int, hop: float) -> None:
    spec = SPEC.model_copy(update={"segment_hop_seconds": hop})
    assert starts_of(n_samples, spec, max(block, 50)) == starts_of(n_samples, spec)


def test_a_long_stream_keeps_little() -> None:
    def blocks() -> object:
        for _ in range(200):
            yield np.zeros((1, 30 * RATE), np.float32)

    sizes = [len(cut) for _, cut in segments.cut_whole(blocks(), SPEC)]
    assert sum(sizes) == 200 * 10
    assert max(sizes) <= 16


def test_shorter_than_a_segment_is_repeated() -> None:
    ((first, cut),) = segments.cut_whole([ramp(1000)], SPEC)
    assert first == 0
    assert np.array_equal(cut, np.tile(np.arange(1000), 3)[None])


def test_nothing_gives_nothing() -> None:
    assert list(segments.cut_whole([], SPEC)) == []


@pytest.mark.parametrize(
    ("duration_seconds", "choice", "n"),
    [
        (30.0, None, None),
        (60.0, None, None),
        (60.1, None, 8),
        (240.0, None, 8),
        (240.0, "all", None),
        (240.0, 5, 5),
        (30.0, 5, 5),
        (30.0, 10, None),
        (1.0, 5, None),
    ],
)
def test_how_many(duration_seconds: float, choice: segments.SegmentChoice, n: int | None) -> None:
    assert segments.n_spread(duration_seconds, SPEC, choice) == n


def test_spread_segments_are_centred_in_equal_parts() -> None:
    starts = segments.spread_starts(120.0, SPEC, 12)
    assert starts == [10.0 * index + 3.5 for index in range(12)]
    cut = segments.cut_spread(ramp(120 * RATE), SPEC, starts)
    assert cut[:, 0].tolist() == [1000 * start for start in starts]
    assert cut.shape == (12, 3000)


def test_spread_segments_stay_inside() -> None:
    starts = segments.spread_starts(3.5, SPEC, 2)
    assert min(starts) >= 0
    assert max(starts) <= 0.5
    assert segments.cut_spread(ramp(3500), SPEC, [*starts, 0.5004]).shape == (3, 3000)


def test_only_the_start_is_analysed_and_no_block_after_it_is_read() -> None:
    spec = SPEC.model_copy(update={"first_seconds": 7.5})
    assert starts_of(20000, spec) == starts_of(20000, spec, 900) == [0, 3000, 4500]
    read = []

    def blocks() -> object:
        for index in range(10):
            read.append(index)
            yield ramp(5000)

    assert len(list(segments.cut_whole(blocks(), spec))) > 0  # type: ignore[arg-type]
    assert read == [0, 1]
    assert segments.n_spread(240.0, spec, None) is None
    assert segments.n_spread(240.0, spec, 1) == 1
    assert segments.spread_starts(240.0, spec, 1) == [2.25]


def test_less_than_a_segment_cannot_be_analysed() -> None:
    with pytest.raises(ValueError, match=r"first_seconds 2\.0 is shorter than one segment of 3\.0"):
        FeatureSpec(first_seconds=2.0)
