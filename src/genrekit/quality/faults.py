"""Files that are no music to learn from: unreadable, cut short, silent, clipped, of odd length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from genrekit.quality.findings import SILENT, UNREADABLE, Finding
from genrekit.quality.measurements import FULL_SCALE, Measurements

SILENCE_PEAK = 1e-4  # -80 dB re full scale
# No clip of GTZAN or FMA here has more than 0.8 % of its samples at full scale.
CLIPPED_SHARE = 0.01
# Where nearly all tracks are equally long, a shorter one has lost its end.
_USUAL_SHARE, _USUAL_TOLERANCE, _CUT_BELOW = 0.9, 0.05, 0.9
_MIN_USUAL = 10  # fewer tracks have no usual length


@dataclass(frozen=True)
class FaultLimits:
    """Lengths in seconds between which a file may be one piece of music."""

    min_seconds: float = 5.0
    max_seconds: float = 1200.0


def find(heard: Mapping[str, Measurements | str], limits: FaultLimits) -> Iterator[Finding]:
    """Yield what is wrong with single files.

    Args:
        heard: track_id -> what was heard, or why it could not be.
        limits: lengths outside of which a file is named.

    Yields:
        One finding a file and fault; clipped ones exclude nothing, because loud masters are music.
    """
    usual_seconds = _usual(
        [its.duration_seconds for its in heard.values() if isinstance(its, Measurements)]
    )
    for track_id, its in heard.items():
        if isinstance(its, str):
            yield Finding(UNREADABLE, (track_id,), its, (track_id,))
        else:
            yield from _of_one(track_id, its, limits, usual_seconds)


def _of_one(
    track_id: str, heard: Measurements, limits: FaultLimits, usual_seconds: float | None
) -> Iterator[Finding]:
    seconds = heard.duration_seconds
    faults = []
    if heard.damage:
        faults.append(("damaged", "; ".join(heard.damage)))
    if heard.peak < SILENCE_PEAK:
        faults.append((SILENT, "no sample is louder than -80 dB"))
    if seconds < limits.min_seconds:
        faults.append(("too short", f"{seconds:.2f} s; music has {limits.min_seconds:g} s or more"))
    elif usual_seconds and seconds < _CUT_BELOW * usual_seconds:
        faults.append(
            ("truncated", f"{seconds:.2f} s, where nearly all others have {usual_seconds:.2f} s")
        )
    if seconds > limits.max_seconds:
        faults.append(
            ("too long", f"{seconds:.0f} s; one piece has {limits.max_seconds:g} s or less")
        )
    for check, reason in faults:
        yield Finding(check, (track_id,), reason, (track_id,))
    if heard.at_full_scale > CLIPPED_SHARE:
        share = (
            f"{100 * heard.at_full_scale:.1f} % of its samples are at {FULL_SCALE} of full scale"
        )
        yield Finding("clipped", (track_id,), f"{share} or above")


def _usual(lengths: list[float]) -> float | None:
    """Return the length that at least 90 % of the tracks have to 5 %, if there is one."""
    if len(lengths) < _MIN_USUAL:
        return None
    seconds = np.array(lengths)
    median = float(np.median(seconds))
    near = np.abs(seconds - median) <= _USUAL_TOLERANCE * median
    return median if near.mean() >= _USUAL_SHARE else None
