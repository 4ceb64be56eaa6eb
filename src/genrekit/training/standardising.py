"""Standardise columns, and take a linear layer on standardised columns back to the raw ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_CONSTANT = 1e-4


@dataclass(frozen=True)
class Standardised:
    """Columns of mean 0 and standard deviation 1, and what they were made by.

    Attributes:
        values: (raw - mean) * scale. Shape (n, d).
        mean: of each column. Shape (d,).
        scale: one over each standard deviation, 0 for a constant column. Shape (d,).
    """

    values: Floats
    mean: Floats
    scale: Floats

    def layer_on_raw(
        self, weight: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights and bias that give on raw columns what these give on the values.

        Args:
            weight: shape (d,) or (d, n_labels).
            bias: a scalar, or shape (n_labels,).
        """
        raw: NDArray[np.float64] = (weight.T * self.scale).T
        return raw, bias - self.mean @ raw


def standardise(columns: Floats) -> Standardised:
    """Standardise columns, shape (n, d).

    A constant column has no information, and becomes 0; dividing it by its rounding errors would
    add some.
    """
    mean, std = columns.mean(axis=0), columns.std(axis=0)
    varies = std > _CONSTANT * (1 + np.abs(mean))
    std = np.where(varies, std, 1)
    return Standardised((columns - mean) / std * varies, mean, varies / std)
