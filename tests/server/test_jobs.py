"""Jobs are bounded in number, in bytes and in time; running ones are never dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from genrekit.server.jobs import Job, Jobs, JobsFullError
from genrekit.server.settings import ServerLimits


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def answer(body: str, go: asyncio.Event | None = None) -> tuple[int, str]:
    if go is not None:
        await go.wait()
    return 200, body


async def done(*jobs: Job) -> None:
    """Wait until jobs have ended and the list of them knows it."""
    await asyncio.gather(*(job.task for job in jobs))
    while any(job.done_at is None for job in jobs):
        await asyncio.sleep(0)


def test_a_job_runs_and_is_found_until_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("genrekit.server.jobs.monotonic", lambda: now)

    async def check() -> None:
        nonlocal now
        jobs = Jobs(ServerLimits(job_seconds=60))
        job = jobs.start(answer("x"))
        assert not job.is_done
        await done(job)
        now += 59
        assert jobs.find(job.job_id) is job
        assert job.task.result() == (200, "x")
        now += 2
        assert jobs.find(job.job_id) is None

    run(check())


def test_too_many_running_jobs_are_refused() -> None:
    async def check() -> None:
        jobs, go = Jobs(ServerLimits(max_jobs=2)), asyncio.Event()
        running = [jobs.start(answer("x", go)) for _ in range(2)]
        with pytest.raises(JobsFullError):
            jobs.start(answer("y"))
        go.set()
        await done(*running)
        third = jobs.start(answer("z"))
        found = [jobs.find(job.job_id) is not None for job in [*running, third]]
        assert sorted(found) == [False, True, True]
        assert found[2]

    run(check())


def test_the_oldest_answers_go_where_they_are_too_large() -> None:
    async def check() -> None:
        jobs = Jobs(ServerLimits(job_bytes=10))
        kept = []
        for size in (4, 4, 4, 40):
            kept.append(jobs.start(answer("x" * size)))
            await done(kept[-1])
            here = [len(job.task.result()[1]) for job in kept if jobs.find(job.job_id)]
            assert here in ([4], [4, 4], [40])
        assert jobs.find(kept[-1].job_id) is kept[-1]

    run(check())
