"""A folder of spectrogram images with one folder for each genre: GENRE/NAME.png.

Known are the images that are published beside GTZAN ("images_original"), called blues00000.png,
those that ``genrekit spectrogram`` draws (of segments: NAME.0.png, NAME.1.png, ...), and any others
of one size. Where every name is one of GTZAN's, its artists, repetitions and fault-filtered split
are known too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from genrekit import labels
from genrekit.datasets import gtzan
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.folder import track_id_of
from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import DatasetError, GenrekitError, ImageError
from genrekit.features import FeatureSpec, image
from genrekit.files import audio_files

NAME = "images"
PUBLISHED_FOLDER = "images_original"

_GTZAN = re.compile(r"(?P<genre>[a-z]+)\.?(?P<number>\d{5})(?:\.0)?", re.IGNORECASE)
# Of NAME.K.png with K above 0: a later segment of the track whose image is NAME.0.png.
_LATER = re.compile(r"(?P<name>.+)\.[1-9]\d*", re.DOTALL)
_SPEC = FeatureSpec(segment_seconds=30.0, segment_hop_seconds=30.0)


@dataclass(frozen=True)
class ImageSet(Dataset):
    """Tracks of which only images are here: every track's path is its first image.

    Attributes:
        is_known: whether the same images can be drawn from audio; see features.image.
    """

    is_known: bool = False

    @property
    def has_audio(self) -> bool:
        """Always false."""
        return False

    @property
    def n_segments(self) -> dict[str, int]:
        """Number of images of each track, by track_id: the leaky split divides them."""
        return {track.track_id: len(image.parts(track.path)) for track in self.tracks}


def open_images(path: Path) -> ImageSet | None:
    """Open a folder of images; None where it holds none in genre folders, or audio beside them.

    Images beside the audio of every genre (covers) are left alone.

    Raises:
        DatasetError: some genre folders hold images and others audio, a genre folder without
            images, images of several sizes, one genre only, or two images of one name.
        OSError: a folder or an image cannot be read.
    """
    if not path.is_dir():
        return None
    root = path / PUBLISHED_FOLDER if (path / PUBLISHED_FOLDER).is_dir() else path
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and entry.name[0] != ".")
    found = {folder: _images(folder) for folder in folders}
    drawn = {folder: files for folder, files in found.items() if files}
    if not drawn:
        return None
    with_audio = [folder for folder in folders if audio_files(folder)]
    if set(drawn) <= set(with_audio):
        return None
    _check_folders(root, folders, list(drawn), with_audio)
    return _open(path, root, drawn)


def _check_folders(
    root: Path, folders: Sequence[Path], drawn: Sequence[Path], with_audio: Sequence[Path]
) -> None:
    if with_audio:
        only = next(folder for folder in drawn if folder not in with_audio)
        raise DatasetError(
            f"{root} mixes images and audio: genre folder {only.name!r} holds images and "
            f"{with_audio[0].name!r} holds audio; give a folder of one kind"
        )
    empty = [folder for folder in folders if folder not in drawn]
    if empty:
        raise DatasetError(
            f"genre folder {empty[0]} holds no {image.SUFFIX} image; put some in, remove it, "
            "or start its name with a dot to have it ignored"
        )


def _open(path: Path, root: Path, drawn: Mapping[Path, Sequence[Path]]) -> ImageSet:
    problems: list[Problem] = []
    tracks: list[Track] = []
    sizes: dict[tuple[int, int], Path] = {}
    for folder, files in drawn.items():
        for file in files:
            try:
                sizes.setdefault(_size(file, file.stat().st_mtime_ns), file)
            except ImageError as error:
                problems.append(Problem(str(file), f"skipped, {error}"))
                continue
            if not _is_later(file):
                tracks.append(Track(_track_id(file, root), file, folder.name))
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise DatasetError(
            f"{first} is {one[0]}x{one[1]} pixels and {second} is {other[0]}x{other[1]}; all "
            "images of a dataset must have one size: draw them again (genrekit spectrogram "
            "--size) or remove the others"
        )
    is_known = bool(tracks) and _is_known(tracks[0].path)
    name = root.resolve().name or NAME
    found = ImageSet(name, path, tuple(tracks), tuple(problems), is_known=is_known)
    return _as_gtzan(found)


@lru_cache(maxsize=8192)
def _size(file: Path, changed_ns: int) -> tuple[int, int]:
    """Return an image's size, read once for as long as the file stays as it is."""
    del changed_ns
    return image.open_header(file)[0]


def _is_known(file: Path) -> bool:
    """Return whether genrekit drew an image, or could have."""
    if image.open_header(file)[1]:
        return True
    try:
        return image.read(file, _SPEC).is_known
    except GenrekitError:  # damaged: it is named when training reads it
        return False


def _images(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        found += [Path(parent, name) for name in names if name[0] != "."]
    return sorted(path for path in found if image.is_image(path))


def _is_later(file: Path) -> bool:
    """Return whether an image is a later segment of a track whose first one is there."""
    match = _LATER.fullmatch(file.stem)
    return match is not None and file.with_name(f"{match['name']}.0{file.suffix}").is_file()


def _track_id(file: Path, root: Path) -> str:
    name = track_id_of(file, root)
    return name.removesuffix(".0") if len(image.parts(file)) > 1 else name


def _as_gtzan(found: ImageSet) -> ImageSet:
    """Add what is known of GTZAN's tracks, where every image is called like one of them."""
    named = [(track, _gtzan_id(track)) for track in found.tracks]
    tracks = tuple(replace(t, track_id=id, genre=id.split(".")[0]) for t, id in named if id)
    if len(tracks) < len(named):
        return found
    return gtzan.as_gtzan(replace(found, name=f"{gtzan.NAME}-images", tracks=tracks))


def _gtzan_id(track: Track) -> str | None:
    """Return blues.00054 for blues/blues00054.png and its kind; None for any other."""
    known, match = labels.label_set(gtzan.NAME), _GTZAN.fullmatch(track.path.stem)
    if match is None or match["genre"] not in known or track.genre not in known:
        return None
    genre = known.canonical(match["genre"])
    return f"{genre}.{match['number']}" if known.canonical(track.genre) == genre else None


LAYOUT = Layout(
    name=NAME,
    description="images of spectrograms: one folder for each genre, as published for GTZAN",
    split_kinds=("segment (LEAKY)", "track", "artist", gtzan.FAULT_FILTERED),
    open=open_images,
)
