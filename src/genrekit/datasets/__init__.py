"""Datasets: Track, Split and Dataset, and a module for each layout on disk.

Every module of this package that defines ``LAYOUT`` is tried on a path; see
docs/adding-a-dataset.md.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path

from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.split import SegmentSplit, Split, read_exclusions
from genrekit.datasets.tracks import Problem, Track, TrackPart
from genrekit.errors import DatasetError, unknown_name

__all__ = [
    "Dataset",
    "Layout",
    "Problem",
    "SegmentSplit",
    "Split",
    "Track",
    "TrackPart",
    "layouts",
    "open_dataset",
    "user_folder",
]


def layouts() -> dict[str, Layout]:
    """Return every layout by its name, the most particular first."""
    found: list[Layout] = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        layout = getattr(module, "LAYOUT", None)
        if isinstance(layout, Layout):
            found.append(layout)
    return {layout.name: layout for layout in sorted(found, key=lambda its: (its.rank, its.name))}


def open_dataset(source: str | os.PathLike[str], exclude: Path | None = None) -> Dataset:
    """Open a dataset by looking at what lies at a path.

    Args:
        source: a folder (GTZAN, FMA, one folder for each genre, or with a manifest.csv), a manifest
            CSV, or the name of a dataset that ``genrekit datasets get`` has downloaded.
        exclude: a list of tracks to leave out, such as ``genrekit datasets audit -o`` writes.

    Raises:
        DatasetError: nothing is there, no layout fits, the dataset cannot be used, or no track of
            exclude is in it; the message gives the reason.
        OSError: a folder or table cannot be read.
    """
    path, known = Path(source).expanduser(), layouts()
    if not path.exists() and isinstance(source, str):
        path = _downloaded(source, known)
    for layout in known.values():
        dataset = layout.open(path)
        if dataset is not None:
            return dataset.without(read_exclusions(exclude)) if exclude else dataset
    raise DatasetError(
        f"{path} is no dataset; give a folder with one folder for each genre, or a CSV file with "
        "the columns path,genre"
    )


def user_folder(name: str) -> Path:
    """Return the folder that ``genrekit datasets get`` puts a dataset in when none is named."""
    import platformdirs

    return Path(platformdirs.user_data_dir("genrekit", appauthor=False)) / "datasets" / name


def _downloaded(source: str, known: dict[str, Layout]) -> Path:
    names = [name for name, layout in known.items() if layout.archives]
    if source not in names:
        is_path = os.sep in source or (os.altsep or os.sep) in source or "." in source
        known_names = "" if is_path else f", and {unknown_name('dataset', source, names)}"
        raise DatasetError(f"{source} does not exist; give a folder or a manifest CSV{known_names}")
    folder = user_folder(source)
    if not folder.is_dir():
        raise DatasetError(
            f"dataset {source!r} is not on this machine; run `genrekit datasets get {source}`, or "
            "give the folder that holds it"
        )
    return folder
