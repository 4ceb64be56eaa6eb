"""The base class of every pydantic model that is written to a file and read back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys, so that a misspelt one is noticed, and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
