"""Claim: the accuracy that the source of a recipe reports, and how it measured that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genrekit.strict import StrictModel

Percent = Annotated[float, Field(ge=0, le=100)]


class Claim(StrictModel):
    """A row of the table of results: claimed, measured the same way, measured honestly.

    Attributes:
        source: who reports it; empty where the recipe is nobody's claim.
        role: what the row is: the source's own system, a stand-in for it with weights that can be
            had, or its network by a LEAKY protocol that may explain its number.
        of: the rows that a stand-in or a leaky protocol belongs to; it never replaces them.
        method: what they built and how they measured it, in a sentence.
        split: how they divided their data: "segment" is LEAKY, "track" has artists on both sides.
        folds: number of folds; 0 is one division.
        artist_folds: folds of the honest split by artist; 0 is one division, for costly networks.
        seeds: how many seeds each protocol is measured with, from the recipe's own upwards.
        leaky_too: measure the LEAKY split of segments as well, to show the size of the leak.
        level: which level of evaluation.result their number is.
        accuracy: in %; None where they gave none.
        precision: macro precision in %, where they gave it.
        recall: macro recall in %, where they gave it.
        f1: macro F1 in %, where they gave it.
        statement: what they state where they gave no number.
        data: names below the folder of data; the first that exists is used.
        n_genres: how many genres the source's data have; 0 where it chose some.
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
            raise ValueError("one fold holds nothing out; write 0 for one division, or 2 and more")
        if self.leaky_too and self.split == "segment":
            raise ValueError("split = 'segment' is LEAKY already; leave out leaky_too")
        if self.folds and self.split in ("fault-filtered", "official"):
            raise ValueError(f"the {self.split} split is one published split; it has no folds")
        if (self.role == "source") != (not self.of):
            raise ValueError(
                f"role {self.role!r} with of = {list(self.of)}: a stand-in or a leaky "
                "protocol names the rows that it belongs to, and nothing else does"
            )
        if not self.source and self.model_dump(exclude_defaults=True):
            raise ValueError("a claim needs its source")
        return self

    @property
    def is_made(self) -> bool:
        """Whether the recipe is somebody's claim."""
        return bool(self.source)
