"""Mutated files with fixed seeds on everything that reads files; `make fuzz` tries more."""

from __future__ import annotations

from pathlib import Path

import pytest

import fuzzing

N_QUICK = 500
N_FULL = 20_000
MOST_BYTES = 400_000_000  # the process itself takes 75 to 90 MB


def test_the_seeds_are_what_they_say(tmp_path: Path) -> None:
    for target, read in fuzzing.TARGETS.items():
        for name, data in fuzzing.seeds(target).items():
            if target != "tags":
                (tmp_path / name).write_bytes(data)
                read(tmp_path / name)
    assert len({name.rpartition(".")[2] for name in fuzzing.audio_seeds()}) >= 16


def test_a_case_is_the_same_each_time() -> None:
    assert fuzzing.mutated("audio", 7) == fuzzing.mutated("audio", 7)
    assert len({fuzzing.mutated("audio", number) for number in range(50)}) == 50


def test_what_is_found_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise KeyError("foreign")

    monkeypatch.setitem(fuzzing.TARGETS, "labels", fail)
    kind, detail, peak = fuzzing.attempt("labels", tmp_path, True, 3)
    assert (kind, detail) == ("foreign", "KeyError: 'foreign'")
    assert peak > 10_000_000
    assert len(list(tmp_path.iterdir())) == 1


def check(target: str, n_cases: int, jobs: int) -> None:
    report = fuzzing.run(target, n_cases, jobs=jobs)
    assert report.n_tried == n_cases
    assert {case: text for case, text in report.found.items() if "contained" not in text} == {}
    assert 0 < report.peak_bytes < MOST_BYTES


@pytest.mark.slow
def test_mutated_audio_is_decoded_or_refused() -> None:
    check("audio", N_QUICK, 2)


@pytest.mark.parametrize("target", [name for name in fuzzing.TARGETS if name != "audio"])
def test_other_mutated_files_are_read_or_refused(target: str, tmp_path: Path) -> None:
    for number in range(100):
        kind, detail, _ = fuzzing.attempt(target, tmp_path, False, number)
        assert kind in ("read", "refused"), (number, detail)


@pytest.mark.full
@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_many_mutated_files(target: str) -> None:
    check(target, N_FULL, 2)


@pytest.mark.slow
@pytest.mark.parametrize("case", [753_842, 823_079])
def test_what_a_million_cases_found(case: int) -> None:
    """A rate of 2 GHz, of which a minute fills 480 GiB; a seek behind the end of a broken MP3."""
    report = fuzzing.run("audio", 1, first=case, jobs=1)
    assert report.found == {}
