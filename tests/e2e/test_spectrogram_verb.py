"""``genrekit spectrogram`` on made audio: one file, a dataset, segments, bad files, going on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from genrekit.cli import main

RATE = 22050


def write(path: Path, seconds: float = 1.0, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    soundfile.write(path, samples.astype(np.float32), RATE, subtype="PCM_16")
    return path


def render(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main.build(), ["spectrogram", *map(str, arguments)])
    return result.exit_code, result.output


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        assert image.mode == "RGB"
        return image.size


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_one_file(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav")
    code, output = render(song, "-o", tmp_path / "x.png")
    assert (code, output) == (0, f"{tmp_path / 'x.png'}: 1 files, 1 images\n")
    assert size(tmp_path / "x.png") == (432, 288)
    assert render(song, "-o", tmp_path / "plain.png", "--plain")[0] == 0
    assert size(tmp_path / "plain.png") == (1 + RATE // 512, 128)
    assert render(song, "-o", tmp_path / "small.png", "--size", "216x144")[0] == 0
    assert size(tmp_path / "small.png") == (216, 144)


def test_segments_get_an_image_each(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", 6.2)
    assert render(song, "-o", tmp_path / "out" / "x.png", "--segment-seconds", 3)[0] == 0
    assert below(tmp_path / "out") == ["x.0.png", "x.1.png"]


def test_a_dataset_becomes_an_image_dataset_and_a_second_run_keeps_it(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "in" / "polka" / f"{number}.wav", seed=number)
        write(tmp_path / "in" / "ska" / "live" / f"{number}.flac", seed=9 + number)
    out = tmp_path / "out"
    expected = [f"polka/{k}.png" for k in range(3)] + [f"ska/live/{k}.png" for k in range(3)]
    code, output = render(tmp_path / "in", "-o", out, "--dry-run")
    assert code == 0
    assert sorted(output.split()) == [str(out / name) for name in expected]
    assert not out.exists()
    assert render(tmp_path / "in", "-o", out, "--jobs", 2)[0] == 0
    assert below(out) == expected
    rendered = {name: (out / name).read_bytes() for name in expected}
    (out / expected[0]).unlink()
    (out / expected[1]).write_bytes(rendered[expected[1]][:50])  # damaged
    write(tmp_path / "in" / "polka" / "2.wav", seed=77)  # other audio
    code, output = render(tmp_path / "in", "-o", out, "--json")
    assert code == 0
    summary = json.loads(output)
    assert (summary["n_files"], summary["n_images"], summary["n_resumed"]) == (6, 6, 3)
    again = {name: (out / name).read_bytes() for name in expected}
    assert {name for name in expected if rendered[name] != again[name]} == {"polka/2.png"}
    # Another style is rendered anew.
    assert json.loads(render(tmp_path / "in", "-o", out, "--plain", "--json")[1])["n_resumed"] == 0


def test_a_folder_that_is_no_dataset_keeps_its_form(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.wav")
    write(tmp_path / "in" / "more" / "b.wav")
    assert render(tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    assert below(tmp_path / "out") == ["a.png", "more/b.png"]


def test_a_bad_file_is_named_and_the_others_are_rendered(tmp_path: Path) -> None:
    for genre in ("polka", "ska"):
        write(tmp_path / "in" / genre / "good.wav")
    (tmp_path / "in" / "ska" / "bad.wav").write_bytes(b"no audio")
    out = tmp_path / "out"
    code, output = render(tmp_path / "in", "-o", out)
    assert code == 1
    assert "bad.wav" in output
    assert "3 files, 1 failed, 2 images" in output
    assert below(out) == ["polka/good.png", "ska/good.png"]
    code, _ = render(tmp_path / "in" / "ska" / "bad.wav", "-o", tmp_path / "bad.png")
    assert code == 1
    assert not (tmp_path / "bad.png").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--size", "big"], "--size is 'big'"),
        (["--size", "8x8"], "each from 16 to"),
        (["--segment-seconds", "0"], "got 0.0; expected 0.1 to 600"),
    ],
)
def test_wrong_usage(options: list[str], reason: str, tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav")
    code, output = render(song, "-o", tmp_path / "x.png", *options)
    assert code == 2
    assert reason in " ".join(output.replace("│", " ").split())
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["nothing.wav", "empty", "table.csv"])
def test_what_holds_no_audio_is_reported(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    code, output = render(tmp_path / name, "-o", tmp_path / "out")
    assert code == 1
    assert name in output
    assert not (tmp_path / "out").exists()
