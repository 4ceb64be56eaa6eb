"""Music in eight formats, by the program ffmpeg, with tags of all kinds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mutagen
from mutagen.flac import Picture
from PIL import Image

from genrekit import demo

SCRIPT = "<img src=x onerror=\"document.title='run'\">"
SECONDS = 8  # the first four of the made drums alone sound like no music
FILES = {  # name: made track, artist, title, album, genre
    "one.flac": ("drums", "Ada", "First Light", "Dawn", "Rock"),
    "two.mp3": ("guitar", "Ada", "Second Wind", "Dawn", ""),
    "three.ogg": ("strings", "Ada", SCRIPT, "Dawn", ""),
    "four.opus": ("drums", "Bo", "Fourth Wall", "Houses", "Jazz"),
    "five.m4a": ("guitar", "Bo", "Fifth Floor", "Houses", ""),
    "six.wav": ("strings", "Bo", "Sixth Sense", "Houses", "Classical"),
    "seven.aiff": ("drums", "Cy", "Seventh Sea", "Water", ""),
    "eight.wma": ("guitar", "Cy", "Eighth Wave", "Water", "Metal"),
}
_CODERS = {
    ".opus": ["-c:a", "libopus"],
    ".ogg": ["-c:a", "libvorbis"],
    ".aiff": ["-write_id3v2", "1"],
}


def make(folder: Path) -> None:
    """Write the files of FILES; the first has a cover picture."""
    made = {path.stem: path for path in demo.write(folder.with_name("made"))}
    folder.mkdir()
    running = [
        subprocess.Popen([*_command(made[track], name, *texts), folder / name])
        for name, (track, *texts) in FILES.items()
    ]
    assert [process.wait() for process in running] == [0] * len(FILES)
    _add_cover(folder / "one.flac")


def _command(source: Path, name: str, artist: str, title: str, album: str, genre: str) -> list[str]:
    tags = {"artist": artist, "title": title, "album": album, "genre": genre}
    written = [part for key, text in tags.items() for part in ("-metadata", f"{key}={text}")]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-t", str(SECONDS), "-i", str(source)]
    return [*command, *_CODERS.get(Path(name).suffix, []), *written]


def _add_cover(path: Path) -> None:
    image = path.with_name("cover.png")
    Image.new("RGB", (64, 64), "#7a4bb5").save(image)
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", image.read_bytes()
    image.unlink()
    track = mutagen.File(path)
    track.add_picture(picture)
    track.save()
