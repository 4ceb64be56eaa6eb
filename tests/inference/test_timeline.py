"""Timelines of made predictions whose spans and change points are known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from genrekit import Classifier, demo
from genrekit.inference import timeline
from genrekit.inference.aggregation import track_probabilities
from genrekit.models import registry
from genrekit.models.card import ModelCard
from genrekit.prediction import ModelReference, Prediction, SegmentPrediction

MODEL = ModelReference(name="made", version="1", sha256="0")
TINY_FOLDER = Path(__file__).parents[1] / "golden" / "tiny"
TINY = registry.find(TINY_FOLDER).card
Rows = list[tuple[float, float, dict[str, float]]]


def card_of(
    labels: tuple[str, ...] = ("jazz", "rock"),
    aggregation: str = "mean_probability",
    track_temperature: float = 1.0,
) -> ModelCard:
    calibration = TINY.calibration.model_copy(update={"track_temperature": track_temperature})
    fields = {"labels": labels, "aggregation": aggregation, "calibration": calibration}
    return TINY.model_copy(update=fields)


CARD = card_of()
SHARP = card_of(track_temperature=0.4)
VOTES = card_of(aggregation="majority_vote")


def answer(rows: Rows, card: ModelCard = CARD) -> dict[str, float]:
    """Return what the model says of a track of these segments."""
    values = np.array([[row[label] for label in card.labels] for _, _, row in rows])
    temperature = card.calibration.track_temperature
    found = track_probabilities(values, card.aggregation, temperature).round(6).tolist()
    return dict(zip(card.labels, found, strict=True))


def predicted(rows: Rows, card: ModelCard = CARD) -> Prediction:
    segments = tuple(
        SegmentPrediction(start_seconds=start, end_seconds=end, probabilities=probabilities)
        for start, end, probabilities in rows
    )
    return Prediction(
        path="a.mp3",
        probabilities=answer(rows, card),
        segments=segments,
        model=MODEL,
        duration_seconds=max(end for _, end, _ in rows),
    )


def mix(jazz: float) -> dict[str, float]:
    return {"jazz": jazz, "rock": 1 - jazz}


def rows_of(*jazz: float, length: float = 3.0, hop: float = 3.0) -> Rows:
    return [(i * hop, i * hop + length, mix(p)) for i, p in enumerate(jazz)]


def in_a_row(*jazz: float) -> Prediction:
    return predicted(rows_of(*jazz))


def test_a_change_is_found_where_it_is() -> None:
    found = timeline.of(in_a_row(0.9, 0.95, 0.8, 0.1, 0.05, 0.2), CARD)
    assert [(s.start_seconds, s.end_seconds, s.label) for s in found.spans] == [
        (0.0, 9.0, "jazz"),
        (9.0, 18.0, "rock"),
    ]
    assert found.change_points_seconds == [9.0]
    assert found.spans[0].probability == pytest.approx((0.9 + 0.95 + 0.8) / 3)


def test_one_doubtful_segment_is_no_change() -> None:
    found = timeline.of(in_a_row(0.9, 0.9, 0.3, 0.9, 0.9), CARD)
    assert [span.label for span in found.spans] == ["jazz"]
    assert found.cells[2].label == "rock"
    assert len(timeline.of(in_a_row(0.9, 0.9, 0.3, 0.9, 0.9), CARD, change_penalty=0).spans) == 3


def test_overlapping_segments_are_averaged_where_they_overlap() -> None:
    rows = [(0, 3, mix(1.0)), (1.5, 4.5, mix(0.5)), (3, 6, mix(0.0))]
    found = timeline.of(predicted(rows), CARD)
    assert [(c.start_seconds, c.end_seconds, c.probabilities["jazz"]) for c in found.cells] == [
        (0.0, 1.5, 1.0),
        (1.5, 3.0, 0.75),
        (3.0, 4.5, 0.25),
        (4.5, 6.0, 0.0),
    ]


def test_overlap_does_not_make_the_evidence_heavier() -> None:
    # The same music analysed at half the hop must not change genre more easily.
    plain = in_a_row(0.9, 0.9, 0.05, 0.9, 0.9)
    doubled = [(s.start_seconds, s.end_seconds, s.probabilities) for s in plain.segments]
    twice = predicted(sorted(doubled * 2, key=lambda row: row[0]))
    for penalty in (0.5, 1.0, 2.0, 4.0):
        assert timeline.of(twice, CARD, penalty).spans == timeline.of(plain, CARD, penalty).spans


def test_seconds_that_were_not_analysed_are_in_no_span() -> None:
    rows = [(10, 13, mix(0.9)), (40, 43, mix(0.8)), (70, 73, mix(0.1))]
    found = timeline.of(predicted(rows), CARD)
    assert [(s.start_seconds, s.end_seconds) for s in found.spans] == [(10, 13), (40, 43), (70, 73)]
    assert [span.probability for span in found.spans] == [0.9, 0.8, 0.9]
    assert found.change_points_seconds == [70.0]
    assert len(found.cells) == 3


def test_the_spans_are_the_best_of_all_label_sequences() -> None:
    rng = np.random.default_rng(0)
    labels = ("a", "b", "c")
    card = card_of(labels)
    for _ in range(20):
        rows = rng.dirichlet(np.ones(3) * 0.4, 6)
        made = [
            (i, i + 1, dict(zip(labels, row.tolist(), strict=True))) for i, row in enumerate(rows)
        ]
        found = timeline.of(predicted(made, card), card, change_penalty=1.3)
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
    found = timeline.of(in_a_row(0.9, 0.9, 0.02, 0.02), CARD)
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
    with pytest.raises(ValueError, match="expected at least 0"):
        timeline.of(in_a_row(0.9), CARD, change_penalty=-1)


@pytest.mark.parametrize("card", [CARD, SHARP, VOTES])
@pytest.mark.parametrize("hop", [1.5, 3.0])
def test_one_span_says_what_the_track_says(card: ModelCard, hop: float) -> None:
    found = predicted(rows_of(0.7, 0.8, 0.45, 0.6, hop=hop), card)
    [span] = timeline.of(found, card).spans
    assert (span.label, span.probability) == (found.label, found.probability)
    assert (span.start_seconds, span.end_seconds) == (0, found.duration_seconds)


@pytest.mark.parametrize("card", [CARD, SHARP, VOTES])
@pytest.mark.parametrize("hop", [1.5, 3.0])
def test_a_span_says_what_its_segments_would_say_as_a_track(card: ModelCard, hop: float) -> None:
    rows = rows_of(0.9, 0.8, 0.4, 0.95, 0.1, 0.2, 0.05, 0.15, hop=hop)
    first, second = timeline.of(predicted(rows, card), card).spans
    middles = [(start + end) / 2 for start, end, _ in rows]
    n_first = sum(middle < first.end_seconds for middle in middles)
    assert 3 <= n_first <= 5
    for span, members in ((first, rows[:n_first]), (second, rows[n_first:])):
        expected = answer(members, card)
        assert span.label == max(expected, key=expected.__getitem__)
        assert span.probability == expected[span.label]


def test_a_span_is_called_what_most_of_its_probability_says() -> None:
    # A sequence of labels goes by the logarithms, in which one sure segment weighs the most.
    rows = rows_of(0.6, 0.6, 0.6, 0.001)
    [cut] = timeline.of(predicted(rows), CARD, change_penalty=100).spans
    assert (cut.label, cut.probability) == ("rock", pytest.approx(1 - 1.801 / 4))
    [voted] = timeline.of(predicted(rows, VOTES), VOTES, change_penalty=100).spans
    assert (voted.label, voted.probability) == ("jazz", 0.75)


def test_neighbours_that_get_one_label_are_one_span() -> None:
    # By its segments' mean the middle is jazz, by their logarithms it is rock.
    labels = ("jazz", "pop", "rock")
    jazz, mixed = (0.9, 0.05, 0.05), ((0.0, 0.5, 0.5), (0.95, 0.0, 0.05)) * 3
    values = [jazz] * 4 + list(mixed) + [jazz] * 4
    card = card_of(labels, track_temperature=0.4)
    rows = [(3 * i, 3 * i + 3, dict(zip(labels, row, strict=True))) for i, row in enumerate(values)]
    found = predicted(rows, card)
    for penalty in (0.0, 0.5, 2.0):
        spans = timeline.of(found, card, penalty).spans
        assert all(a.label != b.label for a, b in itertools.pairwise(spans))
    [span] = spans
    assert (span.label, span.probability) == (found.label, found.probability)


def test_seconds_with_no_segments_middle_join_their_neighbour() -> None:
    rows = [(0, 4, mix(0.95)), (1, 5, mix(0.02)), (2, 6, mix(0.02)), (3, 7, mix(0.02))]
    for penalty in (0.0, 0.1, 2.0):
        found = timeline.of(predicted(rows, SHARP), SHARP, penalty)
        assert (found.spans[0].start_seconds, found.spans[-1].end_seconds) == (0, 7)
        for a, b in itertools.pairwise(found.spans):
            assert a.end_seconds == b.start_seconds
            assert a.label != b.label
        for span in found.spans:
            members = [row for row in rows if span.start_seconds <= row[0] + 2 < span.end_seconds]
            assert span.probability == answer(members, SHARP)[span.label]


def test_random_tracks_keep_every_second_and_every_segment() -> None:
    rng = np.random.default_rng(1)
    labels = ("a", "b", "c")
    for case in range(60):
        card = card_of(labels, ("mean_probability", "majority_vote")[case % 2], 0.4)
        starts = np.sort(rng.choice(30, 8, replace=False)) * 1.5
        drawn = rng.dirichlet(np.ones(3) * 0.5, 8).round(6).tolist()
        rows = [
            (start, start + 3, dict(zip(labels, row, strict=True)))
            for start, row in zip(starts.tolist(), drawn, strict=True)
        ]
        found = timeline.of(predicted(rows, card), card, float(rng.choice([0, 0.5, 2])))
        covered = sum(cell.end_seconds - cell.start_seconds for cell in found.cells)
        assert sum(s.end_seconds - s.start_seconds for s in found.spans) == pytest.approx(covered)
        taken = 0
        for span in found.spans:
            members = [row for row in rows if span.start_seconds <= row[0] + 1.5 < span.end_seconds]
            expected = answer(members, card)
            assert span.probability == pytest.approx(expected[span.label], abs=1e-6)
            assert expected[span.label] == max(expected.values())
            taken += len(members)
        assert taken == len(rows)
        for a, b in itertools.pairwise(found.spans):
            assert a.label != b.label or a.end_seconds < b.start_seconds


def joined(*parts: str) -> np.ndarray:
    """Return made tracks, or 9 s of silence, one after another, of shape (1, samples)."""
    silence = np.zeros((1, 9 * demo.SAMPLE_RATE), np.float32)
    made = [demo.synthesise(p).mean(0, keepdims=True) if p else silence for p in parts]
    return np.concatenate(made, 1)


def test_real_sound_of_one_genre_and_of_two() -> None:
    classifier = Classifier("fast", segments="all")
    assert classifier.card.calibration.track_temperature < 1
    for parts in (["drums"], ["", "drums"]):
        found = classifier.predict(joined(*parts), demo.SAMPLE_RATE)
        [span] = timeline.of(found, classifier.card).spans
        assert (span.label, span.probability) == (found.label, found.probability)
    assert span.start_seconds == 6, "the silent segments before are in no span"
    two = classifier.predict(joined("drums", "strings"), demo.SAMPLE_RATE)
    spans = timeline.of(two, classifier.card).spans
    apart = [classifier.predict(joined(p), demo.SAMPLE_RATE) for p in ("drums", "strings")]
    assert [span.label for span in spans] == [found.label for found in apart]
    assert [span.probability for span in spans] == pytest.approx(
        [found.probability for found in apart], abs=0.01
    )
    assert timeline.of(Prediction.from_json(two.to_json()), classifier.card).spans == spans


def test_a_track_shorter_than_a_millisecond_has_no_spans() -> None:
    classifier = Classifier(TINY_FOLDER)
    found = classifier.predict(np.full((1, 2), 0.5, np.float32), 22050)
    assert found.label is not None
    assert timeline.of(found, classifier.card).spans == ()


def test_another_models_card_is_refused() -> None:
    with pytest.raises(ValueError, match="are not those"):
        timeline.of(in_a_row(0.9), TINY)
