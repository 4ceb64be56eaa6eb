"""Monkey's Audio from a real encoder is decoded to the samples that were encoded."""

from __future__ import annotations

import numpy as np
from make_ape import RECORDED, samples

from genrekit import audio

# Half a step of 16 bits for the rounding, and as much for drums that another machine makes.
TOLERANCE = 1 / 32768


def test_every_sample_is_the_encoded_one() -> None:
    decoded = audio.load(RECORDED)
    assert decoded.shape == samples().shape
    assert np.abs(decoded - samples()).max() <= TOLERANCE
