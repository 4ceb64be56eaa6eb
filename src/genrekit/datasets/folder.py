"""Any folder of music with one folder for each genre."""

from __future__ import annotations

from pathlib import Path

from genrekit import labels
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import DatasetError, GenrekitError
from genrekit.files import audio_files


def open_folder(path: Path) -> Dataset | None:
    """Open a folder whose subfolders are named after genres; None if it is not a folder.

    A track's id is its path below the folder without the suffix. Folders below a genre's folder
    belong to that genre. Hidden files and folders are ignored. The artist comes from the tags.

    Raises:
        DatasetError: no audio, no genre folders, a genre folder without audio, one genre only, two
            folders that spell one genre, or two files of one name.
    """
    if not path.is_dir():
        return None
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != ".")
    found = {folder: audio_files(folder) for folder in folders}
    loose = [file for file in audio_files(path) if file.parent == path]
    _check_folders(path, found, loose)
    tracks = tuple(
        Track(track_id_of(file, path), file, labels.composed(folder.name), _artist(file))
        for folder, inside in found.items()
        for file in inside
    )
    problems = tuple(Problem(str(file), "skipped, it lies in no genre's folder") for file in loose)
    return Dataset(path.resolve().name or "folder", path, tracks, problems)


def track_id_of(file: Path, below: Path) -> str:
    """Return a file's path below a folder, without its suffix, with "/" on every system.

    Tabs and line breaks become spaces, because a split file holds one track a line. Letters are
    composed (NFC), because macOS writes names otherwise.
    """
    name = labels.composed(file.relative_to(below).with_suffix("").as_posix())
    return "".join(" " if character in "\t\n\r" else character for character in name)


def _artist(file: Path) -> str | None:
    """Return the artist in a file's tags; None if there is none or they cannot be read."""
    from genrekit.tags import formats  # the other datasets need no reader of tags

    try:
        tags = formats.read(file)
    except (GenrekitError, OSError):  # whether it is audio at all is seen when it is decoded
        return None
    return labels.artist_group(tags.artist or tags.album_artist or "")


def _check_folders(path: Path, found: dict[Path, list[Path]], loose: list[Path]) -> None:
    if not any(found.values()):
        what = "audio, but not in genre folders" if loose else "no audio"
        raise DatasetError(
            f"{path} holds {what}; a dataset has one folder for each genre, with its audio "
            "files inside (or is a manifest CSV with columns path,genre)"
        )
    empty = [folder for folder, inside in found.items() if not inside]
    if empty:
        raise DatasetError(
            f"genre folder {empty[0]} holds no audio; put files in, remove it, or start its name "
            f"with a dot to have it ignored ({len(empty)} empty of {len(found)} folders)"
        )
    spelled: dict[str, Path] = {}
    for folder in found:
        other = spelled.setdefault(labels.spelling(folder.name) or folder.name, folder)
        if other is not folder:
            raise DatasetError(
                f"the folders {other.name!r} and {folder.name!r} in {path} spell one genre; put "
                "them together"
            )


LAYOUT = Layout(
    name="folder",
    description="your own music: one folder for each genre",
    split_kinds=("segment (LEAKY)", "track", "artist"),
    open=open_folder,
    rank=2,
)
