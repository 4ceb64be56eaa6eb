"""Timelines of made predictions whose spans and change points are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genrekit.inference import timeline
from genrekit.prediction import ModelReference, Prediction, SegmentPrediction

MODEL = ModelReference(name="made", version="1", sha256="0")


def predicted(rows: list[tuple[float, float, dict[str, float]]]) -> Prediction:
    segments = tuple(
        SegmentPrediction(start_seconds=start, end_seconds=end, probabilities=probabilities)
        for start, end, probabilities in rows
    )
    means = {k: float(np.mean([s.probabilities[k] for s in segments])) for k in rows[0][2]}
    return Prediction(
        path="a.mp3",
        probabilities=means,
        segments=segments,
        model=MODEL,
        duration_seconds=max(end for _, end, _ in rows),
    )


def mix(jazz: float) -> dict[str, float]:
    return {"jazz": jazz, "rock": 1 - jazz}


def in_a_row(*jazz: float, length: float = 3.0) -> Prediction:
    return predicted([(i * length, (i + 1) * length, mix(p)) for i, p in enumerate(jazz)])


def test_a_change_is_found_where_it_is() -> None:
    found = timeline.of(in_a_row(0.9, 0.95, 0.8, 0.1, 0.05, 0.2))
    assert [(s.start_seconds, s.end_seconds, s.label) for s in found.spans] == [
        (0.0, 9.0, "jazz"),
        (9.0, 18.0, "rock"),
    ]
    assert found.change_points_seconds == [9.0]
    assert found.spans[0].probability == pytest.approx((0.9 + 0.95 + 0.8) / 3)


def test_one_doubtful_segment_is_no_change() -> None:
    found = timeline.of(in_a_row(0.9, 0.9, 0.3, 0.9, 0.9))
    assert [span.label for span in found.spans] == ["jazz"]
    assert found.cells[2].label == "rock"
    assert len(timeline.of(in_a_row(0.9, 0.9, 0.3, 0.9, 0.9), change_penalty=0).spans) == 3


def test_overlapping_segments_are_averaged_where_they_overlap() -> None:
    found = timeline.of(predicted([(0, 3, mix(1.0)), (1.5, 4.5, mix(0.5)), (3, 6, mix(0.0))]))
    assert [(c.start_seconds, c.end_seconds, c.probabilities["jazz"]) for c in found.cells] == [
        (0.0, 1.5, 1.0),
        (1.5, 3.0, 0.75),
        (3.0, 4.5, 0.25),
        (4.5, 6.0, 0.0),
    ]


def test_overlap_does_not_make_the_evidence_heavier() -> None:
    # The same music heard at half the hop must not change genre more easily.
    plain = in_a_row(0.9, 0.9, 0.05, 0.9, 0.9)
    doubled = [(s.start_seconds, s.end_seconds, s.probabilities) for s in plain.segments]
    twice = predicted(sorted(doubled * 2, key=lambda row: row[0]))
    for penalty in (0.5, 1.0, 2.0, 4.0):
        assert timeline.of(twice, penalty).spans == timeline.of(plain, penalty).spans


def test_seconds_that_were_not_heard_are_in_no_span() -> None:
    found = timeline.of(predicted([(10, 13, mix(0.9)), (40, 43, mix(0.8)), (70, 73, mix(0.1))]))
    assert [(s.start_seconds, s.end_seconds) for s in found.spans] == [(10, 13), (40, 43), (70, 73)]
    assert found.change_points_seconds in ([], [70.0])
    assert len(found.cells) == 3


def test_the_spans_are_the_best_of_all_label_sequences() -> None:
    rng = np.random.default_rng(0)
    labels = ("a", "b", "c")
    for _ in range(20):
        rows = rng.dirichlet(np.ones(3) * 0.4, 6)
        made = [
            (i, i + 1, dict(zip(labels, row.tolist(), strict=True))) for i, row in enumerate(rows)
        ]
        found = timeline.of(predicted(made), change_penalty=1.3)
        logs = np.log(rows.clip(1e-3))

        def gain(path: tuple[int, ...], logs: np.ndarray = logs) -> float:
            changes = sum(a != b for a, b in itertools.pairwise(path))
            return float(sum(logs[i, k] for i, k in enumerate(path)) - 1.3 * changes)

        best = max(itertools.product(range(3), repeat=6), key=gain)
        spanned = [
            next(s.label for s in found.spans if s.start_seconds <= i < s.end_seconds)
            for i in range(6)
        ]
        assert spanned == [labels[k] for k in best]


def test_forms() -> None:
    found = timeline.of(in_a_row(0.9, 0.9, 0.02, 0.02))
    assert found.to_audacity() == "0.000000\t6.000000\tjazz\n6.000000\t12.000000\trock\n"
    lines = found.to_csv().splitlines()
    assert lines[0] == "path,start_seconds,end_seconds,label,span,jazz,rock"
    assert lines[3] == "a.mp3,6.0,9.0,rock,rock,0.02,0.98"
    assert found.to_csv(header=False).splitlines() == lines[1:]
    fields = found.to_dict()
    assert fields["change_points_seconds"] == [6.0]
    assert fields["cells"][0]["probabilities"] == [0.9, pytest.approx(0.1)]
    assert len(set(fields["colours"])) == 2


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 0"):
        timeline.of(in_a_row(0.9), change_penalty=-1)
