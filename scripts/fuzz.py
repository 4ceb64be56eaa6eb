"""Try mutated files on everything that reads files, in children that may die of it.

    python scripts/fuzz.py --cases 20000 [--target audio] [--first 0] [--jobs 2] [--keep FOLDER]

prints a row for each target and then what was found, and exits with 1 if anything but a crash of
FFmpeg in its own process was. ``--first NUMBER --cases 1`` tries one case again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import fuzzing  # type: ignore[import-not-found]  # lies with the tests


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=list(fuzzing.TARGETS))
    parser.add_argument("--cases", type=int, default=2000, help="of each target")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--keep", type=Path, help="keep the files of what was found there")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    print(fuzzing.HEADER, "|---" * 7 + "|", sep="\n")
    problems: dict[str, str] = {}
    for target in options.target or fuzzing.TARGETS:
        began = time.monotonic()
        report = fuzzing.run(
            target, options.cases, first=options.first, jobs=options.jobs, keep=options.keep
        )
        problems |= report.found
        print(f"| {target} | {report.row} |", flush=True)
        seconds = time.monotonic() - began
        print(f"{target}: {seconds:.0f} s, {dict(report.outcomes)}", file=sys.stderr)
    for case, problem in problems.items():
        print(f"{case}: {problem}")
    return any(not problem.startswith("contained") for problem in problems.values())


if __name__ == "__main__":
    sys.exit(main())
