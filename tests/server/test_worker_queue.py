"""The queue in front of the workers, with workers that do what a task's name says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from serving import WAIT_SECONDS, wait_for

from genrekit.server.settings import ServerLimits, Settings
from genrekit.server.worker_queue import (
    BusyError,
    FileTask,
    RunTask,
    TaskOptions,
    TaskResult,
    WorkerQueue,
)


def obey(task: FileTask | None) -> TaskResult:
    if task is None:
        return TaskResult()
    if task.name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "die once" and not task.path.exists():
        task.path.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if task.name == "raise":
        raise RuntimeError("a secret")
    while task.name == "wait" and not task.path.exists():
        time.sleep(0.01)
    return TaskResult(task.name)


def start() -> RunTask:
    return obey


def start_badly() -> RunTask:
    os._exit(3)


def task(name: str, path: Path = Path()) -> FileTask:
    return FileTask(path, name, TaskOptions(), max_seconds=1, job_from_seconds=1)


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerQueue]:
    workers = WorkerQueue(
        start, Settings(n_workers=2, limits=ServerLimits(queue_size=2, item_seconds=WAIT_SECONDS))
    )
    workers.open()
    yield workers
    workers.close()


def test_results_belong_to_their_tasks(workers: WorkerQueue) -> None:
    names = [["a", "b"], ["c"], ["d"]]
    futures = [future for group in names for future in workers.submit([task(n) for n in group])]
    assert [future.result(WAIT_SECONDS).body for future in futures] == ["a", "b", "c", "d"]
    assert workers.n_open == 0
    wait_for(lambda: workers.n_ready == 2)


def test_a_full_queue_takes_all_or_nothing(workers: WorkerQueue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    held = workers.submit([task("wait", go)] * 3)
    with pytest.raises(BusyError):
        workers.submit([task("a"), task("b")])
    assert workers.n_open == 3
    held += workers.submit([task("a")])
    with pytest.raises(BusyError) as raised:
        workers.check_room()
    assert raised.value.retry_seconds >= 1
    go.touch()
    assert [future.result(WAIT_SECONDS).body for future in held] == ["wait"] * 3 + ["a"]
    workers.check_room()


def test_a_cancelled_task_is_not_done(workers: WorkerQueue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    held = workers.submit([task("wait", go)] * 2)
    wait_for(lambda: all(future.running() for future in held))
    n_killed = workers.n_killed
    cancelled = workers.submit([task("die")])[0]
    assert cancelled.cancel()
    go.touch()
    wait_for(lambda: workers.n_open == 0)
    assert workers.n_killed == n_killed
    with pytest.raises(CancelledError):
        cancelled.result(0)


def test_a_worker_that_dies_once_costs_no_result(workers: WorkerQueue, tmp_path: Path) -> None:
    n_killed = workers.n_killed
    assert (
        workers.submit([task("die once", tmp_path / "died")])[0].result(WAIT_SECONDS).body
        == "die once"
    )
    assert workers.n_killed == n_killed + 1


def test_a_file_beside_which_every_worker_dies(workers: WorkerQueue) -> None:
    n_killed = workers.n_killed
    result = workers.submit([task("die")])[0].result(WAIT_SECONDS)
    assert (result.status, result.error) == (422, "die: the worker died of SIGKILL")
    assert workers.n_killed == n_killed + 3
    assert workers.submit([task("a")])[0].result(WAIT_SECONDS).body == "a"


def test_an_unexpected_error_reaches_the_log_only(
    workers: WorkerQueue, caplog: pytest.LogCaptureFixture
) -> None:
    result = workers.submit([task("raise")])[0].result(WAIT_SECONDS)
    assert (result.status, result.error) == (500, "raise: failed unexpectedly; please report it")
    assert "RuntimeError: a secret" in caplog.text


@pytest.mark.slow
def test_workers_that_cannot_start() -> None:
    workers = WorkerQueue(start_badly, Settings())
    workers.open()
    result = workers.submit([task("a")])[0].result(WAIT_SECONDS)
    workers.close()
    assert (result.status, workers.n_ready) == (503, 0)


def test_closing_finishes_what_runs_and_drops_what_waits(tmp_path: Path) -> None:
    workers = WorkerQueue(start, Settings(n_workers=1))
    workers.open()
    go = tmp_path / "go"
    first, second = workers.submit([task("wait", go)] * 2)
    wait_for(first.running)
    go.touch()
    workers.close()
    assert first.result(0).body == "wait"
    assert second.cancelled() or second.result(0).body == "wait"
    assert workers.n_open == 0
