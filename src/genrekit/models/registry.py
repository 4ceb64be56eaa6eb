"""Find model folders by name or path, and refuse those that are incomplete or edited.

A model folder holds ``model.onnx``, ``card.json`` and ``README.md``. Folders are searched in this
order, and the first match of a name wins: in the package, in the user's folder, then in every entry
of the environment variable GENREKIT_MODELS (a list separated like PATH; an entry is a model folder
or a folder of model folders).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import genrekit
from genrekit import files
from genrekit.errors import ModelError, unknown_name
from genrekit.models import card as cards
from genrekit.models import readme
from genrekit.models.card import ModelCard

DEFAULT = "fast"
NETWORK = "model.onnx"
CARD = "card.json"
README = "README.md"
MAX_CARD_BYTES = 16 << 20


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose card was read, and whose network matches the card's SHA-256."""

    path: Path
    card: ModelCard

    @property
    def onnx_path(self) -> Path:
        """The network's file."""
        return self.path / NETWORK


def embedded_folder() -> Path:
    """Return the folder of the models in the package."""
    return Path(genrekit.__file__).parent / "data" / "models"


def user_folder() -> Path:
    """Return the folder that ``genrekit models install`` writes to; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_data_dir("genrekit", appauthor=False)) / "models"


def names() -> list[str]:
    """Return the names of all model folders found, in search order, each once."""
    return list(_folders())


def locate(name: str) -> Path:
    """Return the folder of a registered model, without reading it.

    Raises:
        ModelError: no model has this name.
    """
    folders = _folders()
    if name not in folders:
        raise ModelError(f"{unknown_name('model', name, folders)} Or give a model folder's path.")
    return folders[name]


def find(name_or_path: str | os.PathLike[str] | None = None) -> ModelFolder:
    """Return a checked model folder.

    Args:
        name_or_path: a registered name, or the path of a folder (anything that is a Path, contains
            a separator, or is a folder but not a name). None means the default model.

    Raises:
        ModelError: unknown name; no such folder; a missing, unreadable or edited file.
    """
    if name_or_path is None:
        return read(locate(default_name()))
    text = os.fspath(name_or_path)
    is_path = not isinstance(name_or_path, str) or os.sep in text or (os.altsep or os.sep) in text
    if is_path or (text not in _folders() and Path(text).is_dir()):
        return read(Path(text))
    return read(locate(text))


def default_name() -> str:
    """Return the default model's name: DEFAULT, or the only embedded model if that is absent.

    Raises:
        ModelError: there is no model in the package.
    """
    embedded = [path.name for path in _model_folders(embedded_folder())]
    if DEFAULT in embedded or len(embedded) > 1:
        return DEFAULT
    if not embedded:
        raise ModelError(
            f"this installation has no model in {embedded_folder()}; reinstall genrekit, or "
            f"give one with --model (registered: {', '.join(names()) or 'none'})"
        )
    return embedded[0]


def embedded_names() -> list[str]:
    """Return the names of the models inside the package, the default one first.

    Raises:
        ModelError: there is no model in the package.
    """
    first = default_name()
    others = [path.name for path in _model_folders(embedded_folder()) if path.name != first]
    return [first, *others]


def read(folder: Path) -> ModelFolder:
    """Read a model folder and check it against its card.

    Raises:
        ModelError: the folder, its card or its network is missing, unreadable or edited.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; a model folder holds {NETWORK} and {CARD}")
    missing = [name for name in (CARD, NETWORK) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {' and '.join(missing)}; it was copied only in part or is not a model "
            "folder; copy or install it again"
        )
    card = read_card(folder / CARD)
    found = files.sha256(folder / NETWORK)
    if found != card.onnx_sha256:
        raise ModelError(
            f"{folder / NETWORK} has sha256 {found[:12]}..., but its card has "
            f"{card.onnx_sha256[:12]}...; it was edited or copied only in part; install it again"
        )
    return ModelFolder(folder, card)


def read_card(path: Path) -> ModelCard:
    """Read a card.json.

    Raises:
        ModelError: the file cannot be read, is not JSON, a key is missing, unknown or wrong, or the
            card was edited since it was written.
    """
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise ModelError(
                f"{path} has {path.stat().st_size} bytes; a card has at most {MAX_CARD_BYTES}"
            )
        return cards.from_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(
            f"{path} is not a valid model card: {place}: {first['msg']}; install the model again"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a valid model card: {error}; install the model again"
        ) from error
    except cards.OtherFormatError as error:
        raise ModelError(f"{path}: {error}") from error
    except ValueError as error:
        raise ModelError(
            f"{path}: the card was edited: {error}; install the model again, or train and evaluate "
            "it again"
        ) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def write_card(folder: Path, card: ModelCard) -> Path:
    """Write a model folder's card.json with its seal, and its README.md.

    Returns:
        The card's path.

    Raises:
        OSError: the folder cannot be written.
    """
    with files.write_beside(folder / CARD, "w") as stream:
        stream.write(cards.to_json(card))
    with files.write_beside(folder / README, "w") as stream:
        stream.write(readme.write(card))
    return folder / CARD


def _folders() -> dict[str, Path]:
    """Return every model folder by name, in search order; the first match of a name wins."""
    found: dict[str, Path] = {}
    for parent in _search_path():
        for folder in _model_folders(parent):
            found.setdefault(folder.name, folder)
    return found


def _search_path() -> Iterator[Path]:
    yield embedded_folder()
    yield user_folder()
    for entry in os.environ.get("GENREKIT_MODELS", "").split(os.pathsep):
        if entry:
            yield Path(entry)


def _model_folders(parent: Path) -> list[Path]:
    """Return the model folders directly in parent, or parent itself if it is one."""
    if (parent / CARD).is_file():
        return [parent]
    try:
        children = sorted(parent.iterdir())
    except OSError:  # missing or not readable: no model can be found in it
        return []
    return [child for child in children if not child.name.startswith(".") and child.is_dir()]
