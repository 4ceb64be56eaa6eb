"""FFmpeg's own process: what ends it costs one file, and its memory is limited."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tag_files
from genrekit import audio
from genrekit.audio import isolation, packets
from genrekit.audio.isolation import IsolatedReader
from genrekit.audio.pyav_reader import PyavReader
from genrekit.audio.readers import DecodeError
from genrekit.errors import AudioError

APE = tag_files.APE  # libsndfile does not read it


def test_it_gives_what_the_decoder_gives() -> None:
    here, there = PyavReader(APE), IsolatedReader(APE)
    assert (here.sample_rate, here.n_channels) == (there.sample_rate, there.n_channels)
    assert (here.claimed_samples, here.container_name) == (
        there.claimed_samples,
        there.container_name,
    )
    np.testing.assert_array_equal(here.read(5000), there.read(5000))
    for reader in (here, there):
        reader.seek(777)
    np.testing.assert_array_equal(here.read(99), there.read(99))
    assert here.count_end() == there.count_end()
    for reader in (here, there):
        reader.close()


def test_one_process_serves_many_files() -> None:
    audio.load(APE)
    before = isolation.idle_pids()
    for _ in range(5):
        audio.load(APE)
        packets.digest(APE)
    assert isolation.idle_pids() == before


def test_a_path_counts_from_the_folder_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio.load(APE)  # from here on a process waits, in the folder where it was started
    shutil.copy(APE, tmp_path / "song.ape")
    monkeypatch.chdir(tmp_path)
    assert audio.load("song.ape").shape == audio.load(APE).shape
    assert packets.digest(Path("song.ape")) == packets.digest(APE)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_costs_its_file_alone(number: signal.Signals) -> None:
    reader = IsolatedReader(APE)
    os.kill(reader.pid, number)
    with pytest.raises(DecodeError, match=f"FFmpeg died of {number.name} while decoding"):
        reader.read(10)
    with pytest.raises(DecodeError, match="crashed on this file before"):
        reader.read(10)
    reader.close()
    reader.close()
    assert audio.load(APE).shape[1] > 0


def test_a_crash_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    send = isolation.send

    def crash(stream: Any, name: str, *arguments: Any) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSEGV)
        send(stream, name, *arguments)

    audio.load(APE)
    pids = isolation.idle_pids()
    monkeypatch.setattr(isolation, "send", crash)
    with pytest.raises(AudioError, match=r"PyAV: FFmpeg died of SIGSEGV while decoding this file"):
        audio.load(APE)
    with monkeypatch.context() as undone:
        undone.setattr(isolation, "send", send)
        audio.load(APE)
    pids = isolation.idle_pids()
    with pytest.raises(AudioError, match=r"no audio can be found in it \(FFmpeg died of SIGSEGV"):
        packets.digest(APE)


def test_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = IsolatedReader(APE)
    monkeypatch.setattr(isolation, "CALL_SECONDS", 0.2)
    os.kill(reader.pid, signal.SIGSTOP)
    with pytest.raises(DecodeError, match=r"took longer than 0\.2 s and was stopped"):
        reader.read(10)
    reader.close()


def test_a_file_that_was_probed_is_still_open(tmp_path: Path) -> None:
    """The next reader gives what a fresh one gives, and another file what it is."""
    song, other = tmp_path / "song.m4a", tmp_path / "other.m4a"
    for path, n_seconds in ((song, 3), (other, 2)):
        source = f"anoisesrc=d={n_seconds}:r=44100:c=pink:seed=1"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", path], check=True
        )
    fresh = PyavReader(song)
    expected = fresh.read(10 * fresh.sample_rate)
    fresh.close()
    for _ in range(2):
        info = audio.probe(song)
        np.testing.assert_array_equal(audio.load(info, mono=False), expected[:, : info.n_samples])
    audio.probe(song)
    assert audio.probe(other).duration_seconds == pytest.approx(2.0, abs=0.05)
    audio.probe(song)
    other.replace(song)
    assert audio.load(song).shape[1] == pytest.approx(2 * 44100, abs=2200)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs shared memory")
def test_samples_come_without_shared_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = audio.load(APE, mono=False)
    monkeypatch.setattr(isolation, "create", lambda: None)
    busy = [IsolatedReader(APE) for _ in isolation.idle_pids()]  # so that a new process starts
    np.testing.assert_array_equal(audio.load(APE, mono=False), expected)
    for reader in busy:
        reader.close()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="No such file"):
        IsolatedReader(tmp_path / "none.ape")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_its_memory_is_limited() -> None:
    """A header that claims a gigabyte gets none."""
    code = f"""
from pathlib import Path
from typing import Any
from genrekit.audio import decoder_process
decoder_process.limit_memory(Path({str(APE)!r}))
fits = bytearray(150 << 20)
del fits
try:
    bytearray(250 << 20)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "refused\n"


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_no_process_is_left_behind() -> None:
    code = f"""
from genrekit import audio
from genrekit.audio import isolation
audio.load({str(APE)!r})
print(isolation.idle_pids()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not Path(f"/proc/{done.stdout.strip()}").exists()
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_forked_process_has_its_own() -> None:
    audio.load(APE)
    pid = os.fork()
    if not pid:
        try:
            is_own = not isolation.idle_pids()
            audio.load(APE)
        finally:
            os._exit(0 if is_own else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert audio.load(APE).shape[1] > 0
    gc.collect()
