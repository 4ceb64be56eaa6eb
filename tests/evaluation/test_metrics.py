"""Scores against predicted by hand and by theory; intervals against the normal approximation."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrekit import metrics

# Truth a a a a b b c c; predicted a a b c b b a a: c is never answered.
TRUE = [0, 0, 0, 0, 1, 1, 2, 2]
PREDICTED = [0, 0, 1, 2, 1, 1, 0, 0]
CONFUSION = metrics.confusion_items(TRUE, PREDICTED, 3).sum(axis=0)

label_pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


def test_confusion_matrix_has_the_truth_in_its_rows() -> None:
    assert CONFUSION.tolist() == [[2, 1, 1], [0, 2, 0], [2, 0, 0]]


def test_scores_by_hand() -> None:
    assert metrics.accuracy(CONFUSION) == 4 / 8
    assert metrics.recall(CONFUSION).tolist() == [2 / 4, 1, 0]
    assert metrics.precision(CONFUSION).tolist() == [2 / 4, 2 / 3, 0]
    np.testing.assert_allclose(metrics.f1(CONFUSION), [0.5, 0.8, 0.0])
    assert metrics.macro(CONFUSION, metrics.recall) == pytest.approx(0.5)
    assert metrics.macro(CONFUSION, metrics.precision) == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_a_label_that_was_never_answered_has_precision_zero() -> None:
    assert metrics.precision([[0, 3], [0, 2]]).tolist() == [0, 2 / 5]


def test_a_label_without_items_and_predicted_has_no_precision() -> None:
    assert np.isnan(metrics.precision([[2, 0], [0, 0]])[1])
    # Where the label was answered, the predicted were wrong.
    assert metrics.precision([[2, 1], [0, 0]])[1] == 0


def test_a_label_without_an_item_is_left_out_of_the_macro_scores() -> None:
    confusion = [[2, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert np.isnan(metrics.recall(confusion)[2])
    assert np.isnan(metrics.f1(confusion)[2])
    assert metrics.macro(confusion, metrics.recall) == pytest.approx((1 + 0.5) / 2)


def test_labels_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got labels 0\.\.3; expected 0\.\.2"):
        metrics.confusion_items([0, 3], [0, 0], 3)
    with pytest.raises(ValueError, match="expected equal shapes"):
        metrics.confusion_items([0, 1], [0], 3)


@given(label_pairs)
def test_confusion_matrix_counts_every_item_once(pairs: list[tuple[int, int]]) -> None:
    true, predicted = zip(*pairs, strict=True)
    confusion = metrics.confusion_items(true, predicted, 5).sum(axis=0)
    assert confusion.sum() == len(pairs)
    assert confusion.sum(axis=1).tolist() == [true.count(k) for k in range(5)]
    assert metrics.accuracy(confusion) == pytest.approx(np.mean(np.equal(true, predicted)))


@given(label_pairs, st.permutations(range(5)))
def test_macro_scores_do_not_depend_on_the_order_of_labels(
    pairs: list[tuple[int, int]], order: list[int]
) -> None:
    confusion = metrics.confusion_items(*zip(*pairs, strict=True), 5).sum(axis=0)
    for score in (metrics.precision, metrics.recall, metrics.f1):
        shuffled = metrics.macro(confusion[np.ix_(order, order)], score)
        assert shuffled == pytest.approx(metrics.macro(confusion, score))


@given(label_pairs)
def test_f1_lies_between_precision_and_recall(pairs: list[tuple[int, int]]) -> None:
    confusion = metrics.confusion_items(*zip(*pairs, strict=True), 5).sum(axis=0)
    present = confusion.sum(axis=1) > 0
    both = np.stack([metrics.precision(confusion), metrics.recall(confusion)])[:, present]
    assert (metrics.f1(confusion)[present] <= both.max(axis=0) + 1e-12).all()
    assert (metrics.f1(confusion)[present] >= both.min(axis=0) - 1e-12).all()


def test_log_losses_by_hand() -> None:
    losses = metrics.log_losses([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]], [0, 0, 0])
    np.testing.assert_allclose(losses, [np.log(2), np.log(4), np.log(1e12)])


def test_calibration_error_by_hand() -> None:
    # Ten predicted at 0.8 of which 6 are right, ten at 0.6 of which 6 are right: (0.2 + 0) / 2.
    probabilities = [[0.8, 0.2]] * 10 + [[0.6, 0.4]] * 10
    true = ([0] * 6 + [1] * 4) * 2
    sums = metrics.calibration_items(probabilities, true).sum(axis=0)
    assert metrics.expected_calibration_error(sums) == pytest.approx(0.1)


@pytest.mark.parametrize(("best", "place"), [(0.5, 0), (0.50001, 1), (1.0, 1)])
def test_calibration_bins_are_closed_above(best: float, place: int) -> None:
    items = metrics.calibration_items([[best, 1 - best]], [0], n_bins=2)
    assert items[0, place].tolist() == pytest.approx([1, best, 1])
    assert items[0, 1 - place].tolist() == [0, 0, 0]


def test_calibration_error_of_a_calibrated_classifier_shrinks_with_the_number_of_tracks() -> None:
    rng = np.random.default_rng(0)

    def error(n_tracks: int) -> float:
        best = rng.uniform(0.5, 1, n_tracks)
        true = (rng.uniform(size=n_tracks) > best).astype(int)
        items = metrics.calibration_items(np.stack([best, 1 - best], axis=1), true)
        return float(metrics.expected_calibration_error(items.sum(axis=0)))

    assert error(100_000) < 0.01  # the estimator is consistent ...
    assert np.mean([error(100) for _ in range(50)]) > 0.05  # ... and biased with few tracks


def test_precision_and_coverage_by_hand() -> None:
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]
    curve = metrics.precision_coverage(probabilities, [0, 1, 1, 1])
    assert curve.thresholds.tolist() == [0.6, 0.7, 0.8, 0.9]
    np.testing.assert_allclose(curve.coverage, [1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(curve.precision, [0.5, 2 / 3, 0.5, 1])


def test_thresholds_that_no_track_reaches_are_left_out() -> None:
    curve = metrics.precision_coverage([[0.6, 0.4]], [0], thresholds=[0.0, 0.6, 0.61])
    assert curve.thresholds.tolist() == [0.0, 0.6]


def cluster_accuracy(n_groups: int, group_size: int, seed: int) -> metrics.Estimate:
    """Accuracy of groups that are right or wrong as a whole, seven in ten right."""
    right = np.random.default_rng(seed).permutation(np.arange(n_groups) < 0.7 * n_groups)
    predicted = np.repeat(~right, group_size).astype(int)
    items = metrics.confusion_items(np.zeros_like(predicted), predicted, 2)
    return metrics.bootstrap(items, np.repeat(np.arange(n_groups), group_size), metrics.accuracy)


def test_cluster_bootstrap_agrees_with_theory() -> None:
    # Of G groups that are right as a whole, the share p has standard error sqrt(p (1 - p) / G),
    # whatever the number of tracks in each.
    for group_size in (1, 10):
        estimate = cluster_accuracy(100, group_size, seed=3)
        assert estimate.value == pytest.approx(0.7)
        width = 2 * 1.96 * np.sqrt(0.7 * 0.3 / 100)
        assert estimate.high - estimate.low == pytest.approx(width, rel=0.12)
        assert estimate.low < estimate.value < estimate.high


def test_resampling_tracks_instead_of_groups_would_be_too_narrow() -> None:
    right = np.random.default_rng(0).permutation(np.arange(40) < 28)
    predicted = np.repeat(~right, 10).astype(int)
    items = metrics.confusion_items(np.zeros_like(predicted), predicted, 2)
    by_group = metrics.bootstrap(items, np.repeat(np.arange(40), 10), metrics.accuracy)
    by_track = metrics.bootstrap(items, range(400), metrics.accuracy)
    ratio = (by_group.high - by_group.low) / (by_track.high - by_track.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_cluster_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        hits = rng.uniform(size=80) < 0.6  # one track a group
        items = metrics.confusion_items(np.zeros(80, int), (~hits).astype(int), 2)
        found = metrics.bootstrap(items, range(80), metrics.accuracy, n_resamples=400, seed=seed)
        covered += found.low <= 0.6 <= found.high
    # Binomial(200, 0.95) has a standard deviation of 3; the percentile interval is a little short.
    assert 178 <= covered <= 199


def test_bootstrap_is_repeatable_and_its_seed_matters() -> None:
    items = metrics.confusion_items(TRUE, PREDICTED, 3)
    groups = ["x", "x", "y", "z", "z", "u", "v", "w"]
    first = metrics.bootstrap(items, groups, metrics.accuracy, seed=1)
    assert metrics.bootstrap(items, groups, metrics.accuracy, seed=1) == first
    few = [
        metrics.bootstrap(items, groups, metrics.accuracy, n_resamples=7, seed=s) for s in (1, 2)
    ]
    assert few[0] != few[1]


def test_bootstrap_leaves_out_labels_that_a_resample_lacks() -> None:
    items = metrics.confusion_items([0, 0, 1], [0, 0, 1], 2)
    found = metrics.bootstrap(items, "abc", lambda sums: metrics.macro(sums, metrics.recall))
    assert found == (1.0, 1.0, 1.0)


def test_bootstrap_refuses_what_does_not_match() -> None:
    items = metrics.confusion_items([0, 1], [0, 1], 2)
    with pytest.raises(ValueError, match="2 items and 1 groups"):
        metrics.bootstrap(items, ["a"], metrics.accuracy)
    with pytest.raises(ValueError, match="0 items"):
        metrics.bootstrap(items[:0], [], metrics.accuracy)


def test_two_thousand_resamples_take_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    items = metrics.confusion_items(rng.integers(0, 10, 290), rng.integers(0, 10, 290), 10)
    groups = rng.integers(0, 120, 290).tolist()
    started = time.perf_counter()
    metrics.bootstrap(items, groups, lambda sums: metrics.macro(sums, metrics.f1))
    assert time.perf_counter() - started < 1.0


def test_shuffled_labels_give_chance() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(10), 100)
    predicted = rng.permutation(true)
    found = metrics.bootstrap(
        metrics.confusion_items(true, predicted, 10), range(1000), metrics.accuracy
    )
    # Chance is 0.1 with a standard deviation of sqrt(0.1 * 0.9 / 1000) = 0.0095.
    assert abs(found.value - 0.1) < 4 * 0.0095
    assert found.low < 0.1 < found.high


@pytest.mark.parametrize(
    ("n_first", "n_second", "p"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 32),
        (1, 9, 2 * (1 + 10) / 1024),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
    ],
)
def test_mcnemar_is_the_binomial_test(n_first: int, n_second: int, p: float) -> None:
    assert metrics.mcnemar(n_first, n_second) == pytest.approx(p)


@settings(max_examples=50)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_a_probability_and_symmetric(first: int, second: int) -> None:
    assert 0 < metrics.mcnemar(first, second) <= 1
    assert metrics.mcnemar(first, second) == metrics.mcnemar(second, first)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="expected none below 0"):
        metrics.mcnemar(-1, 2)
