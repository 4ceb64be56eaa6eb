"""The MusicBrainz Picard plugin: genres from the audio, shown for review before they are saved.

Picard brings a Python of its own, so the audio is analysed by the program ``genrekit``, which runs
in a thread of Picard's and gives one JSON line a file.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from PyQt6 import QtWidgets

from picard.plugin3.api import BaseAction, File, OptionsPage, PluginApi
from picard.util import thread

TAG = "genrekit"
COMMAND, SURE, KEEP = "command", "min_precision", "keep"
NAMES = json.loads(Path(__file__).with_name("display_names.json").read_text(encoding="utf-8"))
DEFAULTS = {COMMAND: "genrekit", SURE: 90, KEEP: False}


class PredictGenres(BaseAction):
    """The entry in the context menus."""

    TITLE = "Predict genres from the audio"

    def callback(self, objs: Iterable[Any]) -> None:
        """Analyse the files of what is selected, each once."""
        files = dict.fromkeys(file for item in objs for file in item.iterfiles())
        predict(self.api, list(files))


class GenrekitOptions(OptionsPage):
    """The page of Picard's settings."""

    NAME = "genrekit"
    TITLE = "genrekit"
    PARENT = "plugins"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.command = QtWidgets.QLineEdit()
        self.sure = QtWidgets.QSpinBox(minimum=0, maximum=99, suffix=" %")
        self.keep = QtWidgets.QCheckBox("Keep the genres that are there, and add to them")
        layout = QtWidgets.QFormLayout(self)
        layout.addRow("Program", self.command)
        layout.addRow("Only genres that are right this often", self.sure)
        layout.addRow(self.keep)

    def load(self) -> None:
        """Show the settings."""
        self.command.setText(self.api.plugin_config[COMMAND])
        self.sure.setValue(self.api.plugin_config[SURE])
        self.keep.setChecked(self.api.plugin_config[KEEP])

    def save(self) -> None:
        """Keep the settings."""
        self.api.plugin_config[COMMAND] = self.command.text().strip() or DEFAULTS[COMMAND]
        self.api.plugin_config[SURE] = self.sure.value()
        self.api.plugin_config[KEEP] = self.keep.isChecked()


def enable(api: PluginApi) -> None:
    """Put the entry into the menus of everything that holds files."""
    for name, default in DEFAULTS.items():
        api.plugin_config.register_option(name, default)
    api.register_file_action(PredictGenres)
    api.register_track_action(PredictGenres)
    api.register_album_action(PredictGenres)
    api.register_cluster_action(PredictGenres)
    api.register_options_page(GenrekitOptions)


def predict(api: PluginApi, files: list[File]) -> None:
    """Analyse files in a thread; each is changed as soon as its prediction is there."""
    if not files:
        return
    by_path = {file.filename: file for file in files}
    for file in files:
        file.set_pending()

    def on_line(line: dict[str, Any]) -> None:
        if file := by_path.pop(line["path"], None):
            thread.to_main(partial(show, api, file, line))

    def on_end(result: str | None = None, error: BaseException | None = None) -> None:
        for file in by_path.values():
            file.clear_pending()
        problem = error or result
        if by_path and not problem:
            problem = f"no prediction came for {', '.join(by_path)}"
        if problem:
            api.logger.error("genrekit: %s", problem)
            api.tagger.window.set_statusbar_message(f"genrekit: {problem}", timeout=30_000)

    command = [*shlex.split(api.plugin_config[COMMAND], posix=os.name != "nt"), "predict", "--json"]
    if sure := api.plugin_config[SURE]:
        command += ["--min-precision", str(sure / 100)]
    thread.run_task(partial(run, command, list(by_path), on_line), on_end, traceback=False)


def run(
    command: list[str], paths: list[str], on_line: Callable[[dict[str, Any]], None]
) -> str | None:
    """Run genrekit over files; return what is wrong where it could not run."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    n_lines = 0
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [*command, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                creationflags=flags,
            )
        except OSError as error:
            return (
                f"the program {command[0]!r} cannot be started ({error.strerror}); install "
                "genrekit, or name its place in Options > Plugins > genrekit"
            )
        with suppress(BrokenPipeError), process.stdin as listed:
            listed.write(b"".join(os.fsencode(path) + b"\n" for path in paths))
        for line in process.stdout:
            on_line(json.loads(line))
            n_lines += 1
        process.wait()
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip().splitlines()
    if n_lines:  # what failed is in the lines
        return None
    return words[-1] if words else f"genrekit ended with exit code {process.returncode}"


def show(api: PluginApi, file: File, line: dict[str, Any]) -> None:
    """Put a prediction into a file's metadata, where Picard shows it beside what was there."""
    file.clear_pending(signal=False)
    if "error" in line:
        api.logger.error("genrekit: %s", line["error"])
        api.tagger.window.set_statusbar_message(f"genrekit: {line['error']}", timeout=30_000)
    elif line["label"] is None:
        api.logger.info("genrekit: %s: not sure enough of any genre", file.filename)
    else:
        label, model = NAMES.get(line["label"], line["label"]), line["model"]
        genres = file.metadata.getall("genre") if api.plugin_config[KEEP] else []
        if label.casefold() not in (genre.casefold() for genre in genres):
            genres = [*genres, label]
        file.metadata["genre"] = genres
        said = f"{label} {100 * line['probability']:.1f} % ({model['name']} {model['version']})"
        file.metadata[TAG] = said
    file.update(signal=False)
    file.update_item()
