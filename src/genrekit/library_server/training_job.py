"""Training from the page, in a child process; its model is used once accepted."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from genrekit.errors import LibraryError
from genrekit.library import settings_table
from genrekit.models import install
from genrekit.server.problems import ProblemError

if TYPE_CHECKING:
    from genrekit.library_server.job_board import RunningJob

MODEL = "model"  # the setting that names the folder of the accepted model
_STOP_SECONDS = 0.2  # at most until a training that is cancelled ends
_END_SECONDS = 10.0
_MAX_RESULT_BYTES = 10_000_000
_MEASURED = re.compile(r"(\d+) of (\d+) tracks measured")
_RESULT = ("accuracy", "old_accuracy", "difference", "low", "high", "n_tracks", "caution", "model")


def train(connection: sqlite3.Connection, job: RunningJob) -> dict[str, Any]:
    """Teach the library's model in a child process.

    Raises:
        LibraryError: it cannot be taught; the sentence is the child's.
        JobStoppedError: the job was cancelled; the child has ended.
    """
    database = connection.execute("PRAGMA database_list").fetchone()["file"]
    output = Path(f"{database}.models") / f"job-{job.id}"
    program = [sys.executable, "-m", "genrekit"]
    options = ["--from-library", "--db", database, "-o", str(output), "--json"]
    child = subprocess.Popen(
        [*program, "train", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    written: list[str] = []
    with child:
        readers = [
            threading.Thread(target=_read_progress, args=(child.stderr, job), daemon=True),
            threading.Thread(target=_read_result, args=(child.stdout, written), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            while child.poll() is None:
                job.check()
                job.is_ending.wait(_STOP_SECONDS)
        except BaseException:
            _end(child)
            raise
        for reader in readers:
            reader.join()
    if child.returncode:
        raise LibraryError(job.messages[-1] if job.messages else "the training ended by itself")
    found = json.loads("".join(written))
    return {name: found[name] for name in _RESULT} | {"name": found.get("name", "")}


def accept(connection: sqlite3.Connection, job: dict[str, Any]) -> str:
    """Use the model that a job has trained from the next scan on.

    Args:
        connection: the library's database.
        job: its JSON form.

    Returns:
        The name under which the model is installed.

    Raises:
        ProblemError: 409 the job has trained nothing.
        ModelError: its model is gone or damaged.
    """
    from genrekit.inference import verification

    if job["kind"] != "train" or job["result"] is None:
        raise ProblemError(409, f"job {job['id']} has trained nothing; train first")
    source = str(job["result"]["model"])
    folder = install.install(source, overwrite=True, check=verification.verify)
    settings_table.save(connection, MODEL, str(folder.path))
    return folder.card.name


def _read_progress(stream: IO[str] | None, job: RunningJob) -> None:
    """Show the child's messages and progress."""
    for line in stream or ():
        sentence = line.strip().removeprefix("genrekit: ").removeprefix("error: ")
        if found := _MEASURED.fullmatch(sentence):
            job.done, job.total = int(found[1]), int(found[2])
        elif sentence:
            job.say(sentence)


def _read_result(stream: IO[str] | None, written: list[str]) -> None:
    if stream:
        written.append(stream.read(_MAX_RESULT_BYTES))


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
