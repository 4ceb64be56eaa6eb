"""The folder of uploads: bounded, locked, and cleaned of what others left."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from genrekit.server.upload_folder import PREFIX, Upload, UploadFolder, UploadsFullError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def opened(max_bytes: int = 100) -> UploadFolder:
    folder = UploadFolder(max_bytes)
    folder.open()
    return folder


def test_an_upload_is_written_counted_and_removed() -> None:
    folder = opened()
    upload = Upload(folder, "a.mp3", ".mp3")
    upload.write(b"abc")
    upload.finish()
    assert upload.path.read_bytes() == b"abc"
    assert upload.path.stat().st_mode & 0o077 == 0
    assert folder.n_bytes == 3
    for _ in range(2):
        upload.remove()
        assert folder.n_bytes == 0
    assert not upload.path.exists()
    folder.close()


def test_the_bytes_of_all_uploads_are_bounded() -> None:
    folder = opened(5)
    first, second = Upload(folder, "a", ""), Upload(folder, "b", "")
    first.write(b"abc")
    with pytest.raises(UploadsFullError):
        second.write(b"abc")
    first.remove()
    second.write(b"abc")
    second.remove()
    folder.close()


def test_closing_removes_everything(temporary: Path) -> None:
    folder = opened()
    upload = Upload(folder, "a", "")
    folder.close()
    upload.remove()
    assert list(temporary.iterdir()) == []


def test_only_what_nobody_holds_is_removed_at_the_start(temporary: Path) -> None:
    alive = opened()
    (temporary / f"{PREFIX}dead").mkdir()
    (temporary / f"{PREFIX}dead" / "upload.mp3").touch()
    (temporary / "another").mkdir()
    outside = temporary / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (temporary / f"{PREFIX}link").symlink_to(outside)
    (temporary / f"{PREFIX}file").touch()
    second = opened()
    assert alive.folder.exists()
    assert not (temporary / f"{PREFIX}dead").exists()
    assert (outside / "kept").exists()
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (temporary / "another").exists()
    alive.close()
    second.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_the_folder_of_another_user_is_left_alone(temporary: Path) -> None:
    foreign = temporary / f"{PREFIX}foreign"
    foreign.mkdir()
    os.chown(foreign, 12345, -1)
    opened().close()
    assert foreign.exists()
