"""Known temperatures and biases are found again; the card's curve is what abstaining gives."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit import metrics
from genrekit.evaluation import calibration
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.models.card import Calibration

N_LABELS = 4


def made_tracks(
    n_tracks: int, n_segments: int, scale: float = 1.0, bias: float = 0.0, seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits of a classifier whose mean probability is exactly calibrated, then made wrong.

    The truth is drawn from the mean of the segments' probabilities; then the logits are multiplied
    by scale, and bias is taken off the first label.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n_tracks, 1, N_LABELS)) + rng.normal(
        0, 1, (n_tracks, n_segments, N_LABELS)
    )
    means = segment_probabilities(logits).mean(axis=1)
    true = np.array([rng.choice(N_LABELS, p=row) for row in means])
    wrong = scale * logits - np.array([bias, 0, 0, 0])
    return list(wrong.astype(np.float32)), true


def loss(logits: list[np.ndarray], true: np.ndarray, temperature: float) -> float:
    means = [track_probabilities(segment_probabilities(rows, temperature)) for rows in logits]
    return float(metrics.log_losses(means, true).mean())


@pytest.mark.parametrize(("scale", "n_segments"), [(3.0, 1), (3.0, 5), (1.0, 5), (0.5, 3)])
def test_the_temperature_is_found_again(scale: float, n_segments: int) -> None:
    logits, true = made_tracks(3000, n_segments, scale)
    assert calibration.fit(logits, true).temperature == pytest.approx(scale, rel=0.1)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, true = made_tracks(500, 4, scale=2.5)
    fitted = calibration.fit(logits, true).temperature
    losses = [loss(logits, true, t) for t in np.geomspace(0.5, 8, 40)]
    assert loss(logits, true, fitted) <= min(losses) + 1e-4


def test_calibration_lowers_the_error_of_an_overconfident_classifier() -> None:
    fitted = calibration.fit(*made_tracks(2000, 3, scale=4), fitted_on="made tracks")
    assert fitted.ece_before is not None
    assert fitted.ece_after is not None
    assert fitted.ece_before > 0.1
    assert fitted.ece_after < 0.03
    assert fitted.fitted_on == "made tracks"
    assert fitted.bias == ()


def test_the_bias_is_found_again() -> None:
    logits, true = made_tracks(1000, 2, scale=2, bias=1.5)
    fitted = calibration.fit(logits, true, with_bias=True)
    assert fitted.temperature == pytest.approx(2, rel=0.15)
    bias = np.array(fitted.bias)
    # Only differences matter: softmax does not see a number added to every label.
    np.testing.assert_allclose(bias[0] - bias[1:], 1.5, atol=0.4)


def hesitant_tracks(n_tracks: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Segments that err by themselves: each is calibrated, their mean is surer than its value."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, N_LABELS, n_tracks)
    # Log-likelihoods of a unit-variance Gaussian around the true label's corner.
    seen = 1.2 * np.eye(N_LABELS)[true][:, None] + rng.normal(0, 1, (n_tracks, 8, N_LABELS))
    return list((1.2 * seen).astype(np.float32)), true


def test_a_temperature_of_the_track_is_chosen_where_the_mean_hesitates() -> None:
    logits, true = hesitant_tracks(400)
    plain = calibration.fit(logits, true)
    chosen = calibration.choose(logits, true, singles(400))
    assert chosen == calibration.fit(logits, true, with_track=True)
    assert chosen.track_temperature < 0.7
    fresh, labels = hesitant_tracks(4000, seed=1)

    def error(fitted: Calibration) -> float:
        rows = [segment_probabilities(track, fitted.temperature) for track in fresh]
        tracks = [track_probabilities(row, temperature=fitted.track_temperature) for row in rows]
        items = metrics.calibration_items(np.stack(tracks), labels)
        return float(metrics.expected_calibration_error(items.sum(axis=0)))

    assert error(chosen) < 0.5 * error(plain)


def singles(n_tracks: int) -> list[str]:
    return [f"artist {number}" for number in range(n_tracks)]


def test_a_bias_that_helps_is_chosen_and_one_that_does_not_is_not() -> None:
    logits, true = made_tracks(400, 2, scale=2, bias=2.5)
    chosen = calibration.choose(logits, true, singles(400), fitted_on="made tracks")
    assert chosen == calibration.fit(logits, true, with_bias=True, fitted_on="made tracks")
    logits, true = made_tracks(400, 2, scale=2)
    assert calibration.choose(logits, true, singles(400)) == calibration.fit(logits, true)


def test_tracks_too_few_to_fold_get_no_bias() -> None:
    logits, true = made_tracks(4, 2, bias=2.5)
    for groups in (singles(4), ["one artist"] * 4):
        assert calibration.choose(logits, true, groups).bias == ()


def test_no_artist_is_on_both_sides_of_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, true = made_tracks(120, 2)
    groups = [f"artist {number // 4}" for number in range(120)]
    torn = []
    fold = calibration.stratify.folds

    def watched(*arguments: object) -> np.ndarray:
        parts = fold(*arguments)  # type: ignore[arg-type]
        torn.extend(
            g for g in set(groups) if len({parts[i] for i in range(120) if groups[i] == g}) > 1
        )
        return parts

    monkeypatch.setattr(calibration.stratify, "folds", watched)
    calibration.choose(logits, true, groups)
    assert torn == []


def test_tracks_may_have_different_numbers_of_segments() -> None:
    logits, true = made_tracks(400, 6, scale=2)
    ragged = [np.repeat(rows, 1 + index % 3, axis=0) for index, rows in enumerate(logits)]
    # Repeating every segment of a track leaves its mean as it is.
    expected = calibration.fit(logits, true).temperature
    assert calibration.fit(ragged, true).temperature == pytest.approx(expected, rel=1e-3)


def test_a_few_tracks_that_were_all_right_do_not_end_in_certainty() -> None:
    logits = [np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]])] * 3
    temperature = calibration.fit(logits, [0, 1] * 3).temperature
    assert segment_probabilities(logits[0], temperature).max() < 0.995


def test_shuffled_labels_flatten_the_probabilities() -> None:
    logits, true = made_tracks(2000, 3, scale=2)
    shuffled = np.random.default_rng(0).permutation(true)
    assert calibration.fit(logits, shuffled).temperature > 10


@pytest.mark.parametrize(
    ("logits", "true"),
    [([], []), ([np.zeros((0, 2))], [0]), ([np.zeros((1, 2))], [0, 1])],
)
def test_what_cannot_be_fitted_is_refused(logits: list[np.ndarray], true: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one segment per track"):
        calibration.fit(logits, true)


def test_the_precision_curve_is_what_abstaining_gives() -> None:
    logits, true = made_tracks(500, 3)
    probabilities = np.array([track_probabilities(segment_probabilities(x)) for x in logits])
    curve = calibration.precision_curve(probabilities, true)
    hits = probabilities.argmax(axis=1) == true
    assert curve[0].threshold == 0
    assert curve[0].coverage == 1
    assert curve[0].precision == pytest.approx(hits.mean(), abs=1e-4)
    for point in curve:
        answered = probabilities.max(axis=1) >= point.threshold
        assert point.coverage == pytest.approx(answered.mean(), abs=1e-4)
        assert point.precision == pytest.approx(hits[answered].mean(), abs=1e-4)
    assert curve[-1].precision > curve[0].precision
