"""Take the steps of the Dockerfile without a Docker daemon, and check what comes of them.

    python scripts/container_steps.py [--keep FOLDER]

Every instruction is read; one that this script does not know is an error. What the image would have
below / goes below a temporary folder instead: files are copied, RUN commands run there, and the
service is started as the image starts it, as a user without rights where this is run as root. It
must become healthy by the image's own health check, answer on its port, write nothing and end in
time. The size is that of the layers that are made here and an upper bound of the base image's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# python:3.11-slim, unpacked; it cannot be fetched without a registry, so this is no measurement.
BASE_BYTES = 135_000_000
MOST_BYTES = 450_000_000
NOBODY = 65534
READY_SECONDS = 60.0


@dataclass
class Stage:
    """One stage of the Dockerfile: its instructions in order, and what they set."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        """Return the arguments of every instruction of a kind."""
        return [text for kind, text in self.steps if kind == instruction]

    def last(self, instruction: str) -> str:
        """Return the argument that holds, of an instruction that must be there."""
        found = self.values(instruction)
        if not found:
            raise SystemExit(f"the stage from {self.base} has no {instruction}")
        return found[-1]


KNOWN = {"COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "USER", "WORKDIR"}


def stages(dockerfile: str) -> list[Stage]:
    """Read a Dockerfile.

    Raises:
        SystemExit: an instruction that the steps below do not take.
    """
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        kind, _, text = line.strip().partition(" ")
        if kind == "FROM":
            base, _, name = text.partition(" AS ")
            found.append(Stage(base, name))
        elif kind in KNOWN and found:
            found[-1].steps.append((kind, text.strip()))
        else:
            raise SystemExit(f"the Dockerfile has a {kind}, which these steps do not know")
    return found


def make(stage: Stage, root: Path, made: dict[str, Path]) -> None:
    """Take the steps of a stage that write files; its / is the folder root."""
    here = root
    for kind, text in stage.steps:
        if kind == "WORKDIR":
            here = root / text.lstrip("/")
            here.mkdir(parents=True, exist_ok=True)
        elif kind == "COPY":
            _copy(shlex.split(text), root, here, made)
        elif kind == "RUN":
            _run(text, root, here)


def _copy(words: list[str], root: Path, here: Path, made: dict[str, Path]) -> None:
    source = ROOT
    if words[0].startswith("--from="):
        source = made[words.pop(0).removeprefix("--from=")]
    else:
        context = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if hidden := [name for name in words[:-1] if f"!{name}" not in context]:
            raise SystemExit(f".dockerignore hides {', '.join(hidden)} from COPY")
    *names, target = words
    into = root / target.lstrip("/") if target.startswith("/") else here / target
    for name in names:
        origin = source / name.lstrip("/")
        if origin.is_dir():
            shutil.copytree(origin, into, symlinks=True, dirs_exist_ok=True)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, into)


def _run(text: str, root: Path, here: Path) -> None:
    """Run a command with the image's /opt below root; a user is checked, not made."""
    if text.startswith("useradd "):
        words = shlex.split(text)
        if not {"--system", "--no-create-home", "/usr/sbin/nologin"} <= set(words):
            raise SystemExit(f"{text}: the service's user could log in")
        return
    command = text.replace("/opt/", f"{root}/opt/").replace("python -m", f"{image_python()} -m")
    pip = f"{sys.executable} -m pip --disable-pip-version-check "
    command = re.sub(r"(^|&& )pip ", lambda found: found[1] + pip, command)
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(["/bin/sh", "-ec", command], cwd=here, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"RUN {text}: exit code {done.returncode}")


def image_python() -> str:
    """Return the interpreter that stands for the base image's: one that every user may run."""
    if os.geteuid():
        return sys.executable
    try:
        subprocess.run([sys.executable, "-c", ""], user=NOBODY, group=NOBODY, cwd="/", check=True)
    except (PermissionError, subprocess.CalledProcessError):
        return "/usr/bin/python3"
    return sys.executable


def check_service(stage: Stage, root: Path) -> dict[str, object]:
    """Start the service as the image does, wait for its health check, and end it."""
    user = stage.last("USER")
    users = [shlex.split(text)[-1] for text in stage.values("RUN") if text.startswith("useradd ")]
    if user not in users or user == "root":
        raise SystemExit(f"USER {user} is no user that the image makes")
    port = free_port()
    environment = {"HOME": "/nonexistent", "LANG": "C.UTF-8"}
    for name, _, value in (pair.partition("=") for pair in shlex.split(stage.last("ENV"))):
        placed = value.replace("/opt/", f"{root}/opt/")
        environment[name] = placed.replace("$PATH", os.environ["PATH"])
    program, *arguments = json.loads(stage.last("ENTRYPOINT"))
    command = [str(root / "opt/genrekit/bin" / program), *arguments, "--port", str(port)]
    before = listing(root)
    with running(command, environment, root) as process:
        seconds = wait_until_healthy(stage, environment, process, port)
        found = {
            "user": user,
            "port": int(stage.last("EXPOSE")),
            "healthy after": f"{seconds:.1f} s",
        }
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=30) not in (0, -signal.SIGTERM):
            raise SystemExit(f"the service ended with {process.returncode}")
    if health(stage, environment, port) == 0:
        raise SystemExit("the health check passes where no service is")
    if changed := listing(root) ^ before:
        raise SystemExit(f"the service wrote into its image: {sorted(changed)[:3]}")
    return found


def running(command: list[str], environment: dict[str, str], root: Path) -> subprocess.Popen[bytes]:
    """Start a command, as a user without rights where this one may choose."""
    rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.Popen(command, env=environment, cwd=root, **rights)  # type: ignore[call-overload,no-any-return]


def wait_until_healthy(
    stage: Stage,
    environment: dict[str, str],
    process: subprocess.Popen[bytes],
    port: int,
) -> float:
    """Ask by the image's health check until it passes; return the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() < began + READY_SECONDS:
        if process.poll() is not None:
            raise SystemExit(f"the service ended at once with {process.returncode}")
        if health(stage, environment, port) == 0:
            return time.monotonic() - began
        time.sleep(0.5)
    process.kill()
    raise SystemExit(f"the service was not healthy within {READY_SECONDS:.0f} s")


def health(stage: Stage, environment: dict[str, str], port: int) -> int:
    """Run the image's health check, on the port that the service has here."""
    text = stage.last("HEALTHCHECK").partition("CMD ")[2]
    program, *arguments = json.loads(text)
    arguments = [its.replace(f":{stage.last('EXPOSE')}/", f":{port}/") for its in arguments]
    path = shutil.which(program, path=environment["PATH"]) or program
    command = [path, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def listing(root: Path) -> set[tuple[str, int]]:
    """Return every file below root with its size."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {(str(path.relative_to(root)), path.stat().st_size) for path in files}


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def largest(root: Path) -> Iterator[str]:
    """Yield the largest packages of the image, for whoever has to make it smaller."""
    sizes: dict[str, int] = {}
    for name, size in listing(root):
        parts = name.partition("site-packages/")[2].split("/")
        sizes[parts[0]] = sizes.get(parts[0], 0) + size
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:5]:
        yield f"{name or 'other'} {size / 1e6:.0f} MB"


def main() -> None:
    """Take the steps and say what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", type=Path, help="where the folders of the stages are kept")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="genrekit-image-") as name:
        folder = keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        made: dict[str, Path] = {}
        found = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
        for index, stage in enumerate(found):
            root = folder / (stage.name or str(index))
            root.mkdir()
            make(stage, root, made)
            made[stage.name] = root
        relocate(made["build"], root)
        for what, value in check_service(found[-1], root).items():
            print(f"{what}: {value}")
        size = sum(n_bytes for _, n_bytes in listing(root))
        print(f"largest: {', '.join(largest(root))}")
        print(f"size: {size / 1e6:.0f} MB of layers and at most {BASE_BYTES / 1e6:.0f} MB of base")
        if size + BASE_BYTES > MOST_BYTES:
            raise SystemExit(f"the image is larger than {MOST_BYTES / 1e6:.0f} MB")


def relocate(old: Path, new: Path) -> None:
    """Let the environment's scripts name their new place; in the image it is the same in both."""
    for path in (new / "opt/genrekit/bin").iterdir():
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:2] == b"#!":
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(str(old), str(new)), encoding="utf-8")


if __name__ == "__main__":
    main()
