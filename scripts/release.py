"""Build and check a release: sdist and wheel, twice with the same bytes, and the wheel tried.

    python scripts/release.py [--out dist]

Only what is committed is built. In order: the version stands in one place, and the changelog,
CITATION.cff and the Kubernetes manifest name it; sdist and wheel are built in two folders and are
equal to the byte; twine finds nothing; the wheel holds what it must and nothing else; in a fresh
environment the wheel predicts. Uploading is left to a person: ``twine upload dist/*``. It needs git
and the registry.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("genrekit", "beetsplug")
LARGEST_WHEEL_BYTES = 12_000_000


def version_of(tree: Path) -> str:
    """Return the version, which stands in genrekit/__init__.py alone."""
    text = (tree / "src" / "genrekit" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if found is None:
        raise SystemExit("src/genrekit/__init__.py has no __version__")
    return found.group(1)


def metadata_problems(tree: Path, version: str) -> list[str]:
    """Return what of a tree's documents does not fit its version."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (tree / "CITATION.cff").read_text(encoding="utf-8")
    manifest = (tree / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")
    checks = {
        "pyproject.toml repeats the version": "version" not in project,
        f"CHANGELOG.md has no dated section {version}": re.search(
            rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE
        ),
        f"CITATION.cff is not of version {version}": re.search(
            rf"^version: {re.escape(version)}$", citation, re.MULTILINE
        ),
        f"deploy/kubernetes.yaml names no image of version {version}": re.search(
            rf"^ +image: genrekit:{re.escape(version)}$", manifest, re.MULTILINE
        ),
    }
    return [problem for problem, holds in checks.items() if not holds]


def expected_files(tracked: Iterable[str]) -> set[str]:
    """Return the names in a wheel, but its dist-info, that come of a repository's files."""
    found = set()
    for name in tracked:
        if name.startswith(tuple(f"src/{package}/" for package in PACKAGES)):
            found.add(name.removeprefix("src/"))
        elif name.startswith("recipes/"):
            found.add(f"genrekit/{name}")
    return found


def wheel_problems(wheel: Path, tracked: Iterable[str]) -> list[str]:
    """Return what is wrong with a wheel's contents.

    Args:
        wheel: the file.
        tracked: the repository's files, as git names them.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = {name.partition("/")[2] for name in names if ".dist-info/" in name}
    held = {name for name in names if ".dist-info/" not in name}
    expected = expected_files(tracked)
    needed = {"METADATA", "RECORD", "WHEEL", "entry_points.txt"}
    needed |= {"licenses/LICENSE", "licenses/THIRD_PARTY_NOTICES"}
    problems = [f"the wheel lacks {name}" for name in sorted(expected - held)]
    problems += [f"the wheel holds {name}, which is not committed" for name in held - expected]
    problems += [f"the wheel's dist-info lacks {name}" for name in sorted(needed - info)]
    if "genrekit/py.typed" not in held:
        problems.append("the wheel does not say that it is typed")
    if wheel.stat().st_size > LARGEST_WHEEL_BYTES:
        problems.append(f"the wheel has {wheel.stat().st_size} bytes")
    return problems


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command and return what it printed; end with its errors where it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path, *packages: str | Path) -> Path:
    """Make a virtual environment with packages; return its python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return python


def build(python: Path, folder: Path, commit: str) -> dict[str, Path]:
    """Build a commit in a folder of its own; return the files by name."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    archive = folder / "tree.tar"
    run("git", "archive", "--output", archive, commit, cwd=ROOT)
    shutil.unpack_archive(archive, tree, filter="data")
    committed = run("git", "log", "-1", "--format=%ct", commit, cwd=ROOT).strip()
    out = folder / "out"
    run(python, "-m", "build", "--outdir", out, tree, SOURCE_DATE_EPOCH=committed, PYTHONPATH="")
    return {path.name: path for path in sorted(out.iterdir())}


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def try_wheel(wheel: Path, folder: Path, version: str) -> str:
    """Install a wheel in a fresh environment, predict a made track, and name a recipe.

    Returns:
        The prediction as it was printed.
    """
    python = environment(folder / "fresh", wheel)
    shown = run(python, "-m", "genrekit", "--version", cwd=folder, PYTHONPATH="")
    if shown.strip() != f"genrekit {version}":
        raise SystemExit(f"the wheel says {shown.strip()}, not {version}")
    run(python, "-m", "genrekit", "demo", cwd=folder, PYTHONPATH="")
    found = "from genrekit.training.recipe import catalogue as c; print(c.find('cnn').is_file())"
    if run(python, "-c", found, cwd=folder, PYTHONPATH="").strip() != "True":
        raise SystemExit("the wheel's recipes are not found")
    predict = ("genrekit", "predict", "demo/drums.flac")
    return run(python, "-m", *predict, cwd=folder, PYTHONPATH="")


def main() -> None:
    """Build, check, and leave the files in --out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the files go")
    out = parser.parse_args().out
    version = version_of(ROOT)
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    tracked = run("git", "ls-tree", "-r", "--name-only", commit, cwd=ROOT).splitlines()
    if problems := metadata_problems(ROOT, version):
        raise SystemExit("; ".join(problems))
    with tempfile.TemporaryDirectory(prefix="genrekit-release-") as name:
        folder = Path(name)
        python = environment(folder / "tools", "build", "twine")
        first, second = (build(python, folder / place, commit) for place in ("first", "second"))
        for file, path in first.items():
            if sha256(path) != sha256(second[file]):
                raise SystemExit(f"{file}: two builds differ")
            print(f"{sha256(path)}  {file}  {path.stat().st_size} bytes, twice the same")
        print(run(python, "-m", "twine", "check", "--strict", *first.values()).strip())
        wheel = next(path for path in first.values() if path.suffix == ".whl")
        if problems := wheel_problems(wheel, tracked):
            raise SystemExit("\n".join(problems))
        print(f"{wheel.name}: {len(expected_files(tracked))} files, all of them committed")
        print(try_wheel(wheel, folder, version))
        out.mkdir(parents=True, exist_ok=True)
        for path in first.values():
            shutil.copy(path, out)
    print(f"{out} holds version {version}; upload it with: twine upload {out}/*")


if __name__ == "__main__":
    main()
