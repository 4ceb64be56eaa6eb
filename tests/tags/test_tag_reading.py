"""Reading tags: every format by its own rules, each written by mutagen alone or by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mutagen import apev2, id3

import tag_files
from genrekit.errors import TagError
from genrekit.tags import formats
from genrekit.tags.formats import TagContents

OTHERS = {"artist": "Ärtist", "album": "The Album", "album_artist": "Various", "title": "A title"}


@pytest.fixture
def copied(every_format: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copy(every_format / request.param, tmp_path))


@pytest.mark.parametrize("copied", tag_files.FORMATS, indirect=True)
def test_a_file_without_tags(copied: Path) -> None:
    contents = formats.read(copied)
    assert contents.genres == contents.raw_genres == ()
    assert contents.artist is contents.album is contents.title is contents.provenance is None


@pytest.mark.parametrize(
    "copied", [name for name in tag_files.FORMATS if name != "id3v1.mp3"], indirect=True
)
def test_several_genres_and_the_other_fields(copied: Path) -> None:
    genres = ["Jazz", "Ambient Dub", "日本"]
    tag_files.tag(copied, genres, **OTHERS)
    assert formats.read(copied) == TagContents(tuple(genres), tuple(genres), **OTHERS)


@pytest.mark.parametrize("copied", ["id3v1.mp3"], indirect=True)
def test_id3v1_alone(copied: Path) -> None:
    tag_files.tag(copied, ["Rock"], artist="Someone", title="Song")
    contents = formats.read(copied)
    assert (contents.genres, contents.artist, contents.title) == (("Rock",), "Someone", "Song")


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (["(17)"], ["Rock"]),
        (["17"], ["Rock"]),
        (["(4)Eurodisco"], ["Disco", "Eurodisco"]),
        (["(51)(39)"], ["Techno-Industrial", "Noise"]),
        (["(RX)", "CR"], ["Remix", "Cover"]),
        (["((Foo)"], ["(Foo)"]),
        (["(250)", "Jazz"], ["Jazz"]),
        (["Rock; Pop", "rock"], ["Rock", "Pop"]),
        (["R&B/Soul"], ["R&B/Soul"]),
    ],
)
@pytest.mark.parametrize("copied", ["id3v23.mp3", "id3v24.mp3", "a.wav", "a.aiff"], indirect=True)
def test_numeric_and_joined_genres(copied: Path, raw: list[str], names: list[str]) -> None:
    tag_files.tag(copied, raw)
    contents = formats.read(copied)
    assert (list(contents.genres), list(contents.raw_genres)) == (names, raw)


def test_id3v2_counts_first_then_apev2_then_id3v1(every_format: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(every_format / "id3v23.mp3", tmp_path))
    tags = id3.ID3()
    tags.add(id3.TCON(encoding=0, text=["Blues"]))
    tags.save(path, v1=2)
    ape = apev2.APEv2()
    ape["Genre"] = "Jazz"
    data = path.read_bytes()
    path.write_bytes(data[:-128])
    ape.save(path)
    path.write_bytes(path.read_bytes() + data[-128:])
    assert formats.read(path).genres == ("Blues",)
    tags.delete(path, delete_v1=False)
    assert formats.read(path).genres == ("Jazz",)
    apev2.delete(path)
    path.write_bytes(path.read_bytes() + data[-128:])
    assert formats.read(path).genres == ("Blues",)


def test_a_wav_with_an_info_list(every_format: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(every_format / "a.wav", tmp_path))
    items = b"IART\x04\0\0\0Bob\0IGNR\x06\0\0\0Caf\xe9s\0"
    chunk = b"LIST" + (4 + len(items)).to_bytes(4, "little") + b"INFO" + items
    data = path.read_bytes() + chunk
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    contents = formats.read(path)
    assert (contents.genres, contents.artist) == (("Cafés",), "Bob")


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 99, b"fLaC\x00\x00", b"RIFF\x10\0\0\0WAVE", b"ID3"]
)
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".wma", ".ogg", ".wav", ".ape"])
def test_what_has_no_tags_is_refused_in_one_sentence(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(TagError, match="bad") as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TagError, match="is not a file"):
        formats.read(tmp_path / "absent.mp3")
