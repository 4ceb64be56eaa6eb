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
from genrekit.server.worker import Answer, Hear, Task
from genrekit.server.worker_queue import BusyError, WorkerQueue


def obey(task: Task | None) -> Answer:
    if task is None:
        return Answer()
    if task.name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "die once" and not task.path.exists():
        task.path.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if task.name == "raise":
        raise RuntimeError("a secret")
    while task.name == "wait" and not task.path.exists():
        time.sleep(0.01)
    return Answer(task.name)


def start() -> Hear:
    return obey


def start_badly() -> Hear:
    os._exit(3)


def task(name: str, path: Path = Path()) -> Task:
    return Task(path, name, model=0, max_seconds=1, job_from_seconds=1)


@pytest.fixture(scope="module")
def desk() -> Iterator[WorkerQueue]:
    desk = WorkerQueue(
        start, Settings(n_workers=2, limits=ServerLimits(queue_size=2, item_seconds=WAIT_SECONDS))
    )
    desk.open()
    yield desk
    desk.close()


def test_answers_belong_to_their_tasks(desk: WorkerQueue) -> None:
    names = [["a", "b"], ["c"], ["d"]]
    futures = [future for group in names for future in desk.submit([task(n) for n in group])]
    assert [future.result(WAIT_SECONDS).body for future in futures] == ["a", "b", "c", "d"]
    assert desk.n_open == 0
    wait_for(lambda: desk.n_ready == 2)


def test_a_full_queue_takes_all_or_nothing(desk: WorkerQueue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    held = desk.submit([task("wait", go)] * 3)
    with pytest.raises(BusyError):
        desk.submit([task("a"), task("b")])
    assert desk.n_open == 3
    held += desk.submit([task("a")])
    with pytest.raises(BusyError) as raised:
        desk.check_room()
    assert raised.value.retry_seconds >= 1
    go.touch()
    assert [future.result(WAIT_SECONDS).body for future in held] == ["wait"] * 3 + ["a"]
    desk.check_room()


def test_a_cancelled_task_is_not_done(desk: WorkerQueue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    held = desk.submit([task("wait", go)] * 2)
    wait_for(lambda: all(future.running() for future in held))
    n_killed = desk.n_killed
    cancelled = desk.submit([task("die")])[0]
    assert cancelled.cancel()
    go.touch()
    wait_for(lambda: desk.n_open == 0)
    assert desk.n_killed == n_killed
    with pytest.raises(CancelledError):
        cancelled.result(0)


def test_a_worker_that_dies_once_costs_no_answer(desk: WorkerQueue, tmp_path: Path) -> None:
    n_killed = desk.n_killed
    assert (
        desk.submit([task("die once", tmp_path / "died")])[0].result(WAIT_SECONDS).body
        == "die once"
    )
    assert desk.n_killed == n_killed + 1


def test_a_file_beside_which_every_worker_dies(desk: WorkerQueue) -> None:
    n_killed = desk.n_killed
    answer = desk.submit([task("die")])[0].result(WAIT_SECONDS)
    assert (answer.status, answer.error) == (422, "die: the worker died of SIGKILL")
    assert desk.n_killed == n_killed + 3
    assert desk.submit([task("a")])[0].result(WAIT_SECONDS).body == "a"


def test_an_unexpected_error_is_told_to_the_log_only(
    desk: WorkerQueue, caplog: pytest.LogCaptureFixture
) -> None:
    answer = desk.submit([task("raise")])[0].result(WAIT_SECONDS)
    assert (answer.status, answer.error) == (500, "raise: failed unexpectedly; please report it")
    assert "RuntimeError: a secret" in caplog.text


def test_workers_that_cannot_start() -> None:
    desk = WorkerQueue(start_badly, Settings())
    desk.open()
    answer = desk.submit([task("a")])[0].result(WAIT_SECONDS)
    desk.close()
    assert (answer.status, desk.n_ready) == (503, 0)


def test_closing_finishes_what_runs_and_drops_what_waits(tmp_path: Path) -> None:
    desk = WorkerQueue(start, Settings(n_workers=1))
    desk.open()
    go = tmp_path / "go"
    first, second = desk.submit([task("wait", go)] * 2)
    wait_for(first.running)
    go.touch()
    desk.close()
    assert first.result(0).body == "wait"
    assert second.cancelled() or second.result(0).body == "wait"
    assert desk.n_open == 0
