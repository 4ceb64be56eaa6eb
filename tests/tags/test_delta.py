"""The recipe that turns new bytes into old ones: exact for any bytes, small for retagged files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genrekit.tags import delta

AUDIO = np.random.default_rng(0).bytes(300_000)
PICTURE = np.random.default_rng(1).bytes(50_000)


def restored(folder: Path, old: bytes, new: bytes) -> tuple[bytes, int]:
    """Return what comes of the new bytes and their recipe, and the recipe's size."""
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(new)
    recipe = delta.make(folder / "old", folder / "new")
    result = io.BytesIO()
    delta.restore(recipe, folder / "new", result)
    return result.getvalue(), len(recipe)


def pages(audio: bytes, first_number: int) -> bytes:
    """Cut audio as Ogg does: a numbered header with a checksum every 4 KB."""
    found = b""
    for start in range(0, len(audio), 4096):
        number = (first_number + start).to_bytes(4, "little")
        found += b"OggS" + number + number[::-1] + audio[start : start + 4096]
    return found


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (AUDIO, AUDIO),
        (b"", AUDIO),
        (AUDIO, b""),
        (b"", b""),
        (b"old" + PICTURE + AUDIO, b"new genre" + PICTURE + bytes(900) + AUDIO),
        (PICTURE + b"Rock" + AUDIO, b"Jazz, Funk" + PICTURE + AUDIO),
        (AUDIO + b"TAG" + bytes(125), AUDIO + b"APETAGEX" + PICTURE[:99] + b"TAG" + bytes(125)),
        (b"RIFF1234" + AUDIO, b"RIFF9876" + AUDIO + b"id3 genre"),
        (b"genre" + pages(AUDIO, 3), b"another genre" + pages(AUDIO, 4)),
    ],
)
def test_exact_and_small(tmp_path: Path, old: bytes, new: bytes) -> None:
    back, n_bytes = restored(tmp_path, old, new)
    assert back == old
    if len(new) > 1000:
        assert n_bytes < 3000


def test_what_is_gone_is_kept(tmp_path: Path) -> None:
    back, n_bytes = restored(tmp_path, PICTURE + AUDIO, AUDIO)
    assert back == PICTURE + AUDIO
    assert len(PICTURE) < n_bytes < len(PICTURE) + 1000


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.binary(max_size=200)), max_size=8), st.data())
def test_exact_for_any_bytes(tmp_path: Path, parts: list, data: st.DataObject) -> None:
    parts_of = {"A": AUDIO[:500], "B": PICTURE[:300], "C": bytes(200)}
    pieces = [parts_of[letter] + rest for letter, rest in parts]
    old, new = b"".join(pieces), b"".join(data.draw(st.permutations(pieces)))
    assert restored(tmp_path, old, new)[0] == old
