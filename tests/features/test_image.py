"""Spectrograms drawn as the published images of GTZAN are, and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from genrekit import audio, plotting
from genrekit.errors import ImageError
from genrekit.features import FeatureSpec, decibels, image
from genrekit.features.image import PUBLISHED, Drawing

SPEC = FeatureSpec(segment_seconds=30.0, segment_hop_seconds=30.0)
PLAIN = Drawing(width=SPEC.n_frames, height=SPEC.n_bins, framed=False, range_db=80.0)
WHITE = [255, 255, 255]


def noise(n_frames: int = SPEC.n_frames, seed: int = 0) -> np.ndarray:
    """Decibels between -70 and 0 with both ends. Shape (128, n_frames)."""
    values = np.random.default_rng(seed).uniform(-70, 0, (SPEC.n_bins, n_frames))
    values[5, 7], values[6, 8] = 0.0, -70.0
    return values.astype(np.float32)


def save(path: Path, pixels: np.ndarray, **note: object) -> Path:
    with path.open("wb") as stream:
        image.write(stream, pixels, note)
    return path


def test_the_published_form_has_its_margins_its_line_and_the_low_bands_below() -> None:
    quiet = np.full((128, 1292), -90.0, np.float32)
    quiet[0] = 0.0  # the lowest band
    drawn = image.draw(quiet)
    assert drawn.shape == (288, 432, 3)
    assert (drawn[:35] == 255).all()
    assert (drawn[253:] == 255).all()
    assert (drawn[:, :54] == 255).all()
    assert (drawn[:, 390:] == 255).all()
    assert drawn[252, 200].tolist() == [51, 51, 51]  # the line on white
    assert drawn[100, 389].tolist() == [51, 51, 51]
    assert drawn[251, 200].tolist() == plotting.colours()[255].tolist()
    assert drawn[100, 200].tolist() == plotting.colours()[0].tolist()


def test_a_pixel_shows_the_last_frame_and_the_highest_band_that_touch_it() -> None:
    assert PUBLISHED.frames_of_columns(1293)[[1, 2, 334]].tolist() == [7, 11, 1292]
    # 1302 frames are 35 for every 9 pixels: a frame that only begins where a pixel ends is unseen.
    assert PUBLISHED.frames_of_columns(1302)[8] == 34
    assert PUBLISHED.bins_of_rows(128)[[0, 216]].tolist() == [127, 0]
    assert PLAIN.frames_of_columns(SPEC.n_frames).tolist() == list(range(SPEC.n_frames))
    assert PLAIN.bins_of_rows(128).tolist() == list(range(127, -1, -1))


def test_levels_reach_from_the_loudest_down_to_the_quietest_but_no_further_than_asked() -> None:
    values = np.array([[0.0, -10.0, -20.0, -39.9, -60.0]])
    assert image.levels(values, 40, to_quietest=True).tolist() == [[255, 192, 128, 0, 0]]
    assert image.levels(values[:, :3], 40, to_quietest=True).tolist() == [[255, 128, 0]]
    assert image.levels(values[:, :3], 40, to_quietest=False).tolist() == [[255, 192, 128]]
    silence = np.full((2, 2), -100.0)
    assert image.levels(silence, 40, to_quietest=True).tolist() == [[0, 0], [0, 0]]


def test_every_lossless_clip_is_drawn_as_it_was_published(shared_data: Path) -> None:
    clips = sorted((shared_data / "gtzan" / "lossless").glob("*.flac"))
    assert len(clips) == 20
    for clip in clips:
        genre, number = clip.stem.split(".")
        theirs = shared_data / "gtzan" / "images" / genre / f"{genre}{number}.png"
        with Image.open(theirs) as opened:
            published = np.asarray(opened.convert("RGB")).astype(int)
        waveform = audio.load(clip, SPEC.sample_rate)[0]
        drawn = image.draw(decibels(waveform, SPEC)).astype(int)
        differences = np.abs(drawn - published).max(axis=2)
        # Our copies have a palette of 256 colours, so a colour may lie beside the published one.
        assert (differences <= 12).mean() > 0.997, clip


@pytest.mark.parametrize("n_frames", [1292, 500, 130])
def test_a_published_image_is_read_back_as_what_draws_the_same_image(
    tmp_path: Path, n_frames: int
) -> None:
    seconds = (n_frames - 0.5) * SPEC.hop_length / SPEC.sample_rate
    spec = SPEC.model_copy(update={"segment_seconds": seconds})
    assert spec.n_frames == n_frames
    drawn = image.draw(noise(n_frames))
    found = image.read(save(tmp_path / "a.png", drawn), spec)
    assert found.is_known
    assert found.decibels.shape == (128, n_frames)
    assert found.decibels.max() == 0
    again = image.draw(found.decibels)
    # All but what lies under the line, which is taken from beside it.
    assert np.array_equal(again[36:, 55:], drawn[36:, 55:])


def test_a_plain_image_is_read_back_to_a_step_of_its_colours(tmp_path: Path) -> None:
    values = noise()
    note = image.note(PLAIN, SPEC, whole=False)
    found = image.read(save(tmp_path / "a.png", image.draw(values, PLAIN), **note), SPEC)
    assert found.is_known
    np.testing.assert_allclose(found.decibels, values, atol=80 / 256)


def test_palette_and_transparency_do_not_matter(tmp_path: Path) -> None:
    drawn = image.draw(noise())
    expected = image.read(save(tmp_path / "a.png", drawn), SPEC).decibels
    alpha = np.dstack([drawn, np.full(drawn.shape[:2], 255, np.uint8)])
    alpha[:35] = 0  # transparent margin
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    # The published images have about 250 colours.
    Image.fromarray(drawn).quantize(256).save(tmp_path / "palette.png")
    assert np.array_equal(image.read(tmp_path / "alpha.png", SPEC).decibels, expected)
    palette = image.read(tmp_path / "palette.png", SPEC)
    assert palette.is_known
    assert np.abs(palette.decibels - expected).max() < 3


def test_the_brightness_of_any_other_image_stands_for_the_level(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, axis=0)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    found = image.read(tmp_path / "grey.png", SPEC)
    assert not found.is_known
    assert found.decibels[3, 0] == -40
    assert found.decibels[3, -1] == 0
    assert (np.diff(found.decibels[3]) >= 0).all()
    colours = np.random.default_rng(0).integers(0, 255, (64, 108, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "other-colours.png")
    assert not image.read(tmp_path / "other-colours.png", SPEC).is_known


def test_an_image_of_another_front_end_says_so(tmp_path: Path) -> None:
    other = FeatureSpec(segment_seconds=3.0, n_mels=64)
    drawing = Drawing(width=130, height=64, framed=False)
    path = save(tmp_path / "a.png", np.zeros((64, 130, 3), np.uint8))
    assert not image.read(path, SPEC).is_known
    note = image.note(drawing, other, whole=False)
    save(path, np.zeros((64, 130, 3), np.uint8), **note)
    with pytest.raises(ImageError, match="shows another front end: n_mels 64, not 128, segment"):
        image.read(path, SPEC)
    whole = image.note(drawing, other, whole=True)
    assert "segment_seconds" not in whole["features"]


def test_what_is_no_image_is_named_in_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(ImageError, match="is not a PNG image; remove it or save it as PNG"):
        image.read(text, SPEC)
    Image.new("RGB", (432, 288)).save(tmp_path / "jpeg.png", "JPEG")
    with pytest.raises(ImageError, match="is not a PNG image"):
        image.read(tmp_path / "jpeg.png", SPEC)
    whole = save(tmp_path / "whole.png", image.draw(noise())).read_bytes()
    cut = tmp_path / "cut.png"
    for n_bytes in (40, len(whole) // 2, len(whole) - 30):
        cut.write_bytes(whole[:n_bytes])
        with pytest.raises(ImageError, match=r"damaged or cut short|is not a PNG image"):
            image.read(cut, SPEC)
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match="is 4x4 pixels; a spectrogram has 16 to 30000"):
        image.read(tmp_path / "small.png", SPEC)


@pytest.mark.parametrize("note", ["no json", "[1]", "{}", '{"drawing": {"width": "wide"}}'])
def test_a_broken_note_is_no_harm(tmp_path: Path, note: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(image.NOTE, note)
    drawn = Image.fromarray(image.draw(noise()))
    drawn.save(tmp_path / "a.png", pnginfo=text)
    found = image.read(tmp_path / "a.png", SPEC)
    assert found.is_known == ("drawing" not in note)


def test_parts_are_the_segments_of_one_track(tmp_path: Path) -> None:
    for name in ("a.0", "a.1", "a.2", "a.4", "b", "c.00054"):
        (tmp_path / f"{name}.png").touch()
    assert [path.name for path in image.parts(tmp_path / "a.0.png")] == [
        "a.0.png",
        "a.1.png",
        "a.2.png",
    ]
    for alone in ("b", "c.00054"):
        assert len(image.parts(tmp_path / f"{alone}.png")) == 1
