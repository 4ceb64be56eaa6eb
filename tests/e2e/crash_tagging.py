"""Kill -9 an apply or an undo again and again, and look at what is left. Run by test_tag_crashes.

    python crash_tagging.py FOLDER DATABASE CRASHES SEED

Moments are the calls that touch files or the journal, before and after each: the whole way is
counted first, then processes are killed at moments drawn at random, and some at random times.
Standard output: one JSON object with counts. Any third state, lost or left-over file raises.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from genrekit.audio import packets
from genrekit.errors import LibraryError
from genrekit.library import database
from genrekit.tagging import applying, journal, plan_files
from genrekit.tags import formats

CALLS = {"open", "write", "flush", "close", "__exit__", "fsync", "truncate", "replace", "rename"}
CALLS |= {"unlink", "utime", "chmod", "chown", "setxattr", "execute", "fetchone"}
Action = Callable[[], None]
Content = dict[str, tuple[bytes, int]]


def content(folder: Path) -> Content:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def plan(folder: Path) -> plan_files.TagPlan:
    entries = []
    for path in sorted(folder.iterdir()):
        status = path.stat()
        entries.append(
            plan_files.PlanEntry(
                path=str(path),
                audio_sha256=packets.digest(path),
                size_bytes=status.st_size,
                mtime_ns=status.st_mtime_ns,
                old=formats.read(path).raw_genres,
                new=("Jazz", "Ambient Dub"),
                why="",
                provenance='{"model": "x"}',
            )
        )
    return plan_files.TagPlan("standard", tuple(entries), "0" * 64)


def hooked(at: int | None, action: Action) -> int:
    """Run an action; die at a moment, or return how many there are."""
    moment = 0

    def count(frame: object, event: str, called: object) -> None:
        nonlocal moment
        if event in {"c_call", "c_return"} and getattr(called, "__name__", "") in CALLS:
            moment += 1
            if moment == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return moment


def in_child(action: Action, at: int | None = None, after_seconds: float | None = None) -> bool:
    """Run an action in a process and kill that; return whether it died before it was done."""
    child = os.fork()
    if child == 0:
        hooked(at, action) if at else action()
        os._exit(0)
    if after_seconds is not None:
        time.sleep(after_seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action itself failed"
    return os.WIFSIGNALED(status)


class Trial:
    """One music folder, its database, and what its files look like before and after."""

    def __init__(self, folder: Path, database_path: Path) -> None:
        self.folder, self.database_path = folder, database_path
        self.before, self.plan = content(folder), plan(folder)
        self.states: Counter[str] = Counter()
        began = time.monotonic()
        self.n_moments = {"apply": hooked(None, self.apply)}
        self.after = {name: data for name, (data, _) in content(folder).items()}
        self.n_moments["undo"] = hooked(None, self.undo)
        self.seconds = time.monotonic() - began
        assert content(folder) == self.before

    def apply(self) -> None:
        with database.opened(self.database_path) as connection:
            report = applying.apply(connection, self.plan)
        assert report.failures == {}, report.failures

    def undo(self) -> None:
        with database.opened(self.database_path) as connection:
            report = applying.undo(connection, journal.chosen(connection))
        assert report.failures == {}, report.failures

    def look(self) -> None:
        """After a crash: every file is there, and is the old or the new one to the byte."""
        found = content(self.folder)
        assert set(self.before) <= set(found), "a file is lost"
        for name in self.before:
            if found[name] == self.before[name]:
                self.states["old"] += 1
            else:
                assert found[name][0] == self.after[name], f"{name} is in a third state"
                self.states["new"] += 1
        self.states["left over until the next run"] += len(set(found) - set(self.before))

    def crash(self, draw: random.Random) -> bool:
        name = draw.choice(["apply", "apply", "undo"])
        if name == "undo":
            self.apply()
        by_time = draw.random() < 0.3
        died = in_child(
            self.apply if name == "apply" else self.undo,
            at=None if by_time else draw.randint(1, self.n_moments[name]),
            after_seconds=draw.uniform(0, self.seconds / 2) if by_time else None,
        )
        self.look()
        if name == "apply":
            self.apply()
            found = content(self.folder)
            assert {key: data for key, (data, _) in found.items()} == self.after
        with suppress(LibraryError) if name == "undo" else nullcontext():
            self.undo()  # an undo that was killed at its very end has left nothing to undo
        assert content(self.folder) == self.before, "undo did not give everything back"
        return died


def main(folder: str, database_path: str, n_crashes: str, seed: str) -> None:
    trial, draw = Trial(Path(folder), Path(database_path)), random.Random(int(seed))
    n_died = sum(trial.crash(draw) for _ in range(int(n_crashes)))
    answer = {"died": n_died, "moments": trial.n_moments, "files": trial.states}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
