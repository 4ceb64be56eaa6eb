"""The Ray engine: the same results as the local one, whatever is killed meanwhile."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import made_music
from waiting import wait_for

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs the extra ray"
)

TINY = str(Path(__file__).parents[1] / "golden" / "tiny")
TWO_VIEWS = str(Path(__file__).parents[1] / "golden" / "tiny-two-views")
GENREKIT = [sys.executable, "-c", "from genrekit.cli.main import main; main()"]
WAIT_SECONDS = 300  # on a busy machine Ray alone takes half a minute to start


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 short songs, of which one is no audio."""
    folder = tmp_path_factory.mktemp("songs")
    made_music.write(folder / "00.wav", made_music.song(0, 2.0))
    made_music.write(folder / "01.wav", made_music.song(1, 2.0))
    for index in range(2, 23):
        shutil.copy(folder / f"{index % 2:02}.wav", folder / f"{index:02}.wav")
    (folder / "broken.mp3").write_bytes(b"no audio" * 100)
    return folder


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray starts with 100 MB of shared memory; half of the machine's is too much for a test."""
    monkeypatch.setenv("RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES", str(100 << 20))


def genrekit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*GENREKIT, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_ray_gives_what_the_local_engine_gives(songs: Path, tmp_path: Path) -> None:
    predict = ("predict", songs, "--model", TWO_VIEWS, "--jobs", 2, "-o")
    here = genrekit(*predict, tmp_path / "local.jsonl", "--engine", "local")
    there = genrekit(*predict, tmp_path / "ray.jsonl", "--engine", "ray")
    assert (here.returncode, there.returncode) == (1, 1)
    assert "24 files, 1 failed" in there.stdout
    assert there.stderr.count("broken.mp3") == here.stderr.count("broken.mp3")
    assert "Traceback" not in there.stderr
    local, ray = rows(tmp_path / "local.jsonl"), rows(tmp_path / "ray.jsonl")
    assert ray == local
    assert len(ray) == 24
    assert {row["model"]["name"] for row in ray if "model" in row} == {Path(TWO_VIEWS).name}


SEVERAL = """
import json, os, sys
from typer.testing import CliRunner
from genrekit.cli import main
for settings, arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main.build(), arguments, env=settings)
    print(json.dumps([done.exit_code, done.stderr]))
"""


@pytest.mark.slow
def test_what_keeps_ray_from_starting_is_one_sentence(songs: Path, tmp_path: Path) -> None:
    predict = ["predict", str(songs), "--model", TINY, "--engine", "ray"]
    predict += ["-o", str(tmp_path / "o.jsonl")]
    cases = [
        ({}, [*predict, "--ray-address", "127.0.0.1:1"]),
        ({}, [*predict, "--ray-address", "auto"]),
        ({"HOME": "/proc/nobody"}, predict),
    ]
    command = [sys.executable, "-c", SEVERAL, json.dumps(cases)]  # Ray is imported once
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT_SECONDS)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code for code, _ in results] == [1, 1, 1]
    assert "genrekit: error: no Ray cluster answers at '127.0.0.1:1'" in results[0][1]
    assert "genrekit: error: no Ray cluster answers at 'auto'" in results[1][1]
    assert "genrekit: error: Ray cannot start here:" in results[2][1]
    assert "set HOME to one that can be written" in results[2][1]
    assert [errors.count("\n") for _, errors in results] == [1, 1, 1]


def test_without_ray_the_error_names_the_extra(songs: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from genrekit.cli.main import main; main()"
    arguments = ["predict", str(songs), "--engine", "ray", "-o", str(tmp_path / "o.jsonl")]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "--engine ray needs ray, which is not installed" in done.stderr
    assert "[ray]'" in done.stderr


@pytest.fixture
def cluster(tmp_path: Path, environment: None) -> Iterator[Any]:
    """A cluster of three nodes, each with one CPU, as processes of this machine."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 << 20}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    for _ in range(2):
        started.add_node(num_cpus=1, **memory)
    started.wait_for_nodes(WAIT_SECONDS)
    yield started
    started.shutdown()


@pytest.fixture
def clips(songs: Path) -> list[Path]:
    """The real clips where they are, otherwise the made songs."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    real = sorted((shared / "fma" / "audio").rglob("*.mp3"))
    return real or sorted(songs.glob("*.wav"))


@pytest.mark.full
def test_a_node_and_the_driver_are_killed(cluster: Any, clips: list[Path], tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    suffix = clips[0].suffix
    for index in range(2000):
        path = many / f"{index:04}{suffix}"
        if index % 100:
            path.symlink_to(clips[index % len(clips)])
        else:
            path.write_bytes(b"no audio")
    output = tmp_path / "out.jsonl"
    command = [*GENREKIT, "predict", str(many), "--model", TINY, "--engine", "ray"]
    command += ["--ray-address", cluster.address, "-o", str(output)]
    parts = tmp_path / "out.jsonl.job"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        wait_for(lambda: len(list(parts.glob("part-*"))) >= 10, WAIT_SECONDS)
        raylet = cluster.list_all_nodes()[-1].all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)
        n_then = len(list(parts.glob("part-*")))
        wait_for(lambda: len(list(parts.glob("part-*"))) >= n_then + 20, WAIT_SECONDS)
        driver.send_signal(signal.SIGKILL)
    assert not output.exists()
    done = genrekit(*command[3:])
    assert done.returncode == 1, done.stderr
    assert "20 failed" in done.stdout
    found = rows(output)
    assert Counter(row["path"] for row in found) == {
        str(many / f"{index:04}{suffix}"): 1 for index in range(2000)
    }
    failed = [row["path"] for row in found if "error" in row]
    assert failed == [str(many / f"{index:04}{suffix}") for index in range(0, 2000, 100)]


@pytest.mark.full
@pytest.mark.usefixtures("environment")
def test_a_library_is_scanned_by_ray(songs: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        scan = ("library", "scan", songs, "--model", TINY, "--engine", engine)
        done = genrekit(*scan, "--db", tmp_path / engine)
        assert done.returncode == 1, done.stderr
        assert "24 files: 24 new" in done.stdout
    listed = [genrekit("library", "list", "--db", tmp_path / e, "--json") for e in ("local", "ray")]
    assert listed[0].stdout == listed[1].stdout
    assert listed[0].stdout.count("\n") >= 23
