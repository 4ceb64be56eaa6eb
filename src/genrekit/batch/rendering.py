"""Images of spectrograms rendered from audio: one file, or a whole image dataset.

An image appears whole or not at all, and holds which audio it was rendered from and how: a job that
was killed goes on where it stopped, and an image that would be the same is not rendered again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit import datasets, features, files
from genrekit.batch import processing
from genrekit.batch.engines import InProcessEngine, Limits, LocalEngine
from genrekit.batch.processing import Progress, Report, Round
from genrekit.datasets.folder import track_id_of
from genrekit.errors import AudioError, DatasetError, ImageError
from genrekit.features import FeatureSpec, image
from genrekit.features.image import PUBLISHED, Drawing
from genrekit.inference.segments import cut_whole
from genrekit.workers import Failure, n_cores

if TYPE_CHECKING:
    from genrekit.batch.engines import Engine
    from genrekit.datasets import Track

MAX_IMAGE_SECONDS = 600.0
_LIMITS = Limits(item_seconds=3600.0, memory_bytes=None)

Item = tuple[Path, Path]  # an audio file and its image


@dataclass(frozen=True)
class Style:
    """What the images look like.

    Attributes:
        segment_seconds: give every segment of this length an image; None: one a file.
        plain: a pixel for each bin and frame over 80 dB, instead of the published form.
        size: (width, height) in pixels; None is the form's own.
    """

    segment_seconds: float | None = None
    plain: bool = False
    size: tuple[int, int] | None = None

    @property
    def features(self) -> FeatureSpec:
        """The front end; of whole tracks its segment_seconds mean nothing."""
        if self.segment_seconds is None:
            return FeatureSpec()
        seconds = self.segment_seconds
        return FeatureSpec(segment_seconds=seconds, segment_hop_seconds=seconds)

    def drawing(self, n_bins: int, n_frames: int) -> Drawing:
        """Return how a spectrogram of this shape is rendered."""
        own = (n_frames, n_bins) if self.plain else (PUBLISHED.width, PUBLISHED.height)
        width, height = self.size or own
        if self.plain:
            return Drawing(width=width, height=height, framed=False, range_db=image.PLAIN_DB)
        return Drawing(width=width, height=height)


@dataclass
class RenderReport(Report):
    """What became of the files.

    Attributes:
        n_images: how many images are there; those of ``n_resumed`` files were there before.
    """

    n_images: int = 0


@dataclass(frozen=True)
class _Rendered:
    """One file's images."""

    path: Path
    n_images: int
    is_kept: bool = False
    warnings: list[str] = field(default_factory=list)


def targets(source: str, output: Path) -> dict[Path, Path]:
    """Return where the image of each audio file goes.

    Args:
        source: an audio file; a dataset, whose images are OUTPUT/GENRE/NAME.png; or any other
            folder of audio, whose images lie as the audio does.
        output: the image of a file, or the folder of all others.

    Raises:
        DatasetError: no such file or dataset, no audio in it, or two files with one image.
        OSError: a folder or table cannot be read.
    """
    path = Path(source)
    if path.is_file() and path.suffix.lower() not in (".csv", ".tsv"):
        return {path: output}
    try:
        dataset = datasets.open_dataset(source)
    except DatasetError:
        if not path.is_dir() or not files.audio_files(path):
            raise
        named = [(file, track_id_of(file, path)) for file in files.audio_files(path)]
    else:
        if not dataset.has_audio:
            raise DatasetError(f"{source} holds no audio to render; give a dataset that does")
        named = [(track.path, _name(track)) for track in dataset.tracks]
    found = {file: output / f"{name}{image.SUFFIX}" for file, name in named}
    audio_of: dict[str, Path] = {}
    for file, target in found.items():
        other = audio_of.setdefault(os.path.normcase(target), file)
        if other != file:
            raise DatasetError(
                f"{other} and {file} would have one image, {target}; rename one of them"
            )
    return found


def render(
    images: Mapping[Path, Path],
    style: Style,
    *,
    jobs: int | None = None,
    progress: Progress = processing.no_progress,
) -> RenderReport:
    """Render audio files, with all cores.

    Args:
        images: the image of each audio file; with segments NAME.png becomes NAME.0.png, ...
        style: what the images look like.
        jobs: worker processes; None is one a core.
        progress: shows how far the job is.

    Raises:
        GenrekitError: no worker can be started.
    """
    items = list(images.items())
    n_workers = min(jobs or n_cores(), len(items))
    engine: Engine = LocalEngine(n_workers) if n_workers > 1 else InProcessEngine()
    record = _Images(items, RenderReport(len(items)))
    start = partial(partial, _render, style)
    processing.process(start, record, engine, _LIMITS, n_files=len(items), progress=progress)
    return record.report


@dataclass(frozen=True)
class _Images:
    """The record of a rendering: the images themselves, which workers compare with the audio."""

    items: Sequence[Item]
    report: RenderReport

    def rounds(self, engine: Engine) -> Iterator[Round]:
        yield Round(processing.blocks_of(self.items, engine.block_items))

    def keep(self, position: int, results: Sequence[_Rendered | Failure[Item]]) -> int:
        del position
        for result in results:
            if isinstance(result, Failure):
                self.report.failures[str(result.item[0])] = result.message
                continue
            self.report.n_images += result.n_images
            self.report.n_resumed += result.is_kept
            if result.warnings:
                self.report.warnings[str(result.path)] = result.warnings
        return len(results)


def _name(track: Track) -> str:
    """Return GENRE/NAME of a track; a folder dataset's track is called so already."""
    inside = track.track_id.removeprefix(f"{track.genre}/")
    return f"{track.genre.replace('/', '-')}/{inside}"


def _render(style: Style, item: Item) -> _Rendered:
    """Render one file, unless the same images are there already."""
    path, target = item
    origin = _origin(style, files.sha256(path))
    n_there = _n_there(target, style, origin)
    if n_there:
        return _Rendered(path, n_there, is_kept=True)
    warnings: list[str] = []
    spectrograms = list(_spectrograms(path, style, warnings.append))
    whole = style.segment_seconds is None
    for index, decibels in enumerate(spectrograms):
        drawing = style.drawing(*decibels.shape)
        note = image.note(drawing, style.features, whole=whole, of=len(spectrograms), **origin)
        with files.write_beside(target if whole else _part(target, index)) as stream:
            image.write(stream, image.draw(decibels, drawing), note)
    return _Rendered(path, len(spectrograms), warnings=list(dict.fromkeys(warnings)))


def _spectrograms(
    path: Path, style: Style, warn: Callable[[str], None]
) -> Iterator[NDArray[np.float32]]:
    """Yield the decibels of the whole track, or of each segment. Shape (n_bins, n_frames)."""
    from genrekit import audio

    info, spec = audio.probe(path), style.features
    if style.segment_seconds is not None:
        blocks = audio.blocks(info, spec.sample_rate, on_warning=warn)
        for _, segments in cut_whole(blocks, spec):
            yield from features.decibels(segments, spec)
        return
    if info.duration_seconds > MAX_IMAGE_SECONDS:
        raise AudioError(
            f"{path} is {info.duration_seconds:.0f} s long; one image shows "
            f"{MAX_IMAGE_SECONDS:.0f} s at most; request one a segment (--segment-seconds 30)"
        )
    waveform = audio.load(info, spec.sample_rate, on_warning=warn)[0]
    if waveform.size < spec.n_fft:  # repeated, as segments of short tracks are
        waveform = np.resize(waveform, spec.n_fft)
    yield features.decibels(waveform, spec)


def _origin(style: Style, digest: str) -> dict[str, Any]:
    """Return what an image is rendered again for where it differs."""
    size = list(style.size) if style.size else None
    form = {"segment_seconds": style.segment_seconds, "plain": style.plain, "size": size}
    return {"style": form, "audio_sha256": digest}


def _n_there(target: Path, style: Style, origin: Mapping[str, Any]) -> int:
    """Return how many images of this very audio and style are there; 0 where one is missing."""
    n_images, index = 1, 0
    while index < n_images:
        whole = style.segment_seconds is None
        try:
            _, note = image.open_header(target if whole else _part(target, index))
        except (ImageError, OSError):
            return 0
        if {key: note.get(key) for key in origin} != origin:
            return 0
        n_images, index = int(note["of"]), index + 1
    return n_images


def _part(target: Path, index: int) -> Path:
    return target.with_name(f"{target.stem}.{index}{target.suffix}")
