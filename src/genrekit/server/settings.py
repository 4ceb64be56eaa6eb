"""The settings of a server, and all its limits with their defaults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genrekit.errors import RecipeError, unknown_name


class ServerLimits(BaseModel):
    """The limits of a server; ``genrekit serve KEY=VALUE`` changes one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue_size: int = Field(64, ge=1, description="Files that may wait for a worker.")
    max_files: int = Field(16, ge=1, description="Files per request.")
    max_bytes: int = Field(200_000_000, ge=1, description="Bytes per request.")
    max_seconds: float = Field(14_400.0, gt=0, description="Duration of a file's audio.")
    job_from_seconds: float = Field(600.0, ge=0, description="Longer audio becomes a job.")
    max_jobs: int = Field(50, ge=1, description="Jobs to keep, including finished ones.")
    job_seconds: float = Field(3600.0, gt=0, description="How long a finished job is kept.")
    job_bytes: int = Field(100_000_000, ge=1, description="Total size of the results kept.")
    item_seconds: float = Field(60.0, gt=0, description="Time limit of a worker per file.")
    memory_bytes: int = Field(1_000_000_000, ge=1_000_000, description="Of a worker.")
    upload_bytes: int = Field(4_000_000_000, ge=1, description="Total size of uploads on disk.")
    upload_grace_seconds: float = Field(10.0, gt=0, description="An upload may take this long,")
    upload_bytes_per_second: float = Field(2000.0, gt=0, description="and longer at this rate.")
    idle_seconds: float = Field(10.0, gt=0, description="How long a connection may be idle.")


@dataclass(frozen=True)
class Settings:
    """One server's settings.

    Args:
        models: names or folders of the models, the first is the default; () is the
            embedded ones.
        n_workers: processes that predict files.
        limits: the limits.
        min_precision: as Classifier takes it; None never abstains.
        api_key: without it anyone who reaches the port may predict.
        allow_origins: origins of other sites' pages that may call, as in CORS; requests to their
            host names are accepted too, besides this machine's names and IP addresses.
        root_path: the path prefix that a reverse proxy adds.
    """

    models: tuple[str, ...] = ()
    n_workers: int = 1
    limits: ServerLimits = field(default_factory=ServerLimits)
    min_precision: float | None = None
    api_key: str | None = None
    allow_origins: tuple[str, ...] = ()
    root_path: str = ""


def parse_limits(pairs: Iterable[str]) -> ServerLimits:
    """Read limits as a user writes them.

    Raises:
        RecipeError: a key is unknown or a value is of the wrong type or out of range.

    >>> parse_limits(["max_seconds=90", "queue_size=8"]).max_seconds
    90.0
    """
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"got {pair!r}; give a limit as KEY=VALUE, such as queue_size=8")
        if key not in ServerLimits.model_fields:
            raise RecipeError(unknown_name("limit", key, ServerLimits.model_fields))
        values[key] = value
    try:
        return ServerLimits.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        raise RecipeError(f"{key}={values[key]}: {first['msg'].lower()}") from error
