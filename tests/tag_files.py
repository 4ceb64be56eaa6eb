"""Audio files in every format that genrekit tags, for the tests of tags."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import mutagen
from mutagen import apev2, asf, flac, id3, mp4

from genrekit import demo
from genrekit.audio import packets
from genrekit.library import database
from genrekit.tagging import applying, journal, plan_files
from genrekit.tagging.plan_files import PlanEntry, StyleChange, TagPlan
from genrekit.tags import formats
from genrekit.tags.formats.base import StyleValues

FORMATS = [
    "id3v23.mp3",
    "id3v24.mp3",
    "id3v1.mp3",
    "apev2.mp3",
    "three-tags.mp3",
    "a.flac",
    "a.ogg",
    "a.opus",
    "a.m4a",
    "alac.m4a",
    "faststart.m4a",
    "a.wma",
    "a.wav",
    "a.aiff",
    "a.ape",
    "a.wv",
    "a.tta",
]
FFMPEG = {
    ".mp3": "-c:a libmp3lame",
    ".flac": "-c:a flac",
    ".ogg": "-c:a libvorbis",
    ".opus": "-c:a libopus",
    ".wma": "-c:a wmav2",
    ".wav": "-c:a pcm_s16le",
    ".aiff": "-c:a pcm_s16be",
    ".wv": "-c:a wavpack",
    ".tta": "-c:a tta",
}
APE = Path(__file__).parent / "golden" / "drums.ape"  # FFmpeg cannot write the format
PICTURE = b"\x89PNG\r\n\x1a\n" + hashlib.sha256(b"picture").digest() * 300


def make(folder: Path) -> None:
    """Write a second or less of music without tags in each of FORMATS, by the program ffmpeg."""
    wav = folder / "made.wav"
    demo_file = folder / "demo"
    demo.write(demo_file)
    source = ["ffmpeg", "-v", "error", "-nostdin", "-t", "1", "-i", demo_file / "drums.flac"]
    outputs: list[str | Path] = []
    for name in FORMATS:
        if name.endswith(".ape"):
            shutil.copy(APE, folder / name)
            continue
        codec = (
            "-c:a alac" if name.startswith("alac") else FFMPEG.get(Path(name).suffix, "-c:a aac")
        )
        plain = ["-id3v2_version", "0", "-write_id3v1", "0"] if name.endswith("mp3") else []
        if name.startswith("faststart"):
            plain = ["-movflags", "+faststart"]
        keep = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
        outputs += [*keep, *codec.split(), *plain, folder / name]
    subprocess.run([*source, *outputs], check=True)
    shutil.rmtree(demo_file)
    wav.unlink(missing_ok=True)


def tag(path: Path, genres: list[str], **others: str) -> None:
    """Write a genre and other fields by mutagen alone, in the kind of tag that the name says."""
    writers = {
        "id3v1.mp3": _id3v1,
        "apev2.mp3": _apev2,
        "three-tags.mp3": _three_tags,
        "id3v23.mp3": _id3v23,
    }
    writers.get(path.name, _own)(path, genres, others)


def _id3v1(path: Path, genres: list[str], others: dict[str, str]) -> None:
    tags = _frames(genres, others)
    tags.save(path, v1=2)
    tags.delete(path, delete_v1=False)


def _apev2(path: Path, genres: list[str], others: dict[str, str]) -> None:
    tags = apev2.APEv2()
    tags.update({key.replace("_", " ").title(): value for key, value in others.items()})
    tags["Genre"] = genres
    tags.save(path)


def _three_tags(path: Path, genres: list[str], others: dict[str, str]) -> None:
    """Write ID3v2.4 before the audio, APEv2 and then ID3v1 behind it."""
    _frames(genres, others).save(path, v1=2)
    data = path.read_bytes()
    path.write_bytes(data[:-128])
    _apev2(path, genres, others)
    path.write_bytes(path.read_bytes() + data[-128:])


def _id3v23(path: Path, genres: list[str], others: dict[str, str]) -> None:
    _frames(genres, others).save(path, v2_version=3, v23_sep=None)


def _frames(genres: list[str], others: dict[str, str]) -> id3.ID3:
    tags = id3.ID3()
    names = {"artist": id3.TPE1, "album": id3.TALB, "album_artist": id3.TPE2, "title": id3.TIT2}
    for key, value in others.items():
        tags.add(names[key](encoding=1, text=[value]))
    if genres:
        tags.add(id3.TCON(encoding=1, text=genres))
    return tags


def _own(path: Path, genres: list[str], others: dict[str, str]) -> None:
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, id3.ID3):
        file.tags.update(_frames(genres, others))
    elif isinstance(file.tags, mp4.MP4Tags):
        keys = {"artist": "\xa9ART", "album": "\xa9alb", "album_artist": "aART", "title": "\xa9nam"}
        file.tags.update(
            {keys[key]: [value] for key, value in others.items()} | {"\xa9gen": genres}
        )
    elif isinstance(file.tags, asf.ASFTags):
        keys = {"artist": "Author", "album": "WM/AlbumTitle", "album_artist": "WM/AlbumArtist"}
        file.tags.update({keys.get(key, "Title"): [value] for key, value in others.items()})
        file.tags["WM/Genre"] = genres
    elif isinstance(file.tags, apev2.APEv2):
        file.tags.update({key.replace("_", " ").title(): value for key, value in others.items()})
        file.tags["Genre"] = genres
    else:
        file.tags.update({key.replace("_", ""): [value] for key, value in others.items()})
        file.tags["genre"] = genres
    file.save()


def add_picture(path: Path) -> None:
    """Put a cover into a file whose format has such."""
    file = mutagen.File(path)
    if isinstance(file, flac.FLAC):
        picture = flac.Picture()
        picture.data, picture.type, picture.mime = PICTURE, 3, "image/png"
        file.add_picture(picture)
    elif isinstance(file.tags, id3.ID3):
        file.tags.add(id3.APIC(encoding=3, mime="image/png", type=3, desc="", data=PICTURE))
    elif isinstance(file.tags, mp4.MP4Tags):
        file.tags["covr"] = [mp4.MP4Cover(PICTURE, mp4.MP4Cover.FORMAT_PNG)]
    elif isinstance(file.tags, asf.ASFTags):
        file.tags["WM/Picture"] = [asf.ASFByteArrayAttribute(PICTURE)]
    elif isinstance(file.tags, apev2.APEv2):
        file.tags["Cover Art (Front)"] = apev2.APEValue(PICTURE, apev2.BINARY)
    file.save()


def there_and_back(
    path: Path,
    new: list[str],
    compare: Callable[[bytes], None] | None = None,
    style: StyleValues | None = None,
) -> None:
    """Plan, apply and undo one file; ``compare`` is called with what it is between."""
    before, status = path.read_bytes(), path.stat()
    copy = Path(shutil.copy(path, path.with_name(f"before-{path.name}")))
    entry = plan_entry(path, *new, style=style)
    plan_files.write(path.parent / "plan.jsonl", "standard", [entry])
    planned = plan_files.read(path.parent / "plan.jsonl")
    assert planned == TagPlan("standard", (entry,), planned.sha256)
    with database.opened(path.parent / "library.sqlite3") as connection:
        failures = applying.apply(connection, planned).failures
        assert not failures, failures
        field = style.field if style else None
        contents = formats.read(path, style_field=field)
        assert (contents.genres, contents.styles) == (tuple(new), style.values if style else ())
        assert formats.difference(copy, path, field) is None
        if compare:
            compare(path.read_bytes())
        failures = applying.undo(connection, journal.chosen(connection)).failures
        assert not failures, failures
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns


def plan_entry(path: Path, *new: str, style: StyleValues | None = None) -> PlanEntry:
    """Return the line of a plan that gives a file as it is now other genres, and a style."""
    status, change = path.stat(), None
    if style:
        old = formats.read(path, style_field=style.field).raw_styles
        change = StyleChange(field=style.field, old=old, new=style.values)
    return PlanEntry(
        path=str(path),
        audio_sha256=packets.digest(path),
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        old=formats.read(path).raw_genres,
        new=new or ("Jazz", "Ambient Dub"),
        why="",
        provenance='{"model": "x"}',
        style=change,
    )
