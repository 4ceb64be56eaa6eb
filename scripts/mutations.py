"""Break the code in five ways, one at a time, in a copy; the tests must notice each one.

    python scripts/mutations.py

prints which test caught each mutation, and exits with 1 when one survives or cannot be applied.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".*", "runs", "demo", "build", "dist", "__pycache__", "*.egg-info")


@dataclass(frozen=True)
class Mutation:
    """One break: the text that is replaced, once, and the tests that ought to notice."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> None:
        """Replace the text in a copy of the tree.

        Raises:
            ValueError: the old text does not stand there exactly once, so the code has moved on.
        """
        path = tree / self.path
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.path}, "
                "not once; bring scripts/mutations.py up to date"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTATIONS = (
    Mutation(
        "a hop that is one sample too long",
        "src/genrekit/features/stft.py",
        ":: spec.hop_length]",
        ":: spec.hop_length + 1]",
        ("tests/features/test_features.py",),
    ),
    Mutation(
        "two labels swapped",
        "src/genrekit/inference/classifier.py",
        "return self.card.labels\n",
        "return (self.card.labels[1], self.card.labels[0], *self.card.labels[2:])\n",
        ("tests/golden",),
    ),
    Mutation(
        "one track in two splits",
        "src/genrekit/datasets/splits/gtzan_fault_filtered.tsv",
        "blues.00000\tvalidation\n",
        "blues.00000\tvalidation\nblues.00000\ttest\n",
        ("tests/datasets/test_leaks.py", "tests/datasets/test_splits.py"),
    ),
    Mutation(
        "a loader that returns int16",
        "src/genrekit/audio/readers.py",
        'self._file.read(n_samples, dtype="float32", always_2d=True)',
        'self._file.read(n_samples, dtype="int16", always_2d=True)',
        ("tests/golden", "tests/inference/test_inference.py"),
    ),
    Mutation(
        "exit code 0 after a failed file",
        "src/genrekit/cli/predict.py",
        "raise typer.Exit(1)",
        "raise typer.Exit(0)",
        ("tests/e2e/test_predict.py",),
    ),
)


def copy(folder: Path) -> Path:
    """Copy the working tree without caches and environments; return the copy."""
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    return Path(shutil.copytree(ROOT, folder / "main", ignore=ignore))


def run_tests(tree: Path, tests: tuple[str, ...]) -> list[str]:
    """Run test files against the package in a tree.

    Returns:
        The tests that failed; empty when all passed.

    Raises:
        ValueError: pytest could not run, or found no tests.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *tests],
        cwd=tree,
        # In front of the installed package, so that the copy is what runs.
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1, 2}:
        raise ValueError(f"pytest exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    caught = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.MULTILINE)
    if done.returncode and not caught:
        raise ValueError(f"pytest failed without naming a test:\n{done.stdout}{done.stderr}")
    return caught


def try_mutation(mutation: Mutation) -> list[str]:
    """Apply a mutation to a fresh copy and return the tests that caught it.

    Raises:
        ValueError: the mutation cannot be applied, or its tests fail without it.
    """
    with tempfile.TemporaryDirectory(prefix="genrekit-mutation-") as folder:
        tree = copy(Path(folder))
        broken_before = run_tests(tree, mutation.tests)
        if broken_before:
            raise ValueError(f"{mutation.name}: {broken_before} fails without the mutation")
        mutation.apply(tree)
        return run_tests(tree, mutation.tests)


def main() -> int:
    """Try every mutation; return the exit code."""
    n_survived = 0
    for mutation in MUTATIONS:
        try:
            caught = try_mutation(mutation)
        except ValueError as error:
            print(f"NOT TRIED  {error}")
            n_survived += 1
            continue
        print(
            f"{'caught' if caught else 'SURVIVED':<10} {mutation.name}: {', '.join(caught) or '-'}"
        )
        n_survived += not caught
    return 1 if n_survived or not MUTATIONS else 0


if __name__ == "__main__":
    sys.exit(main())
