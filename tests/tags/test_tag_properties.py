"""Whatever the tags hold: plan, apply and undo change the genre only, and give every byte back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import mutagen
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import id3, mp4

import tag_files

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAMES = st.text("aB éß日🎵&-'/!.", min_size=1, max_size=20).map(str.strip).filter(bool)
FIELDS = st.fixed_dictionaries(
    {}, optional={key: TEXT for key in ("artist", "album", "album_artist", "title")}
)
NEW = st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold)


def add_more(path: Path, comment: str, cover: bytes) -> None:
    """Add a comment and a picture by the format's own tags, where there are some."""
    file = mutagen.File(path)
    if isinstance(file.tags, id3.ID3):
        file.tags.add(id3.COMM(encoding=3, lang="eng", desc="", text=[comment]))
        file.tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc=comment, data=cover))
    elif isinstance(file.tags, mp4.MP4Tags):
        file.tags["\xa9cmt"], file.tags["covr"] = [comment], [cover]
    else:
        file.tags["Comment"] = [comment]
    file.save()


def check(path: Path, old: list[str], fields: dict[str, str], new: list[str], more: bytes) -> None:
    tag_files.tag(path, old, **fields)
    if path.name not in {"id3v1.mp3", "apev2.mp3", "id3v23.mp3"} and more:
        add_more(path, more.hex(), more)
    tag_files.there_and_back(path, new)


def any_tags(every_format: Path, folder: Path, name: str, n_examples: int) -> None:
    """Try one format with as many random tags."""

    @settings(
        max_examples=n_examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(st.lists(TEXT, max_size=3), FIELDS, NEW, st.binary(max_size=3000))
    def run(old: list[str], fields: dict[str, str], new: list[str], more: bytes) -> None:
        path = Path(shutil.copy(every_format / name, folder))
        os.utime(path, ns=(0, 10**18))
        check(path, old, fields, new, more)

    run()


@pytest.mark.parametrize("name", tag_files.FORMATS)
def test_any_tags(every_format: Path, tmp_path: Path, name: str) -> None:
    any_tags(every_format, tmp_path, name, 4)


@pytest.mark.full
@pytest.mark.parametrize("name", tag_files.FORMATS)
def test_a_thousand_times_any_tags(every_format: Path, tmp_path: Path, name: str) -> None:
    any_tags(every_format, tmp_path, name, 1000 // len(tag_files.FORMATS))
