"""Evidence in plain terms: how many times it raises the odds of a genre."""

from __future__ import annotations

import math

# Shown beside axes in nats.
SCALE = "0.7 nats double the odds"
_STRENGTHS = ((1.5, "strongly"), (0.5, "clearly"), (0.05, "slightly"))  # nats from which on


def in_words(nats: float, genre: str) -> str:
    """Say what an amount of evidence means for a genre.

    Odds are p / (1 - p), and nats the logarithm of their ratio.

    >>> in_words(2.0, "rock")
    'strongly for rock: 7.4 times the odds (+2.00 nats)'
    >>> in_words(-0.6, "rock")
    'clearly against rock: the odds divided by 1.8 (-0.60 nats)'
    >>> in_words(0.01, "rock")
    'hardly matters (+0.01 nats)'
    """
    for least, strength in _STRENGTHS:
        if abs(nats) >= least:
            ratio = f"{math.exp(min(abs(nats), 20.0)):.1f}"
            side = "for" if nats > 0 else "against"
            odds = f"{ratio} times the odds" if nats > 0 else f"the odds divided by {ratio}"
            return f"{strength} {side} {genre}: {odds} ({nats:+.2f} nats)"
    return f"hardly matters ({nats:+.2f} nats)"
