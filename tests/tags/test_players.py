"""Profiles for players, read back by each player's own rule, as the profile's sources state it.

The rules are written anew here, on what the files hold: the players themselves do not run in tests.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import mutagen
import pytest
from mutagen import id3, mp4

import odd_tags
import tag_files
from genrekit.tags import profiles, rewriting
from genrekit.tags.formats.base import StyleValues

GENRES = ["Rock", "Metal"]


def rewritten(every_format: Path, folder: Path, name: str, profile: str) -> Path:
    source = Path(shutil.copy(every_format / name, folder))
    tag_files.tag(source, ["Pop"], title="Song")
    target = folder / f"new-{name}"
    rewriting.rewrite(source, target, GENRES, "x", profiles.find(profile))
    return target


def tags_of(path: Path) -> object:
    if path.name == "new-apev2.mp3":
        return mutagen.apev2.APEv2(path)
    return id3.ID3(path, translate=False) if path.suffix == ".mp3" else mutagen.File(path).tags


def raw(path: Path) -> list[str]:
    """Return all values of the genre that a file holds."""
    tags = tags_of(path)
    if isinstance(tags, id3.ID3):
        return list(tags["TCON"].text)
    key = "\xa9gen" if isinstance(tags, mp4.MP4Tags) else "genre"
    return list(map(str, tags["WM/Genre" if path.suffix == ".wma" else key]))


def navidrome(path: Path) -> list[str]:
    """TagLib gives every value; the separators are ; / and comma."""
    return [part.strip() for value in raw(path) for part in re.split("[;/,]", value)]


def jellyfin(path: Path) -> list[str]:
    """ATL gives values of ID3v2.4, Vorbis comments and APEv2, and the first one of others."""
    tags, values = tags_of(path), raw(path)
    is_old = isinstance(tags, id3.ID3) and tags.version < (2, 4, 0)
    return values[:1] if is_old or isinstance(tags, mp4.MP4Tags) else values


def plex(path: Path) -> list[str]:
    """Its agent's own code: every value that mutagen gives, cut at slashes."""
    return [part.strip() for value in raw(path) for part in value.split("/")]


def first(path: Path) -> list[str]:
    """One genre a track: what a reader of one text shows, which may be several joined."""
    return raw(path)[:1]


MP4 = ("a.m4a", "alac.m4a", "faststart.m4a")
ID3 = ("id3v23.mp3", "id3v24.mp3", "id3v1.mp3", "three-tags.mp3", "a.aiff", "a.wav", "a.tta")
XIPH = ("a.flac", "a.ogg", "a.opus")
APE = ("apev2.mp3", "a.ape", "a.wv")


@pytest.mark.parametrize("name", tag_files.FORMATS)
def test_navidrome_reads_both_in_every_format(
    every_format: Path, tmp_path: Path, name: str
) -> None:
    assert navidrome(rewritten(every_format, tmp_path, name, "navidrome")) == GENRES


@pytest.mark.parametrize("name", [*ID3, *XIPH, *APE, *MP4])
def test_jellyfin_reads_both_but_in_mp4(every_format: Path, tmp_path: Path, name: str) -> None:
    found = jellyfin(rewritten(every_format, tmp_path, name, "jellyfin"))
    assert found == (GENRES[:1] if name in MP4 else GENRES)


def test_jellyfin_would_read_one_of_id3v23(every_format: Path, tmp_path: Path) -> None:
    """This is why it has a profile."""
    assert jellyfin(rewritten(every_format, tmp_path, "id3v23.mp3", "standard")) == GENRES[:1]


@pytest.mark.parametrize("name", ["id3v23.mp3", "id3v24.mp3", "a.aiff", "a.tta", *MP4, *XIPH[:2]])
def test_plex_reads_both(every_format: Path, tmp_path: Path, name: str) -> None:
    assert plex(rewritten(every_format, tmp_path, name, "plex")) == GENRES


@pytest.mark.parametrize("profile", ["itunes", "rekordbox"])
@pytest.mark.parametrize("name", tag_files.FORMATS)
def test_programs_of_one_genre_a_track_get_the_first(
    every_format: Path, tmp_path: Path, name: str, profile: str
) -> None:
    path = rewritten(every_format, tmp_path, name, profile)
    assert first(path) == raw(path) == GENRES[:1]


@pytest.mark.parametrize("profile", ["navidrome", "itunes", "standard"])
def test_a_new_grouping_stands_where_the_program_looks(
    every_format: Path, tmp_path: Path, profile: str
) -> None:
    wanted = "TIT1" if profile == "standard" else "GRP1"
    music, style = (every_format / "id3v24.mp3").read_bytes(), StyleValues("GROUPING", ("Metal",))
    for old in (None, b"TIT1", b"GRP1"):
        frames = [(b"TIT2", 0, b"\0Song")] + ([(old, 0, b"\0Old")] if old else [])
        path, target = tmp_path / "old.mp3", tmp_path / "new.mp3"
        path.write_bytes(odd_tags.id3(4, frames) + music)
        rewriting.rewrite(path, target, ["Rock"], "x", profiles.find(profile), style=style)
        found = {key: frame.text for key, frame in id3.ID3(target).items() if key[1:] != "IT2"}
        del found["TCON"], found["TXXX:GENREKIT"]
        assert found == {old.decode() if old else wanted: ["Metal"]}
        target.unlink()


def test_every_profile_for_a_player_says_where_its_facts_are_stated() -> None:
    players = {"navidrome", "jellyfin", "plex", "itunes", "rekordbox"}
    assert players <= set(profiles.names())
    assert all(profiles.find(name).sources for name in players)
    assert profiles.find("navidrome").cut(["AC/DC, live", "Rock"]) == ["AC/DC, live"]
    assert profiles.find("jellyfin").cut(["Hip-Hop/Rap"]) == []
