"""A style in a field of its own: written beside the genre in every format, nothing else changed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import pytest
from mutagen import asf, id3, mp4

import odd_tags
import tag_files
from genrekit.errors import TagError
from genrekit.library import database
from genrekit.tagging import applying, journal
from genrekit.tagging.plan_files import TagPlan
from genrekit.tags import formats, profiles, rewriting, second_reader
from genrekit.tags.formats.base import STYLE_FIELDS, StyleField, StyleValues

STYLES = ("Thrash Metal", "Ömpah")
MP4_KEYS = {
    "STYLE": "----:com.apple.iTunes:STYLE",
    "GROUPING": "\xa9grp",
    "SUBGENRE": "----:com.apple.iTunes:SUBGENRE",
}


def tagged(every_format: Path, folder: Path, name: str) -> Path:
    path = Path(shutil.copy(every_format / name, folder))
    tag_files.tag(path, ["Pop"], title="Song", artist="Ärtist")
    return path


def read_by_mutagen(path: Path, field: str) -> list[str]:
    """Return the values of a style's field where each format's other programs look for it."""
    tags: Any = id3.ID3(path) if path.suffix == ".mp3" and "apev2" not in path.name else None
    if path.name == "apev2.mp3":
        tags = mutagen.apev2.APEv2(path)
    tags = tags or mutagen.File(path).tags
    if isinstance(tags, id3.ID3):
        return list(tags["TIT1" if field == "GROUPING" else f"TXXX:{field}"].text)
    if isinstance(tags, mp4.MP4Tags):
        return [v if isinstance(v, str) else bytes(v).decode() for v in tags[MP4_KEYS[field]]]
    if isinstance(tags, asf.ASFTags):
        field = "WM/ContentGroupDescription" if field == "GROUPING" else field
    return list(map(str, tags[field]))


@pytest.mark.parametrize("field", STYLE_FIELDS)
def test_every_format_takes_a_style_and_gives_every_byte_back(
    every_format: Path, tmp_path: Path, field: StyleField
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    paths = [tagged(every_format, music, name) for name in tag_files.FORMATS]
    before = [path.read_bytes() for path in paths]
    style = StyleValues(field, STYLES)
    entries = tuple(tag_files.plan_entry(path, "Rock", style=style) for path in paths)
    planned = TagPlan("standard", entries, "0" * 64)
    with database.opened(tmp_path / "library.sqlite3") as connection:
        assert applying.apply(connection, planned).failures == {}
        assert applying.verify(planned).failures == {}
        assert {path.name: read_by_mutagen(path, field) for path in paths} == {
            path.name: list(STYLES) for path in paths
        }
        assert applying.apply(connection, planned).changed == []
        assert applying.undo(connection, journal.chosen(connection)).failures == {}
    assert [path.read_bytes() for path in paths] == before


# Tags built by hand, which hold styles already, and how they are taken apart by hand again.
FRAMES = [
    (b"TIT2", 0, b"\0A title"),
    (b"TXXX", 0, b"\0STYLE\0Disco"),
    (b"TCON", 0, b"\0(17)"),
    (b"TXXX", 0, b"\0STYLIST\0kept"),
    (b"TIT1", 0, b"\0Old grouping"),
    (b"XYZ9", 0, b"odd"),
]
ITEMS = [(b"Title", 0, b"x"), (b"STYLE", 0, b"Disco"), (b"Odd", 2, b"\0\1"), (b"grouping", 0, b"")]
COMMENTS = [b"a=1", b"style=Disco", b"GENRE=Rock", b"caf\xe9", b"Style=Funk", b"GROUPING=old"]


def frames_of(version: int) -> list[tuple[bytes, int, bytes]]:
    return [frame for frame in FRAMES if version > 2 or frame[0] != b"TIT1"]


def freeform(name: bytes, *values: bytes) -> bytes:
    data = (odd_tags.atom(b"data", b"\0\0\0\1" + bytes(4) + value) for value in values)
    mean = odd_tags.atom(b"mean", bytes(4) + b"com.apple.iTunes")
    return odd_tags.atom(b"----", mean + odd_tags.atom(b"name", bytes(4) + name) + b"".join(data))


def odd_mp3(audio: bytes, version: int) -> bytes:
    return odd_tags.id3(version, frames_of(version), n_padding=40) + audio


def odd_mp4(plain: bytes) -> bytes:
    grouping = odd_tags.atom(
        b"\xa9grp", odd_tags.atom(b"data", b"\0\0\0\1" + bytes(4) + b"Old grouping")
    )
    return odd_tags.mp4(plain, [freeform(b"STYLE", b"Disco"), freeform(b"odd", b"x"), grouping], 50)


def odd_asf(plain: bytes) -> bytes:
    values = [("Style", "Disco"), ("WM/ContentGroupDescription", "Old"), ("odd", "x")]
    attributes = [(name, 0, f"{value}\0".encode("utf-16-le")) for name, value in values]
    return odd_tags.asf(plain, attributes, 100)


Rest = Callable[[bytes, bytes], list[bytes]]
BUILT: dict[str, tuple[str, Callable[[bytes], bytes], Rest, bytes, bytes]] = {
    **{
        f"id3v2.{version}": (
            "id3v24.mp3",
            lambda audio, version=version: odd_mp3(audio, version),
            lambda data, style: odd_tags.id3_rest(data, style)[0],
            b"STYLE\0",
            b"TIT1" if version > 2 else b"TT1",
        )
        for version in (2, 3, 4)
    },
    "apev2": (
        "a.wv",
        lambda audio: audio + odd_tags.ape(ITEMS),
        lambda data, style: odd_tags.ape_rest(data[data.index(b"APETAGEX") :], style),
        b"style",
        b"grouping",
    ),
    "flac": (
        "a.flac",
        lambda plain: odd_tags.flac(plain, COMMENTS, 300),
        odd_tags.flac_rest,
        b"style",
        b"grouping",
    ),
    "mp4": ("a.m4a", odd_mp4, odd_tags.mp4_rest, b"STYLE", b"\xa9grp"),
    "asf": (
        "a.wma",
        odd_asf,
        odd_tags.asf_rest,
        b"style",
        b"wm/contentgroupdescription",
    ),
}


@pytest.mark.parametrize("field", ["STYLE", "GROUPING"])
@pytest.mark.parametrize("kind", BUILT)
def test_a_reader_of_its_own_finds_all_else_as_it_was(
    every_format: Path, tmp_path: Path, kind: str, field: StyleField
) -> None:
    name, make, rest, *keys = BUILT[kind]
    key = keys[field == "GROUPING"]
    path = tmp_path / name
    path.write_bytes(content := make((every_format / name).read_bytes()))

    def compare(after: bytes) -> None:
        assert rest(after, key) == rest(content, key)
        assert len(re.findall(rb"T\0?h\0?r\0?a\0?s\0?h", after)) == 1
        assert b"Disco" not in after or field == "GROUPING"

    tag_files.there_and_back(path, ["Rock"], compare, StyleValues(field, STYLES))


def with_frames(every_format: Path, folder: Path, *frames: tuple[bytes, bytes]) -> Path:
    path = folder / "a.mp3"
    tag = odd_tags.id3(3, [(name, 0, b"\0" + text) for name, text in frames])
    path.write_bytes(tag + (every_format / "id3v24.mp3").read_bytes())
    return path


def test_the_grouping_that_itunes_wrote_stays_where_it_is(
    every_format: Path, tmp_path: Path
) -> None:
    """iTunes keeps its grouping in GRP1, and the work in TIT1."""
    path = with_frames(every_format, tmp_path, (b"TIT1", b"The work"), (b"GRP1", b"Old"))

    def compare(after: bytes) -> None:
        frames = id3.ID3(path)
        assert (frames["TIT1"].text, frames["GRP1"].text) == (["The work"], ["Metal"])

    tag_files.there_and_back(path, ["Rock"], compare, StyleValues("GROUPING", ("Metal",)))


def test_profiles_count_for_styles(every_format: Path, tmp_path: Path) -> None:
    path = tagged(every_format, tmp_path, "id3v24.mp3")
    for profile, expected in (
        ("standard", ["Metal", "Funk"]),
        ("id3v23-semicolon", ["Metal; Funk"]),
        ("one-genre", ["Metal"]),
    ):
        target = tmp_path / "new.mp3"
        style = StyleValues("STYLE", ("Metal", "Funk"))
        rewriting.rewrite(path, target, ["Rock"], "x", profiles.find(profile), style=style)
        assert id3.ID3(target)["TXXX:STYLE"].text == expected
        target.unlink()


def test_a_style_that_is_taken_away(every_format: Path, tmp_path: Path) -> None:
    path = with_frames(every_format, tmp_path, (b"TXXX", b"Style\0Metal"), (b"TIT2", b"A title"))
    target = tmp_path / "new.mp3"
    rewriting.rewrite(path, target, ["Rock"], "x", profiles.find(), style=StyleValues("STYLE", ()))
    assert sorted(id3.ID3(target)) == ["TCON", "TIT2", "TXXX:GENREKIT"]


@pytest.mark.parametrize("name", ["id3v24.mp3", "a.flac", "a.m4a", "a.wma", "a.wv"])
def test_a_style_changes_only_where_it_is_named(
    every_format: Path, tmp_path: Path, name: str
) -> None:
    """Both comparisons notice a style that nobody asked for, and another field beside one."""
    path = tagged(every_format, tmp_path, name)
    target = tmp_path / f"new-{name}"
    style = StyleValues("STYLE", ("Metal",))
    rewriting.rewrite(path, target, ["Rock"], "x", profiles.find(), style=style)
    for difference in (formats.difference, second_reader.difference):
        assert difference(path, target, "STYLE") is None
        assert difference(path, target) is not None
        assert difference(path, target, "GROUPING") is not None


@pytest.mark.parametrize("style", ["A;B", " spaced"])
def test_a_style_that_would_read_as_another_is_refused(
    every_format: Path, tmp_path: Path, style: str
) -> None:
    path = tagged(every_format, tmp_path, "a.flac")
    target = tmp_path / "new.flac"
    with pytest.raises(TagError, match=r"the STYLE '.*' was written and .* read back"):
        rewriting.rewrite(
            path, target, ["Rock"], "x", profiles.find(), style=StyleValues("STYLE", (style,))
        )


@pytest.mark.parametrize(
    ("name", "field", "key"),
    [
        ("id3v24.mp3", "STYLE", "STYLE"),
        ("id3v24.mp3", "GROUPING", "grouping"),
        ("a.flac", "STYLE", "STYLE"),
        ("a.flac", "GROUPING", "GROUPING"),
        ("a.m4a", "GROUPING", "grouping"),
        ("a.m4a", "STYLE", "STYLE"),
        ("a.wv", "STYLE", "Style"),
        ("a.wma", "STYLE", "STYLE"),
    ],
)
def test_ffmpeg_reads_the_style(
    every_format: Path, tmp_path: Path, name: str, field: StyleField, key: str
) -> None:
    path = tagged(every_format, tmp_path, name)
    target = tmp_path / f"new-{name}"
    style = StyleValues(field, ("Metal",))
    rewriting.rewrite(path, target, ["Rock"], "x", profiles.find(), style=style)
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", target]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    tags = {k.lower(): v for k, v in json.loads(done.stdout)["format"]["tags"].items()}
    assert (tags["genre"], tags[key.lower()]) == ("Rock", "Metal")
