"""Writing tags: only the genre changes, in every format, and readers other than mutagen see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import IO

import mutagen
import pytest
from mutagen import apev2, id3
from mutagen.flac import FLAC

import tag_files
from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.tags import formats, profiles, rewriting, second_reader
from genrekit.tags.formats.contents import TagContents

STANDARD = profiles.find()
PROVENANCE = '{"model": "fast", "genres": {"jazz": 0.83}}'
OTHERS = {"artist": "Ärtist", "album": "The Album", "album_artist": "Various", "title": "A title"}


@pytest.fixture(scope="module")
def made(every_format: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every format, with an old genre, other fields and, where the format has such, a picture."""
    folder = tmp_path_factory.mktemp("made") / "music"
    shutil.copytree(every_format, folder)
    for name in tag_files.FORMATS:
        tag_files.tag(folder / name, ["Rock"], **OTHERS)
        if name not in {"id3v1.mp3", "apev2.mp3", "id3v23.mp3"}:
            tag_files.add_picture(folder / name)
    return folder


def rewrite(source: Path, folder: Path, *genres: str, profile: str = "standard") -> Path:
    target = folder / f"new{source.suffix}"
    rewriting.rewrite(source, target, genres, PROVENANCE, profiles.find(profile))
    return target


def ffprobe(path: Path) -> dict[str, str]:
    """Return the tags that FFmpeg reads of a file, lower case, of its container or its stream."""
    command = ["ffprobe", "-v", "error", "-print_format", "json", "-show_format", "-show_streams"]
    done = subprocess.run([*command, path], capture_output=True, check=True, timeout=30)
    answer = json.loads(done.stdout)
    audio = next(stream for stream in answer["streams"] if stream["codec_type"] == "audio")
    tags = audio.get("tags", {}) | answer["format"].get("tags", {})
    return {key.lower(): value for key, value in tags.items()}


@pytest.mark.parametrize("name", tag_files.FORMATS)
def test_nothing_but_the_genre_changes(made: Path, tmp_path: Path, name: str) -> None:
    before = (made / name).read_bytes()
    target = rewrite(made / name, tmp_path, "Jazz", "Ambient Dub")
    assert (made / name).read_bytes() == before
    contents = formats.read(target)
    assert contents.genres == ("Jazz", "Ambient Dub")
    assert contents.provenance == PROVENANCE
    expected = {key: OTHERS[key] for key in OTHERS if name != "id3v1.mp3" or key != "album_artist"}
    assert {key: getattr(contents, key) for key in expected} == expected
    assert packets.digest(target) == packets.digest(made / name)
    has_picture = name not in {"id3v1.mp3", "apev2.mp3", "id3v23.mp3"} and ".og" not in name
    if has_picture and not name.endswith(("opus", "tta")):
        assert tag_files.PICTURE in target.read_bytes()


def is_id3(name: str) -> bool:
    return name.endswith(("mp3", "wav", "aiff", "tta")) and name != "apev2.mp3"


# FFmpeg does not read APEv2 in MP3.
READ_BACK = [(name, "one-genre") for name in tag_files.FORMATS if name != "apev2.mp3"]
READ_BACK += [
    (name, profile)
    for name in ("id3v24.mp3", "id3v23.mp3", "a.wav", "a.flac", "a.opus", "a.m4a", "a.wma", "a.wv")
    for profile in profiles.names()
    if profile != "one-genre" and (is_id3(name) or "id3" not in profile)
]


@pytest.mark.parametrize(("name", "profile"), READ_BACK)
def test_ffmpeg_reads_the_genre_and_the_other_fields(
    made: Path, tmp_path: Path, name: str, profile: str
) -> None:
    shown = ffprobe(rewrite(made / name, tmp_path, "Jazz", "Pop", profile=profile))
    chosen = profiles.find(profile)
    separator = chosen.id3_separator if is_id3(name) else chosen.separator
    if chosen.max_genres == 1:
        assert shown["genre"] == "Jazz"
    elif separator:
        assert shown["genre"] == separator.join(["Jazz", "Pop"])
    else:  # FFmpeg joins several values by ";", or knows only one of them
        assert set(shown["genre"].split(";")) <= {"Jazz", "Pop"}
    assert (shown["title"], shown["album"]) == ("A title", "The Album")
    assert shown.get("artist", shown.get("author")) == "Ärtist"


def test_an_mp3_with_apev2_alone_keeps_it_alone(made: Path, tmp_path: Path) -> None:
    """An ID3v2 tag with nothing but a genre would hide the title from players."""
    data = rewrite(made / "apev2.mp3", tmp_path, "Jazz", "Pop").read_bytes()
    assert b"Genre\0Jazz\0Pop" in data
    assert b"ID3" not in data


@pytest.mark.parametrize(("profile", "version"), [("id3v23-semicolon", 3), ("id3v24", 4)])
@pytest.mark.parametrize("name", ["id3v23.mp3", "id3v24.mp3", "id3v1.mp3", "a.aiff"])
def test_profiles_set_the_version_of_id3(
    made: Path, tmp_path: Path, name: str, profile: str, version: int
) -> None:
    target = rewrite(made / name, tmp_path, "Jazz", "Pop", profile=profile)
    data = target.read_bytes()
    place = data.index(b"ID3 ") + 8 if b"ID3 " in data else data.index(b"ID3")
    assert (data[place : place + 3], data[place + 3]) == (b"ID3", version)
    assert formats.read(target).genres == ("Jazz", "Pop")


@pytest.mark.parametrize("name", ["id3v23.mp3", "id3v24.mp3"])
def test_the_version_of_id3_is_kept(made: Path, tmp_path: Path, name: str) -> None:
    target = rewrite(made / name, tmp_path, "Jazz")
    assert target.read_bytes()[3] == (made / name).read_bytes()[3] == int(name[5])


@pytest.mark.skipif(shutil.which("metaflac") is None, reason="needs the metaflac program")
def test_metaflac_reads_several_genres_and_the_picture(made: Path, tmp_path: Path) -> None:
    target = rewrite(made / "a.flac", tmp_path, "Jazz", "Ambient Dub")
    shown = subprocess.run(
        ["metaflac", "--show-tag=GENRE", target], capture_output=True, check=True, text=True
    )
    assert shown.stdout.splitlines() == ["genre=Jazz", "genre=Ambient Dub"]
    subprocess.run(["metaflac", f"--export-picture-to={tmp_path / 'cover'}", target], check=True)
    assert (tmp_path / "cover").read_bytes() == tag_files.PICTURE


def test_every_place_of_an_mp3_that_holds_a_genre(made: Path, tmp_path: Path) -> None:
    """ID3v2 and APEv2 get the genre, ID3v1 its number; nothing else of ID3v1 and APEv2 changes."""
    path = Path(shutil.copy(made / "apev2.mp3", tmp_path))
    tags = id3.ID3()
    tags.add(id3.TCON(encoding=0, text=["Rock"]))
    tags.save(path, v1=1)
    v1 = b"TAG" + b"other title".ljust(30, b"\0") + bytes(94) + b"\x11"
    path.write_bytes(path.read_bytes() + v1)
    target = rewrite(path, tmp_path, "Jazz")
    assert target.read_bytes()[-128:] == v1[:-1] + b"\x08"
    ape = apev2.APEv2(target)
    assert (list(ape["Genre"]), str(ape["Album"])) == (["Jazz"], "The Album")
    assert id3.ID3(target, load_v1=False)["TCON"].text == ["Jazz"]
    target.unlink()
    assert rewrite(path, tmp_path, "Zouk").read_bytes()[-1] == 255


def test_frames_that_a_version_lacks_are_kept_or_the_file_is_left_alone(
    made: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(made / "id3v24.mp3", tmp_path))
    tags = id3.ID3(path)
    tags.add(id3.TSOP(encoding=3, text=["Sort"]))
    tags.add(id3.TDRC(encoding=3, text=["2001-05-03"]))
    tags.save(path)
    target = rewrite(path, tmp_path, "Jazz", profile="id3v23-semicolon")
    after = id3.ID3(target)
    assert (after["TSOP"].text, str(after["TDRC"])) == (["Sort"], "2001-05-03")
    target.unlink()
    tags.add(id3.TDRC(encoding=3, text=["2001-05"]))  # ID3v2.3 has no month without a day
    tags.save(path)
    with pytest.raises(TagError, match="would change date as well"):
        rewrite(path, tmp_path, "Jazz", profile="id3v23-semicolon")


def id3v22(music: bytes, *frames: tuple[bytes, bytes]) -> bytes:
    content = b"".join(
        name + (1 + len(text)).to_bytes(3, "big") + b"\0" + text for name, text in frames
    )
    return b"ID3\2\0\0\0\0\0" + bytes([len(content)]) + content + music


def test_id3v22_stays_what_it_is(made: Path, tmp_path: Path) -> None:
    path, music = tmp_path / "old.mp3", (made / "id3v1.mp3").read_bytes()[:-128]
    path.write_bytes(id3v22(music, (b"TT2", b"A title"), (b"TCO", b"(17)"), (b"TYE", b"1999")))
    assert formats.read(path).genres == ("Rock",)
    target = rewrite(path, tmp_path, "Jazz")
    new = [(b"TT2", b"A title"), (b"TCO", b"Jazz"), (b"TXX", b"GENREKIT\0" + PROVENANCE.encode())]
    assert target.read_bytes() == id3v22(music, *new, (b"TYE", b"1999"))
    assert id3.ID3(target)["TCON"].text == ["Jazz"]
    target.unlink()
    after = id3.ID3(rewrite(path, tmp_path, "Jazz", profile="id3v24"))
    assert (after.version, after["TIT2"].text, str(after["TDRC"])) == (
        (2, 4, 0),
        ["A title"],
        "1999",
    )


def test_a_damaged_frame_is_kept_as_it_is(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made / "id3v24.mp3", tmp_path))
    data = path.read_bytes()
    place = data.index(b"TALB") + 10
    path.write_bytes(data[:place] + b"\x99" + data[place + 1 :])  # no such text encoding
    frame = path.read_bytes()[place - 10 : place + 20]
    target = rewrite(path, tmp_path, "Jazz")
    assert frame in target.read_bytes()
    target.unlink()
    with pytest.raises(TagError, match=r"frames \(TALB\) that would be lost"):
        rewrite(path, tmp_path, "Rock", profile="id3v23-semicolon")


@pytest.mark.parametrize(
    ("genre", "reason"),
    [
        ("17", "Rock read back: ID3 takes numbers"),
        ("(17)", "Rock read back: ID3 takes numbers"),
        ("Rock;Pop", "Rock, Pop read back: a semicolon"),
        (" Rock", "Rock read back: spaces"),
    ],
)
def test_a_name_that_would_be_read_as_another_is_refused(
    made: Path, tmp_path: Path, genre: str, reason: str
) -> None:
    with pytest.raises(TagError, match=reason) as caught:
        rewrite(made / "id3v24.mp3", tmp_path, genre)
    assert str(tmp_path) not in str(caught.value)


def test_an_author_that_stands_twice_in_a_wma(made: Path, tmp_path: Path) -> None:
    """FFmpeg writes it twice; the second moves to another object of the header, as the same."""
    path = Path(shutil.copy(made / "a.wma", tmp_path))
    command = ["ffmpeg", "-v", "error", "-i", made / "a.wma", "-c", "copy"]
    subprocess.run([*command, "-metadata", "artist=Someone", "-y", path], check=True)
    assert len(mutagen.File(path)["Author"]) == 2
    assert len(mutagen.File(rewrite(path, tmp_path, "Jazz"))["Author"]) == 2


def test_flac_keeps_its_other_blocks(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made / "a.flac", tmp_path))
    if shutil.which("metaflac"):
        subprocess.run(["metaflac", "--add-seekpoint=10x", path], check=True)
    codes = [block.code for block in FLAC(path).metadata_blocks if block.code != 1]
    target = rewrite(path, tmp_path, "Jazz")
    assert [block.code for block in FLAC(target).metadata_blocks if block.code != 1] == codes


@pytest.mark.skipif(os.name == "nt", reason="modes and times of POSIX")
def test_mode_and_times_are_copied(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made / "a.flac", tmp_path / "old.flac"))
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 1))
    if hasattr(os, "setxattr"):
        os.setxattr(path, "user.note", b"kept")
    status = rewrite(path, tmp_path, "Jazz").stat()
    assert status.st_mode & 0o777 == 0o640
    if hasattr(os, "getxattr"):
        assert os.getxattr(tmp_path / "new.flac", "user.note") == b"kept"


def test_a_copy_never_overwrites(made: Path, tmp_path: Path) -> None:
    (tmp_path / "new.flac").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        rewrite(made / "a.flac", tmp_path, "Jazz")
    assert (tmp_path / "new.flac").read_bytes() == b"precious"


def test_audio_that_would_change_is_noticed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(source: Path, stream: IO[bytes], *rest: object) -> None:
        write(source, stream, *rest)
        stream.flush()
        path = Path(stream.name)
        data = bytearray(path.read_bytes())
        data[-1000] ^= 1
        path.write_bytes(data)

    write = formats.write
    monkeypatch.setattr(formats, "write", spoil)
    with pytest.raises(TagError, match="would change audio as well"):
        rewrite(made / "a.flac", tmp_path, "Jazz")


def test_another_tag_that_would_change_is_noticed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(source: Path, stream: IO[bytes], *rest: object) -> None:
        write(source, stream, *rest)
        stream.flush()
        file = mutagen.File(stream.name)
        file["title"] = ["Another"]
        file.save()

    write = formats.write
    monkeypatch.setattr(formats, "write", spoil)
    with pytest.raises(TagError, match="would change comment title as well"):
        rewrite(made / "a.flac", tmp_path, "Jazz")


@pytest.mark.parametrize("name", ["id3v24.mp3", "a.flac", "a.ogg", "a.m4a", "a.wma", "a.wv"])
def test_what_our_own_readers_would_overlook_mutagen_notices(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made / name
    copy = Path(shutil.copy(path, tmp_path / name))
    tag_files.tag(copy, ["Jazz"], **OTHERS)
    assert second_reader.difference(path, copy) is None, "the genre alone is another one"
    tag_files.tag(copy, ["Jazz"], **(OTHERS | {"title": "Another"}))
    assert second_reader.difference(path, copy) is not None
    monkeypatch.setattr(formats, "difference", lambda before, after, field: None)
    monkeypatch.setattr(formats, "write", lambda source, stream, *_: stream.write(spoiled))
    spoiled = copy.read_bytes()
    read_back = TagContents(("Jazz",), provenance=PROVENANCE)
    monkeypatch.setattr(formats, "read", lambda path, style_field: read_back)
    with pytest.raises(TagError, match=r"would change .* as well, so it is left alone"):
        rewrite(path, tmp_path, "Jazz")
