"""Install, export and verify model folders."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from genrekit import extras
from genrekit.errors import ModelError
from genrekit.files import write_beside
from genrekit.models import readme, registry
from genrekit.models.registry import CARD, NETWORK, README, ModelFolder
from genrekit.models.runtime import LOGITS, Network, silence

# Nothing else is ever copied from a folder or an archive.
CONTENT = (CARD, NETWORK, README, "LICENSE", "NOTICE")
MAX_BYTES = 2_000_000_000
_MAX_TEXT_BYTES = 1 << 20  # of a README, a LICENSE, a NOTICE
_BLOCK_BYTES = 1 << 20
_HUB = "hub:"
_STAGING, _OLD = ".model-", ".old"

_LIMITS = {NETWORK: MAX_BYTES, CARD: registry.MAX_CARD_BYTES}
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

Opener = Callable[[], IO[bytes]]


Check = Callable[[ModelFolder], object]


def install(source: str, *, overwrite: bool = False, check: Check | None = None) -> ModelFolder:
    """Copy a model into the user's folder, so that it can be used by name.

    The copy is checked before it appears; if anything fails, nothing is left behind.

    Args:
        source: a model folder, a zip of one, or "hub:OWNER/NAME" on the Hugging Face hub.
        overwrite: replace an installed model of the same name.
        check: raises ModelError if the model does not work; None runs the network on silence.

    Raises:
        ModelError: no such source; an incomplete or edited model; the name is taken.
        OSError: the user's folder cannot be written.
    """
    check = check or verify
    _remove_leftovers(registry.user_folder())
    if source.startswith(_HUB):
        return _install_folder(_downloaded(source.removeprefix(_HUB)), overwrite, check)
    path = Path(source)
    if path.is_dir():
        _refuse_links(path)
        return _install_folder(path, overwrite, check)
    if path.is_file():
        return _install_zip(path, overwrite, check)
    raise ModelError(
        f"{source} is neither a folder nor a zip; give one of these, or {_HUB}OWNER/NAME"
    )


def export(folder: ModelFolder, destination: Path) -> Path:
    """Copy a model to a folder, or into a zip when the destination ends in .zip.

    Returns:
        The destination.

    Raises:
        ModelError: the destination exists.
        OSError: it cannot be written.
    """
    if destination.exists():
        raise ModelError(f"{destination} exists; give a new folder or zip")
    present = [name for name in CONTENT if (folder.path / name).is_file()]
    if destination.suffix.lower() == ".zip":
        with write_beside(destination) as stream, zipfile.ZipFile(stream, "w") as archive:
            for name in present:
                archive.write(folder.path / name, f"{folder.card.name}/{name}")
        return destination
    with _staged(destination.parent) as staging:
        _fill(staging, {name: _opener(folder.path / name) for name in present})
        staging.rename(destination)
    return destination


def verify(folder: ModelFolder) -> Network:
    """Load a checked model folder's network and run it on silence.

    Raises:
        ModelError: it cannot be loaded, does not fit its card, or returns values that are not
            finite.
    """
    network = Network.of(folder)
    network.run(silence(folder.card.views), LOGITS)
    return network


def _install_folder(source: Path, overwrite: bool, check: Check) -> ModelFolder:
    registry.read(source)
    present = [name for name in CONTENT if (source / name).is_file()]
    return _install({name: _opener(source / name) for name in present}, overwrite, check)


def _opener(path: Path) -> Opener:
    return lambda: path.open("rb")


def _install_zip(path: Path, overwrite: bool, check: Check) -> ModelFolder:
    try:
        with zipfile.ZipFile(path) as archive:
            return _install(_members(archive, path), overwrite, check)
    except _BROKEN_ZIP as error:
        raise ModelError(f"{path} is not a readable zip: {error}; download it again") from error


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, Opener]:
    """Return the members that make up a model folder, by their names in it.

    Only the folder of the only card.json is read, and the names to write are ours, so no member
    can escape, whatever its path.
    """
    cards = [name for name in archive.namelist() if PurePosixPath(name).name == CARD]
    if len(cards) != 1:
        raise ModelError(f"{path} has {len(cards)} files named {CARD}; expected one model in a zip")
    parent = PurePosixPath(cards[0]).parent
    inside = set(archive.namelist())
    members = {name: str(parent / name) for name in CONTENT if str(parent / name) in inside}
    size = sum(archive.getinfo(member).file_size for member in members.values())
    if size > MAX_BYTES:
        raise ModelError(f"{path} would unpack to {size} bytes; expected at most {MAX_BYTES}")
    return {name: _member_opener(archive, member) for name, member in members.items()}


def _member_opener(archive: zipfile.ZipFile, member: str) -> Opener:
    return lambda: archive.open(member)


def _install(content: dict[str, Opener], overwrite: bool, check: Check) -> ModelFolder:
    """Write a folder beside the target, check it, then rename it."""
    parent = registry.user_folder()
    with _staged(parent) as staging:
        _fill(staging, content)
        checked = registry.read(staging)
        check(checked)
        (staging / README).write_text(readme.write(checked.card), encoding="utf-8")
        target = parent / checked.card.name
        _check_free(target, overwrite)
        if target.exists():
            target.rename(staging.with_suffix(_OLD))
        staging.rename(target)
        shutil.rmtree(staging.with_suffix(_OLD), ignore_errors=True)
    return registry.read(target)


def _check_free(target: Path, overwrite: bool) -> None:
    name = target.name
    if name in registry.names() and registry.locate(name) != target:
        raise ModelError(
            f"the name {name!r} belongs to the model in {registry.locate(name)}, which would hide "
            "this one; give its card another name"
        )
    if target.exists() and not overwrite:
        raise ModelError(f"a model {name!r} is installed in {target}; --overwrite replaces it")


def _refuse_links(folder: Path) -> None:
    links = [name for name in CONTENT if (folder / name).is_symlink()]
    if links:
        raise ModelError(f"{folder / links[0]} is a link; replace it by the file itself")


def _remove_leftovers(parent: Path) -> None:
    """Remove the leftovers of killed installs; restore a model that one had set aside."""
    for path in sorted(parent.glob(f"{_STAGING}*-*")):
        pid = path.name.removeprefix(_STAGING).split("-")[0]
        if not pid.isdecimal() or _is_running(int(pid)):
            continue
        if path.suffix == _OLD:
            with suppress(ModelError, OSError):
                path.rename(parent / registry.read_card(path / CARD).name)
        shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # where os.kill would kill it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or not a valid process id
        return True
    return True


@contextmanager
def _staged(parent: Path) -> Iterator[Path]:
    """Create a hidden folder that is removed unless the block renames it."""
    parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=parent))
    staging.chmod(0o755)  # mkdtemp makes private folders
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(folder: Path, content: dict[str, Opener]) -> None:
    total = 0
    for name, open_source in content.items():
        limit = _LIMITS.get(name, _MAX_TEXT_BYTES)
        n_bytes = 0
        with open_source() as source, write_beside(folder / name) as target:
            while block := source.read(_BLOCK_BYTES):
                n_bytes += len(block)
                total += len(block)
                if n_bytes > limit or total > MAX_BYTES:
                    raise ModelError(f"{name} is larger than {limit} bytes; remove or shorten it")
                target.write(block)


def _downloaded(model_id: str) -> Path:
    """Download a model folder from the Hugging Face hub into its cache."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(extras.sentence("a model from the hub", "huggingface_hub")) from error
    try:
        return Path(huggingface_hub.snapshot_download(model_id, allow_patterns=list(CONTENT)))
    except Exception as error:  # its errors and those of its HTTP library share no base class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{_HUB}{model_id} cannot be downloaded: {reason}") from error
