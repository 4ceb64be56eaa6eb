"""exiftool, id3v2, AtomicParsley and FFmpeg see the genre change, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import odd_tags
import tag_files
from genrekit.tags import formats, profiles, rewriting

# What follows from the file's length or place, or is ours.
IGNORED = re.compile(
    r"Genre|Genrekit|GENREKIT|UserDefinedText|SourceFile|Directory|File(Name|Size|Length|.*Date)"
    r"|FilePermissions|Padding|Free|ID3Size|Unknown_ID3|ChunkOffset|MediaDataOffset|.*_tfhd|.*_mfra|Vendor|Duration"
)
FFMPEG = {
    "video.ogv": "-f lavfi -i testsrc=d=1:s=64x64:r=5 -c:v libtheora -c:a libvorbis",
    "flac.oga": "-c:a flac",
    "fragments.m4a": "-c:a aac -movflags frag_keyframe+empty_moov",
    "rf64.wav": "-c:a pcm_s16le -rf64 always",
    "mpeg.wav": "-c:a libmp3lame",
}
TAGS = {"genre": "Rock", "title": "A title", "artist": "Ärtist", "date": "1999"}


def run(*command: object) -> str:
    return subprocess.run(
        list(map(str, command)), capture_output=True, check=False, timeout=60, encoding="utf-8"
    ).stdout


def made(every_format: Path, folder: Path, name: str) -> Path:
    """Return a tagged file, made by FFmpeg or by mutagen."""
    path = folder / name
    if name not in FFMPEG:
        shutil.copy(every_format / name, path)
        tag_files.tag(path, ["Rock"], title="A title", artist="Ärtist")
        return path
    metadata = [part for pair in TAGS.items() for part in ("-metadata", "=".join(pair))]
    source = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run([*source, *FFMPEG[name].split(), *metadata, path], check=True)
    return path


def exiftool(*paths: Path) -> list[tuple[dict[str, Any], set[str]]]:
    """Return, for each file, all that exiftool reads but the genre, and the genres."""
    found = []
    for fields in json.loads(run("exiftool", "-j", "-G4", "-a", "-u", "-b", *paths)):
        names = {key: key.split(":")[-1] for key in fields}
        genres = {str(fields[key]) for key, name in names.items() if name == "Genre"}
        others = {k: v for k, v in fields.items() if not IGNORED.fullmatch(names[k])}
        found.append((others, genres))
    return found


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize(
    "name", [n for n in (*tag_files.FORMATS, *FFMPEG) if n not in ("a.tta", "id3v1.mp3")]
)
def test_exiftool_and_ffmpeg(every_format: Path, tmp_path: Path, name: str) -> None:
    path = made(every_format, tmp_path, name)
    target = tmp_path / f"new{path.suffix}"
    rewriting.rewrite(path, target, ["Jazz"], '{"model": "x"}', profiles.find())
    (before, _), (after, genres) = exiftool(path, target)
    assert after == before
    assert genres in ({"Jazz"}, set())  # it reads no genre in some kinds
    shown = json.loads(
        run("ffprobe", "-v", "0", "-of", "json", "-show_format", "-show_streams", target)
    )
    tags = [part.get("tags", {}) for part in (*shown["streams"], shown["format"])]
    genres = {value for part in tags for key, value in part.items() if key.lower() == "genre"}
    assert genres == {"Jazz"} or (name == "apev2.mp3" and not genres)


@pytest.mark.skipif(shutil.which("id3v2") is None, reason="needs id3v2")
def test_id3v2_lists_the_same_frames(every_format: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.mp3"
    frames = [
        (b"TIT2", 0, b"\0A title"),
        (b"TCON", 0, b"\0(17)"),
        (b"TPE1", 0, b"\0B"),
        (b"TYER", 0, b"\x00ca. 1967"),
    ]
    music = (every_format / "id3v24.mp3").read_bytes()
    v1 = b"TAG" + b"A title".ljust(30, b"\0") + bytes(94) + b"\x11"
    path.write_bytes(odd_tags.id3(3, frames, n_padding=200) + music + v1)
    target = tmp_path / "new.mp3"
    rewriting.rewrite(path, target, ["Jazz"], "x", profiles.find())
    old, new = run("id3v2", "-l", path), run("id3v2", "-l", target)
    assert "Genre: Rock (17)" in old
    assert "Genre: Jazz (8)" in new
    ours = ("TXXX", "TCON", f"id3v1 tag info for {path}", f"id3v2 tag info for {path}")
    kept = [line for line in old.splitlines() if not line.startswith(ours) and "Genre" not in line]
    assert "TYER (Year): ca. 1967" in kept
    assert [line for line in kept if line not in new.splitlines()] == []


@pytest.mark.skipif(shutil.which("AtomicParsley") is None, reason="needs AtomicParsley")
@pytest.mark.parametrize("name", ["a.m4a", "faststart.m4a", "alac.m4a"])
def test_atomicparsley_lists_the_same_atoms(every_format: Path, tmp_path: Path, name: str) -> None:
    path = made(every_format, tmp_path, name)
    tag_files.add_picture(path)
    target = tmp_path / "new.m4a"
    rewriting.rewrite(path, target, ["Jazz"], "x", profiles.find())
    old, new = (run("AtomicParsley", file, "-t").splitlines() for file in (path, target))
    ours = ('Atom "©gen"', 'Atom "----" [com.apple.iTunes;GENREKIT]')
    assert [line for line in new if not line.startswith(ours)] == [
        line for line in old if not line.startswith(ours)
    ]
    assert 'Atom "©gen" contains: Jazz' in new
    assert formats.read(target).genres == ("Jazz",)
