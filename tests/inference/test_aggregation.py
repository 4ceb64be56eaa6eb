"""Segment logits to track probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit.inference.aggregation import segment_probabilities, track_probabilities


def test_softmax_of_known_odds() -> None:
    logits = np.log(np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(segment_probabilities(logits), [[0.125, 0.25, 0.625]])


def test_temperature_divides_after_the_bias_was_added() -> None:
    logits = np.log(np.array([[1.0, 1.0]]))
    bias = (float(np.log(16.0)), 0.0)
    np.testing.assert_allclose(segment_probabilities(logits, 2.0, bias), [[0.8, 0.2]])


def test_huge_logits_stay_finite() -> None:
    np.testing.assert_allclose(segment_probabilities(np.array([[1e4, 0.0]])), [[1.0, 0.0]])


def test_mean_and_vote_differ_where_one_segment_is_very_sure() -> None:
    rows = np.array([[0.51, 0.49], [0.51, 0.49], [0.01, 0.99]])
    assert track_probabilities(rows).argmax() == 1
    np.testing.assert_allclose(track_probabilities(rows, "majority_vote"), [2 / 3, 1 / 3])


def test_no_segment_and_unknown_aggregation_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        track_probabilities(np.empty((0, 2)))
    with pytest.raises(ValueError, match="majority_vote"):
        track_probabilities(np.ones((1, 2)), "median")


def test_a_tied_vote_goes_to_the_higher_mean() -> None:
    rows = np.array([[0.55, 0.45, 0.0], [0.05, 0.95, 0.0]])
    shares = track_probabilities(rows, "majority_vote")
    assert shares.argmax() == 1
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.0], atol=1e-3)
