"""Runs: the same prediction over millions of files, each in the output once, whatever is killed.

A run has a folder, here or in an object store, that holds what it is (``_run.json``), the list of
its files (``_sources.jsonl``) and its parts, each of them one block of that list. A part appears
whole or not at all; a run that is started again does the blocks whose parts are missing.
"""

from genrekit.batch.job import JobReport, run
from genrekit.batch.status import Status, status

__all__ = ["JobReport", "Status", "run", "status"]
