"""The outcome of each file of a run, reported as soon as it is known; a file fails on its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from genrekit.errors import GenrekitError, LibraryError

State = Literal["changed", "unchanged", "failed"]


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of one file, and why it failed."""

    path: str
    state: State
    reason: str = ""


OnFile = Callable[[FileOutcome], object]


def ignore(outcome: FileOutcome) -> None:
    """Report no progress."""


@dataclass
class ApplyReport:
    """The files that changed, those that did not need to, and why others failed."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"changed": self.changed, "unchanged": self.unchanged, "failures": self.failures}

    def add(self, outcome: FileOutcome) -> None:
        """Add the outcome of a file."""
        if outcome.state == "failed":
            self.failures[outcome.path] = outcome.reason
        else:
            (self.changed if outcome.state == "changed" else self.unchanged).append(outcome.path)


def each(actions: Iterable[tuple[str, Callable[[], State]]], on_file: OnFile) -> ApplyReport:
    """Run an action on each file; a file fails on its own.

    Args:
        actions: each path with its action, which returns the outcome.
        on_file: called with the outcome of each file, as soon as it is known.

    Raises:
        LibraryError: the library's database fails; the message says what was done before.
    """
    report = ApplyReport()
    for path, action in actions:
        try:
            outcome = FileOutcome(path, action())
        except GenrekitError as error:
            outcome = FileOutcome(path, "failed", " ".join(str(error).split()))
        except OSError as error:
            outcome = FileOutcome(path, "failed", f"{path}: {error.strerror or error}")
        except sqlite3.Error as error:
            raise LibraryError(_interrupted(report, error)) from error
        report.add(outcome)
        on_file(outcome)
    return report


def _interrupted(report: ApplyReport, error: sqlite3.Error) -> str:
    """Return what was done before the library's database failed."""
    n_changed, last = len(report.changed), "".join(report.changed[-1:])
    done = f"{n_changed} files were changed before, the last of them {last}" if last else ""
    return (
        f"the library database cannot be written ({error}); {done or 'no file was changed'}; free "
        "some space on its disk and run the same command again to resume"
    )
