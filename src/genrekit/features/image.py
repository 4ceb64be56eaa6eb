"""Spectrograms as images: drawn in the style of GTZAN's published ones, or plainly, and read back.

The 432x288 images published with GTZAN ("images_original") show the 128 mel bands of an entire
track in librosa's default colours, on a white page. How they were drawn was found by comparing them
with lossless audio: power was taken for amplitude, so the 80 dB that librosa keeps are 40; and
where several frames or bands share a pixel, it shows the last one that touches it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from genrekit import extras, files, plotting
from genrekit.errors import ImageError
from genrekit.features.spec import FeatureSpec
from genrekit.strict import StrictModel

Pixels = NDArray[np.uint8]
Levels = NDArray[np.uint8]
Decibels = NDArray[np.float32]

SUFFIX = ".png"
N_COLOURS = 256
WHITE = 255
NOTE = "genrekit"  # the key of the PNG text that describes how an image was made
# Where matplotlib puts the axes on a notebook's page, as shares of its width and height.
LEFT, RIGHT, TOP, BOTTOM = 0.125, 0.9, 0.12, 0.875
# The line around the axes is 0.8 pixels thick: a fifth of what is below it remains visible.
LINE, CORNER = 0.2, 19 / 255
PLAIN_DB = 80.0  # librosa's top_db
_TIE = 1e-9
MIN_SIDE, MAX_SIDE = 16, 30000
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
# The fields of a front end that do not affect an image.
_NOT_DRAWN = {"mean", "std", "segment_hop_seconds", "first_seconds", "level_db"}
# A palette of 256 colours changes a colour by less than this (squared distance in RGB).
_MAX_DISTANCE = 150


class Drawing(StrictModel):
    """How decibels are drawn as an image.

    Attributes:
        width: pixels.
        height: pixels.
        framed: with the published images' white margins and thin line, and its darkest colour
            for the quietest value; otherwise the spectrogram fills the image.
        range_db: values further below the loudest get the darkest colour.
    """

    width: Side
    height: Side
    framed: bool = True
    range_db: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 40.0

    @property
    def columns(self) -> slice:
        """The columns that show the spectrogram."""
        return slice(*map(round, self._across))

    @property
    def rows(self) -> slice:
        """The rows that show the spectrogram, the highest band first."""
        return slice(*map(round, self._down))

    @property
    def _across(self) -> tuple[float, float]:
        return (LEFT * self.width, RIGHT * self.width) if self.framed else (0.0, float(self.width))

    @property
    def _down(self) -> tuple[float, float]:
        size = float(self.height)
        return (TOP * size, BOTTOM * size) if self.framed else (0.0, size)

    def bins_of_rows(self, n_bins: int) -> NDArray[np.int64]:
        """Return the band that each row shows: the highest that touches it. Shape (n_rows,)."""
        top, bottom = self._down
        rows = np.arange(self.rows.start, self.rows.stop)
        return _last_touching((bottom - rows) * n_bins / (bottom - top), n_bins)

    def frames_of_columns(self, n_frames: int) -> NDArray[np.int64]:
        """Return the frame that each column shows: the last that touches it. Shape (n_columns,)."""
        left, right = self._across
        ends = np.arange(self.columns.start, self.columns.stop) + 1
        return _last_touching((ends - left) / (right - left) * n_frames, n_frames)

    def page(self) -> NDArray[np.float64]:
        """Return the page around the spectrogram: 1 is white. Shape (height, width).

        Inside, it is the share of the spectrogram's colours that the line leaves visible.
        """
        page = np.ones((self.height, self.width))
        if self.framed:
            # The line covers the spectrogram's first row and column, and lies beside the last ones.
            top, bottom, left, right = *map(round, self._down), *map(round, self._across)
            page[[top, bottom], left : right + 1] = LINE
            page[top : bottom + 1, [left, right]] = LINE
            page[np.ix_([top, bottom], [left, right])] = CORNER
        return page


PUBLISHED = Drawing(width=432, height=288)


@dataclass(frozen=True)
class SpectrogramImage:
    """An image read back.

    Attributes:
        decibels: relative to the loudest. Shape (n_bins, n_frames), or (n_segments, n_bins,
            n_frames) for a track.
        is_known: whether the same image can be drawn from audio: because it is a published one,
            or genrekit drew it.
    """

    decibels: Decibels
    is_known: bool


def levels(decibels: NDArray[Any], range_db: float, *, to_quietest: bool) -> Levels:
    """Return the index of each value's colour.

    Args:
        decibels: one segment or track. Shape (n_bins, n_frames).
        range_db: how far below the loudest value the colours reach.
        to_quietest: end the colours at the quietest value, if that is nearer; silence is 0.

    Returns:
        0 to 255. Shape (n_bins, n_frames).
    """
    high = decibels.max()
    low = max(decibels.min(), high - range_db) if to_quietest else high - range_db
    share = (decibels - low) / max(high - low, 1e-6)
    return np.asarray(np.clip(share * N_COLOURS, 0, N_COLOURS - 1), np.uint8)


def draw(decibels: NDArray[Any], drawing: Drawing = PUBLISHED) -> Pixels:
    """Draw a spectrogram.

    Args:
        decibels: low bands first. Shape (n_bins, n_frames).
        drawing: how to draw.

    Returns:
        Red, green and blue. Shape (height, width, 3).

    Raises:
        GenrekitError: matplotlib, the source of the colours, is not installed.
    """
    n_bins, n_frames = decibels.shape
    index = levels(decibels, drawing.range_db, to_quietest=drawing.framed)
    shown = index[drawing.bins_of_rows(n_bins)][:, drawing.frames_of_columns(n_frames)]
    page = drawing.page()[..., None]  # (height, width, 1)
    drawn = np.full((drawing.height, drawing.width, 3), WHITE, np.float64)
    drawn[drawing.rows, drawing.columns] = plotting.colours()[shown]
    return (drawn * page + _TIE).astype(np.uint8)


def write(stream: IO[bytes], pixels: Pixels, note: Mapping[str, Any]) -> None:
    """Write a PNG with a note on how it was made.

    Args:
        stream: where to write.
        pixels: shape (height, width, 3).
        note: kept in the PNG, for read and note_of.
    """
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text(NOTE, json.dumps(note, sort_keys=True))
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=text)


def note(drawing: Drawing, spec: FeatureSpec, *, whole: bool, **more: Any) -> dict[str, Any]:
    """Return the note for write, on an image of an entire track or of one of its segments."""
    length = {"segment_seconds"} if whole else set()
    numbers = spec.model_dump(mode="json", exclude=_NOT_DRAWN | length)
    return {"drawing": drawing.model_dump(), "features": numbers, **more}


def is_image(path: Path) -> bool:
    """Return whether a path has the suffix of the images that read can read."""
    return path.suffix.lower() == SUFFIX


def open_header(path: Path) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return (width, height) and the note of an image (empty if it has none).

    Raises:
        ImageError: the file is not an image.
        OSError: the file cannot be read.
    """
    with _opened(path) as image:
        return image.size, _note(image)


def read(path: Path, spec: FeatureSpec) -> SpectrogramImage:
    """Read an image of one segment back as decibels below its loudest point.

    From a published image, and one that genrekit drew, come levels from which the same image can
    be drawn; in any other image, brightness is taken as the level, and the full image as the
    segment.

    Args:
        path: any PNG, also with a palette, in grey, or with transparency (shown on white).
        spec: the front end whose bins and frames the image shows.

    Raises:
        ImageError: it is not an image, damaged, or drawn by genrekit from another front end.
        GenrekitError: Pillow or matplotlib is not installed.
        OSError: the file cannot be read.
    """
    with _opened(path) as image:
        size, made = image.size, _note(image)
        pixels = _rgb(path, image)
    drawing = _drawing(path, made, size, spec)
    if drawing is not None:
        inside = _indices(pixels[drawing.rows, drawing.columns], drawing)
        if inside is not None:
            return SpectrogramImage(_unfold(inside, drawing, spec), is_known=True)
    if not (min(size) >= MIN_SIDE and max(size) <= MAX_SIDE):
        raise ImageError(
            f"{path} is {size[0]}x{size[1]} pixels; a spectrogram has {MIN_SIDE} to {MAX_SIDE} "
            "each way: remove it or draw it again"
        )
    grey = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's "L"
    whole = Drawing(width=size[0], height=size[1], framed=False)
    return SpectrogramImage(_unfold(grey.astype(np.uint8), whole, spec), is_known=False)


def _opened(path: Path) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImageError(extras.sentence("reading an image", "PIL")) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path, formats=["PNG"])
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} is far too large for a spectrogram: {error}") from error
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"{path} ends in {SUFFIX} but is not a PNG image; remove it or save it as PNG"
        ) from error


def _rgb(path: Path, image: Any) -> Pixels:
    """Decode all of an image, with white for transparency. Shape (height, width, 3)."""
    from PIL import Image

    try:
        seen = image.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"{path} is damaged or cut short ({error}); copy or draw it again"
        ) from error
    white = Image.new("RGBA", seen.size, "white")
    return np.asarray(Image.alpha_composite(white, seen).convert("RGB"))


def _note(image: Any) -> dict[str, Any]:
    try:
        found = json.loads(image.info.get(NOTE, "{}"))
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _drawing(
    path: Path, made: Mapping[str, Any], size: tuple[int, int], spec: FeatureSpec
) -> Drawing | None:
    """Return how an image was drawn, None if unknown; refuse one of another front end."""
    drawing = PUBLISHED
    if made:
        expected, shown = spec.model_dump(mode="json"), made.get("features")
        other = [
            f"{key} {value}, not {expected.get(key)}"
            for key, value in (shown.items() if isinstance(shown, dict) else ())
            if expected.get(key) != value
        ]
        if other:
            raise ImageError(
                f"{path} shows another front end: {', '.join(other)}; change [features] of the "
                "recipe or draw the images again"
            )
        try:
            drawing = Drawing.model_validate(made.get("drawing"))
        except ValidationError:
            return None
    return drawing if size == (drawing.width, drawing.height) else None


def _indices(inside: Pixels, drawing: Drawing) -> Levels | None:
    """Return the colours' indices, shape (n_rows, n_columns); None if there are other colours."""
    # Pixels under the line around it cannot be read exactly: they are taken from their neighbours.
    start = 1 if drawing.framed else 0
    packed = inside[start:, start:].astype(np.int64) @ np.array([65536, 256, 1])
    found, where = np.unique(packed, return_inverse=True)
    rgb = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)  # (n_found, 3)
    apart = np.square(rgb[:, None] - plotting.colours()[None].astype(np.int64)).sum(axis=2)
    if apart.min(axis=1).max() > _MAX_DISTANCE:
        return None
    index = apart.argmin(axis=1).astype(np.uint8)[where.reshape(packed.shape)]
    return np.pad(index, ((start, 0), (start, 0)), mode="edge")


def _unfold(shown: Levels, drawing: Drawing, spec: FeatureSpec) -> Decibels:
    """Return decibels from which the same image can be drawn. Shape (n_bins, n_frames)."""
    bins, frames = drawing.bins_of_rows(spec.n_bins), drawing.frames_of_columns(spec.n_frames)
    rows, columns = _nearest(bins[::-1], spec.n_bins), _nearest(frames, spec.n_frames)
    index = shown[::-1][rows][:, columns]
    step = drawing.range_db / N_COLOURS
    decibels = ((index + 0.5) * step - drawing.range_db).astype(np.float32)
    decibels[index == 0] = -drawing.range_db
    decibels[index == N_COLOURS - 1] = 0.0
    if frames[0] > 0:  # no pixel shows the first frame: it holds the ends of the scale
        decibels[:2, 0] = 0.0, -drawing.range_db
    return decibels


def _nearest(shown: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return, for each of n bins or frames, the index of the first at or after it that is shown."""
    return np.minimum(np.searchsorted(shown, np.arange(n)), len(shown) - 1)


def _last_touching(end: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(end - _TIE).astype(np.int64) - 1, 0, n - 1)


def parts(first: Path) -> tuple[Path, ...]:
    """Return the images of a track: NAME.0.png, NAME.1.png, ...; or the one image itself."""
    name = first.name.removesuffix(f".0{SUFFIX}")
    if name == first.name:
        return (first,)
    found = [first]
    while (following := first.with_name(f"{name}.{len(found)}{SUFFIX}")).is_file():
        found.append(following)
    return tuple(found)


def sha256(first: Path) -> str:
    """Return the SHA-256 of a track's image, or that of the digests of all its images.

    Raises:
        OSError: an image cannot be read.
    """
    return files.joined_sha256([files.sha256(path) for path in parts(first)])


def read_track(first: Path, spec: FeatureSpec) -> SpectrogramImage:
    """Read every image of a track, each of one segment.

    Args:
        first: the track's only image, or the first of several; see parts.
        spec: the front end whose bins and frames an image shows.

    Returns:
        The decibels of all segments. Shape (n_segments, n_bins, n_frames).

    Raises:
        ImageError: as for read.
        OSError: an image cannot be read.
    """
    found = [read(path, spec) for path in parts(first)]
    is_known = all(its.is_known for its in found)
    return SpectrogramImage(np.stack([its.decibels for its in found]), is_known)
