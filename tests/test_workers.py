"""The pool of killable workers: real processes, really killed."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrekit import workers
from genrekit.errors import AudioError, GenrekitError, ModelError
from genrekit.workers import Failure, Pool

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def start() -> Callable[[Any], Any]:
    return work


def start_with_a_mark(folder: Path) -> Callable[[Any], Any]:
    (folder / str(os.getpid())).touch()
    return work


def start_badly(error: Exception) -> Callable[[Any], Any]:
    raise error


def start_and_die() -> Callable[[Any], Any]:
    os._exit(3)


def work(item: Any) -> Any:
    name, *rest = item if isinstance(item, tuple) else (item,)
    actions: dict[str, Callable[..., Any]] = {
        "hang": lambda: time.sleep(600),
        "sleep": lambda seconds: time.sleep(seconds) or seconds,
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "exit": lambda: os._exit(7),
        "raise": _raise,
        "eat": lambda n_bytes: (np.ones(n_bytes, np.uint8), time.sleep(600)),
        "lambda": lambda: lambda: None,
        "large": lambda n: "x" * n,
        "pid": os.getpid,
    }
    return actions[name](*rest)


def _raise(error: Exception) -> None:
    raise error


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool[Any, Any]]:
    with Pool(start, 2, item_seconds=60) as pool:
        yield pool


def test_results_come_in_the_order_of_the_items(pool: Pool[Any, Any]) -> None:
    seconds = [0.2, 0.0, 0.05, 0.0, 0.1, 0.0]
    assert list(pool.map(("sleep", s) for s in seconds)) == seconds


def test_out_of_order_a_slow_item_holds_nobody_up(pool: Pool[Any, Any]) -> None:
    seconds = [1.5, 0.0, 0.01, 0.02]
    results = list(pool.map((("sleep", s) for s in seconds), in_order=False))
    assert sorted(results) == sorted(seconds)
    assert results[-1] == 1.5


def test_no_items_no_results(pool: Pool[Any, Any]) -> None:
    assert list(pool.map([])) == []


def test_the_first_result_does_not_wait_for_the_last(pool: Pool[Any, Any]) -> None:
    assert next(pool.map([("pid",), "hang"])) > 0


def test_start_is_called_once_a_worker(tmp_path: Path) -> None:
    with Pool(functools.partial(start_with_a_mark, tmp_path), 2, item_seconds=60) as pool:
        pids = set(pool.map([("sleep", 0.3), ("sleep", 0.3), *[("pid",)] * 6])) - {0.3}
    assert {path.name for path in tmp_path.iterdir()} >= {str(pid) for pid in pids}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("raise", AudioError("a.mp3: is empty")), "a.mp3: is empty"),
        (("raise", OSError(5, "Input/output error")), "Input/output error"),
        (("raise", ValueError("no\nsense")), "failed unexpectedly: ValueError: no sense"),
        (("raise", MemoryError()), "ran out of memory"),
        ("lambda", "the result cannot be sent back"),
        ("kill", "the worker died of SIGKILL"),
        ("crash", "the worker died of SIGSEGV"),
        ("exit", "the worker died with exit code 7"),
    ],
)
def test_a_bad_item_fails_alone(pool: Pool[Any, Any], item: Any, message: str) -> None:
    first, bad, last = pool.map([("large", 1), item, ("large", 3)])
    assert (first, last) == ("x", "xxx")
    assert isinstance(bad, Failure)
    assert message in bad.message
    assert bad.item == item or item[0] == "raise"


def test_a_hanging_item_is_killed_at_its_deadline_and_the_others_go_on() -> None:
    with Pool(start, 2, item_seconds=0.6) as pool:
        begin = time.monotonic()
        results = list(pool.map(["hang", ("sleep", 0.1), ("sleep", 0.2), "hang", ("sleep", 0.0)]))
        took = time.monotonic() - begin
    assert [r for r in results if not isinstance(r, Failure)] == [0.1, 0.2, 0.0]
    assert results[0] == Failure("hang", "took longer than 0.6 s and was stopped", "limit")
    assert results[3] == Failure("hang", "took longer than 0.6 s and was stopped", "limit")
    assert took < 20


@needs_proc
def test_an_item_that_eats_memory_is_killed() -> None:
    with Pool(start, 1, item_seconds=60, memory_bytes=300_000_000) as pool:
        eaten, well = pool.map([("eat", 500_000_000), ("large", 2)])
    assert isinstance(eaten, Failure)
    assert "needed more than 300 MB of memory" in eaten.message
    assert well == "xx"


def test_items_are_taken_only_a_few_ahead(pool: Pool[Any, Any]) -> None:
    taken = itertools.count()
    endless = (("large", 1 + 0 * next(taken)) for _ in itertools.count())
    results = pool.map(endless)
    for _ in range(50):
        assert next(results) == "x"
    results.close()
    assert next(taken) <= 50 + 2 * 8 + 1


def test_results_larger_than_a_pipe(pool: Pool[Any, Any]) -> None:
    sizes = [3_000_000, 1, 2_000_000, 5]
    assert [len(r) for r in pool.map(("large", n) for n in sizes)] == sizes


def test_a_closed_map_leaves_the_pool_usable(pool: Pool[Any, Any]) -> None:
    results = pool.map([("large", 1), "hang", "hang"])
    next(results)
    results.close()
    assert list(pool.map([("large", 2)])) == ["xx"]


def test_two_maps_at_once_are_refused(pool: Pool[Any, Any]) -> None:
    first = pool.map([("large", 1), "hang"])
    next(first)
    with pytest.raises(RuntimeError, match="has not ended yet"):
        next(pool.map([("large", 1)]))
    first.close()


def test_a_worker_that_died_while_idle_is_replaced(pool: Pool[Any, Any]) -> None:
    (pid,) = pool.map([("pid",)])
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert list(pool.map([("large", 1), ("large", 1)])) == ["x", "x"]


def test_an_error_of_start_reaches_the_caller() -> None:
    error = ModelError("model 'x' is broken")
    with (
        Pool(functools.partial(start_badly, error), 2, item_seconds=60) as pool,
        pytest.raises(ModelError, match="model 'x' is broken"),
    ):
        list(pool.map([1, 2, 3]))


def test_a_worker_that_dies_before_it_is_ready_stops_the_map() -> None:
    with (
        Pool(start_and_die, 2, item_seconds=60) as pool,
        pytest.raises(GenrekitError, match=r"could not start.*exit code 3"),
    ):
        list(pool.map([1, 2, 3]))


def test_no_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="got n_workers 0"):
        Pool(start, 0, item_seconds=1)


# A user's script, without a check of __name__: workers must not run it again.
SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
print("once", flush=True)
from genrekit.workers import Pool
from test_workers import start
pool = Pool(start, 2, item_seconds=600)
for result in pool.map([("pid",), ("sleep", 0.3), ("pid",), {last}]):
    print(result, flush=True)
pool.close()
"""


def _script(last: str) -> subprocess.Popen[str]:
    code = SCRIPT.format(tests=str(Path(__file__).parent), last=last)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_that_does_not_check_its_name_runs_once(tmp_path: Path) -> None:
    code = SCRIPT.format(tests=str(Path(__file__).parent), last="('large', 1)")
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split().count("once") == 1
    assert done.stdout.split()[-1] == "x"


@needs_proc
@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "parent only"])
def test_ctrl_c_ends_all(to_group: bool) -> None:
    script = _script("'hang'")
    pids = _pids(script)
    begin = time.monotonic()
    (os.killpg if to_group else os.kill)(script.pid, signal.SIGINT)
    _, errors = script.communicate(timeout=20)
    assert script.returncode != 0
    assert errors.count("Traceback") == 1, errors  # the parent's own, none of a worker
    assert _all_gone(pids, until=begin + 5)


@needs_proc
def test_workers_end_when_their_parent_is_killed() -> None:
    script = _script("'hang'")
    pids = _pids(script)
    script.kill()
    script.communicate(timeout=20)
    assert _all_gone(pids, until=time.monotonic() + 5)


def _pids(script: subprocess.Popen[str]) -> list[int]:
    """Read until all but the hanging item are done; return the pids of all child processes."""
    assert script.stdout is not None
    for _ in range(4):
        script.stdout.readline()
    tasks = Path(f"/proc/{script.pid}/task/{script.pid}/children").read_text().split()
    assert len(tasks) >= 2
    return [int(pid) for pid in tasks]


def _all_gone(pids: list[int], until: float) -> bool:
    while time.monotonic() < until:
        if not any(_is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_only_the_cores_that_the_process_may_use_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert workers.n_cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    assert workers.n_cores() == 64
