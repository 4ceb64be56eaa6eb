"""Standardised columns, and layers on the raw ones."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit.training.standardising import standardise

RNG = np.random.default_rng(0)


def test_columns_have_mean_0_and_deviation_1_and_a_constant_one_is_0() -> None:
    columns = RNG.normal(3.0, 2.0, (50, 3))
    columns[:, 1] = 0.1 + 1e-7 * RNG.normal(size=50)  # constant but for rounding
    values = standardise(columns).values
    assert values.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-9)
    assert values.std(axis=0) == pytest.approx([1, 0, 1])


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_a_layer_on_raw_columns_says_what_it_says_on_standardised_ones(
    shape: tuple[int, ...],
) -> None:
    columns = RNG.normal(3.0, 2.0, (50, 3))
    columns[:, 1] = 0.1
    standardised = standardise(columns)
    weight, bias = RNG.normal(size=shape), RNG.normal(size=shape[1:])
    raw_weight, raw_bias = standardised.layer_on_raw(weight, bias)
    np.testing.assert_allclose(columns @ raw_weight + raw_bias, standardised.values @ weight + bias)
