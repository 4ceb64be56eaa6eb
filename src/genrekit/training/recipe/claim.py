"""Claim: the accuracy that the source of a recipe reports, and how it was measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genrekit.strict import StrictModel

Percent = Annotated[float, Field(ge=0, le=100)]


class Claim(StrictModel):
    """A row of the results table: claimed, measured by the same protocol, measured honestly.

    Attributes:
        source: who reports it; empty if the recipe is not a claim.
        role: the source's own system, a stand-in for it with available weights, or its network
            under a LEAKY protocol that may explain its number.
        of: the rows that a stand-in or a leaky protocol belongs to; it never replaces them.
        method: what they built and how they measured it, in one sentence.
        split: how they divided their data: "segment" is LEAKY, "track" has artists on both sides.
        folds: number of folds; 0 is a single division.
        artist_folds: folds of the honest split by artist; 0 is one division, for costly networks.
        seeds: how many seeds each protocol is measured with, counting up from the recipe's.
        leaky_too: measure the LEAKY split of segments as well, to show the size of the leak.
        level: the level of evaluation.result of their number.
        accuracy: in %; None if not reported.
        precision: macro precision in %, if reported.
        recall: macro recall in %, if reported.
        f1: macro F1 in %, if reported.
        statement: what they state in place of a number.
        data: names in the data folder; the first that exists is used.
        n_genres: the number of genres in the source's data; 0 if it selected some.
        substitute: what differs from the source because the original is not available, and why.
    """

    source: str = ""
    role: Literal["source", "stand-in", "leaky"] = "source"
    of: tuple[str, ...] = ()
    method: str = ""
    split: Literal["segment", "track", "artist", "fault-filtered", "official"] = "track"
    folds: Annotated[int, Field(ge=0)] = 0
    artist_folds: Annotated[int, Field(ge=0)] = 10
    seeds: Annotated[int, Field(ge=1)] = 1
    leaky_too: bool = False
    level: Literal["segment", "majority_vote", "mean_probability"] = "mean_probability"
    accuracy: Percent | None = None
    precision: Percent | None = None
    recall: Percent | None = None
    f1: Percent | None = None
    statement: str = ""
    data: tuple[str, ...] = (".",)
    n_genres: Annotated[int, Field(ge=0)] = 0
    substitute: str = ""

    @model_validator(mode="after")
    def _check(self) -> Claim:
        if 1 in (self.folds, self.artist_folds):
            raise ValueError("one fold holds nothing out; write 0 for one division, or at least 2")
        if self.leaky_too and self.split == "segment":
            raise ValueError("split = 'segment' is LEAKY already; omit leaky_too")
        if self.folds and self.split in ("fault-filtered", "official"):
            raise ValueError(f"the {self.split} split is one published split; it has no folds")
        if (self.role == "source") != (not self.of):
            raise ValueError(
                f"role {self.role!r} with of = {list(self.of)}: a stand-in or a leaky "
                "protocol names the rows that it belongs to; other roles do not"
            )
        if not self.source and self.model_dump(exclude_defaults=True):
            raise ValueError("a claim needs its source")
        return self

    @property
    def is_made(self) -> bool:
        """Whether the recipe is a claim."""
        return bool(self.source)
