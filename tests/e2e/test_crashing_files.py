"""A file that ends FFmpeg's process costs its own line of `genrekit predict` alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genrekit import demo

TINY = Path(__file__).parents[1] / "golden" / "tiny"
GENREKIT = [sys.executable, "-m", "genrekit.cli.main"]


def decoder_of(pid: int) -> int | None:
    """Return the process in which FFmpeg decodes for another, which is waited for while it runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            for child in children.read_text().split():
                if b"decoder_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        except OSError:
            continue
        time.sleep(0.005)
    return None


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("is_killed", [True, False])
def test_the_good_files_beside_it_are_answered(tmp_path: Path, is_killed: bool) -> None:
    demo.write(tmp_path)
    good, last, bad = tmp_path / "drums.flac", tmp_path / "good.mp3", tmp_path / "bad.aac"
    encode = ["ffmpeg", "-v", "error", "-i", good]
    subprocess.run([*encode, last, "-c:a", "aac", bad], check=True)
    if not is_killed:
        bad.write_bytes(bytes(value ^ 0x55 for value in bad.read_bytes()))
    running = subprocess.Popen(
        [*GENREKIT, "predict", "--json", "--model", TINY, good, bad, last],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child = decoder_of(running.pid)
    assert child is not None
    if is_killed:
        os.kill(child, signal.SIGSEGV)
    stdout, stderr = running.communicate(timeout=60)
    answers = [json.loads(line) for line in stdout.splitlines()]
    assert running.returncode == 1
    assert [Path(answer["path"]).name for answer in answers if "label" in answer] == [
        good.name,
        last.name,
    ]
    assert "Traceback" not in stderr
    text = stdout + stderr
    assert "bad.aac" in text
    assert ("FFmpeg died of SIGSEGV while it decoded this file" in text) == is_killed
