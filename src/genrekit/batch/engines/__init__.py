"""Where work is done: in processes of this machine, or on a Ray cluster.

An engine maps a function over blocks of items and gives each block back once it is done. Whoever
asks does not know which engine works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from genrekit.batch.engines.engine import Answer, Engine, Workers
from genrekit.batch.engines.local import Local

Name = Literal["local", "ray"]

__all__ = ["Answer", "Engine", "Local", "Name", "Workers", "named"]


def named(
    name: Name = "local",
    *,
    jobs: int | None = None,
    ray_address: str | None = None,
    gpus_per_job: float = 0.0,
) -> Engine:
    """Return an engine; nothing is started yet.

    Args:
        name: "local" or "ray".
        jobs: worker processes; None is one a core, of the whole cluster for Ray.
        ray_address: for Ray alone: "auto" for the cluster that this machine belongs to, or
            HOST:PORT; None starts Ray on this machine for as long as the work lasts.
        gpus_per_job: for Ray alone: the share of a GPU that each worker reserves.

    Raises:
        GenrekitError: Ray is asked for and not installed.
    """
    engines: dict[Name, Callable[[], Engine]] = {
        "local": lambda: Local(jobs),
        "ray": lambda: _ray(jobs, ray_address, gpus_per_job),
    }
    return engines[name]()


def _ray(jobs: int | None, address: str | None, gpus_per_job: float) -> Engine:
    from genrekit.batch.engines.ray_data import RayData

    return RayData(jobs, address, gpus_per_job)
