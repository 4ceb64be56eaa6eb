"""A file that FFmpeg cannot decode costs its own line of `genrekit predict` alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from genrekit import demo
from in_process import genrekit

TINY = Path(__file__).parents[1] / "golden" / "tiny"


def test_the_good_files_beside_it_are_answered(tmp_path: Path) -> None:
    demo.write(tmp_path)
    good, last, bad = tmp_path / "drums.flac", tmp_path / "good.mp3", tmp_path / "bad.aac"
    encode = ["ffmpeg", "-v", "error", "-i", good]
    subprocess.run([*encode, last, "-c:a", "aac", bad], check=True)
    bad.write_bytes(bytes(value ^ 0x55 for value in bad.read_bytes()))
    paths = [str(path) for path in (good, bad, last)]
    done = genrekit("predict", "--json", "--model", str(TINY), *paths, cwd=tmp_path)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [answer["path"] for answer in answers if "label" in answer] == [paths[0], paths[2]]
    assert "bad.aac" in done.stdout + done.stderr
