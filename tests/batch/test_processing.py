"""The loop of batch jobs: rounds one after another, failures alone, progress to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from genrekit.batch.engines import Engine, InProcessEngine, Limits, LocalEngine
from genrekit.batch.processing import Report, Round, blocks_of, process
from genrekit.errors import AudioError
from genrekit.workers import Failure


def start() -> Callable[[int], int]:
    return halve


def halve(number: int) -> int:
    if number % 2:
        raise AudioError(f"{number} is odd")
    return number // 2


@dataclass
class Halves:
    """A record whose second round is what the first one gave."""

    pending: list[int]
    report: Report = field(default_factory=Report)
    kept: list[int] = field(default_factory=list)

    def rounds(self, engine: Engine) -> Iterator[Round]:
        yield Round(blocks_of(self.pending, 2))
        yield Round(blocks_of(sorted(self.kept), engine.block_items), n_done=1)

    def keep(self, position: int, results: Sequence[int | Failure[int]]) -> int:
        assert position >= 0
        for result in results:
            if isinstance(result, Failure):
                self.report.failures[str(result.item)] = result.message
            else:
                self.kept.append(result)
        return len(results)


@pytest.mark.parametrize("engine", [InProcessEngine(), LocalEngine(2)])
def test_a_round_is_kept_before_the_next_one_is_made(engine: Engine) -> None:
    record = Halves([4, 7, 8])
    advanced: list[int] = []
    process(
        start,
        record,
        engine,
        Limits(),
        n_files=6,
        progress=lambda n_files: nullcontext(advanced.append),
    )
    assert sorted(record.kept) == [1, 2, 2, 4]
    assert record.report.failures == {"7": "7 is odd"}
    assert record.report.n_failed == 1
    assert record.report.seconds > 0
    assert sum(advanced) == 6
