"""Bad input, as a user gives it: one sentence that names the file, the exit code, nothing left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import demo
from in_process import Done, genrekit

TINY = Path(__file__).parents[1] / "golden" / "tiny"
PREDICT = [sys.executable, "-m", "genrekit", "predict", "--model", str(TINY)]
RATE = 44100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
on_posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")


def predict(folder: Path, *arguments: str) -> Done:
    """Run the verb in a folder and see that it leaves nothing there."""
    before = sorted(folder.rglob("*"))
    done = genrekit("predict", "--model", TINY, *arguments, cwd=folder)
    assert sorted(folder.rglob("*")) == before
    return done


def fails(folder: Path, name: str, sentence: str) -> None:
    done = predict(folder, name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"genrekit: {name}")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def warns(folder: Path, name: str) -> list[str]:
    done = predict(folder, name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["path"] == name
    assert sum(genre["probability"] for genre in answer["genres"]) == pytest.approx(1, abs=1e-4)
    return answer["warnings"]


def tone(seconds: float, n_channels: int = 1) -> np.ndarray:
    time_seconds = np.arange(round(seconds * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * 440 * time_seconds)[:, None] * np.ones(n_channels)


def encoded(folder: Path, name: str, *options: str) -> Path:
    """Write a made track of 12 seconds in a format that ffmpeg knows."""
    source = demo.write(folder / "made")[0]
    target = folder / name
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", source, *options, target]
    subprocess.run(command, check=True)
    shutil.rmtree(folder / "made")
    return target


def test_no_such_file(tmp_path: Path) -> None:
    fails(tmp_path, "nowhere.mp3", "no such file")


def test_a_folder_without_audio(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("no audio", encoding="utf-8")
    fails(tmp_path, "notes", "is a folder without audio files")


def test_a_folder_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.mp3").mkdir()
    fails(tmp_path, "x.mp3", "is a folder without audio files")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "zero.mp3").touch()
    fails(tmp_path, "zero.mp3", "is empty (0 bytes)")


def test_text_renamed(tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("This is not music.\n" * 99, encoding="utf-8")
    fails(tmp_path, "text.mp3", "cannot be decoded (soundfile: ")


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    samples = tone(5)
    samples[1000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    fails(tmp_path, "nan.wav", "not finite")


@on_posix
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    fails(tmp_path, "pipe.wav", "is a pipe or a device")


def test_wrong_usage_is_another_code(tmp_path: Path) -> None:
    done = predict(tmp_path, "a.mp3", "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--no-such-option" in done.stderr


@needs_ffmpeg
def test_a_truncated_mp3_is_decoded_as_far_as_it_goes(tmp_path: Path) -> None:
    path = encoded(tmp_path, "half.mp3", "-c:a", "libmp3lame")
    os.truncate(path, path.stat().st_size // 2)
    assert "cut short" in warns(tmp_path, "half.mp3")[0]


@needs_ffmpeg
def test_a_truncated_m4a_with_its_index_first_is_decoded(tmp_path: Path) -> None:
    path = encoded(tmp_path, "half.m4a", "-c:a", "aac", "-movflags", "+faststart")
    os.truncate(path, path.stat().st_size // 2)
    assert "cut short" in warns(tmp_path, "half.m4a")[0]


@needs_ffmpeg
def test_a_truncated_m4a_with_its_index_last_is_refused(tmp_path: Path) -> None:
    path = encoded(tmp_path, "half.m4a", "-c:a", "aac")
    os.truncate(path, path.stat().st_size // 2)
    fails(tmp_path, "half.m4a", "is it audio, and complete?")


def test_ten_milliseconds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(0.01), RATE)
    (warning,) = warns(tmp_path, "short.wav")
    assert "shorter than one segment (0.01 s" in warning


def test_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(5 * RATE), RATE)
    (warning,) = warns(tmp_path, "silence.wav")
    assert warning.startswith("silent: ")


def test_six_channels_answer_as_one_does(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", tone(5), RATE)
    soundfile.write(tmp_path / "six.wav", tone(5, 6), RATE)
    one, six = (
        json.loads(predict(tmp_path, name, "--json").stdout) for name in ("one.wav", "six.wav")
    )
    first = {genre["label"]: genre["probability"] for genre in one["genres"]}
    for genre in six["genres"]:
        assert genre["probability"] == pytest.approx(first[genre["label"]], abs=1e-3)


@on_posix
def test_a_file_deleted_while_it_is_read(tmp_path: Path) -> None:
    """The open file stays readable, so the answer is the whole file's."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 600)
    soundfile.write(tmp_path / "long.wav", noise, 16000)
    command = [*PREDICT, "--json", "--segments", "all", "long.wav"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until_half_read(process.pid, tmp_path / "long.wav")
        (tmp_path / "long.wav").unlink()
        assert process.poll() is None
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["duration_seconds"] == 600
    assert not list(tmp_path.iterdir())


def wait_until_half_read(pid: int, path: Path) -> None:
    """Wait until a process decodes a file, by Linux's list of its descriptors.

    Probing reads the first and the last MB only; the file must be longer than ten of them.
    """
    if not Path(f"/proc/{pid}/fd").is_dir():
        pytest.skip("needs Linux")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if link.readlink() == path:
                    position = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split()[1]
                    if 0.1 < int(position) / path.stat().st_size < 0.8:
                        return
        time.sleep(0.001)
    pytest.fail(f"{path} was never read")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize("choice", ["12", "all"])
def test_twenty_minutes_need_no_more_memory_than_one(tmp_path: Path, choice: str) -> None:
    """Twenty minutes at 16 kHz are 77 MB of float32: held at once it would show."""
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 16000, 1) as stream:
        minute = np.random.default_rng(0).normal(0, 0.1, 16000 * 60)
        for _ in range(20):
            stream.write(minute)
    soundfile.write(tmp_path / "short.flac", minute, 16000)
    peaks = [peak_mb(tmp_path, name, choice) for name in ("short.flac", "long.flac")]
    assert peaks[1] < peaks[0] + 40, peaks


def peak_mb(folder: Path, name: str, choice: str) -> float:
    """Return the peak memory of a run, in MB: its own VmHWM, read at its end."""
    program = (
        "import atexit, sys\n"
        "from pathlib import Path\n"
        "def tell():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    print(next(line for line in lines if line.startswith('VmHWM')), file=sys.stderr)\n"
        "atexit.register(tell)\n"
        "from genrekit.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "predict", "--model", str(TINY), name]
    done = subprocess.run(
        [*command, "--segments", choice],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-2]) / 1024
