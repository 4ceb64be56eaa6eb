"""Drives the real Picard without a screen; the test runs it by a Python that has Picard.

Arguments: the plugin's command, then files. Picard starts with a new configuration, enables the
plugin as its page of plugins does, loads the files, runs the entry of the context menu on them,
and saves the first one. What came of it is written as JSON.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from picard import log, tagger
from picard.config import get_config
from picard.extension_points.item_actions import ext_point_file_actions
from picard.plugin3.plugin import PluginState
from PyQt6 import QtCore, QtTest

SECONDS = 60


def wait(condition: Callable[[], bool]) -> None:
    """Let Picard work until something holds.

    Raises:
        TimeoutError: it never does.
    """
    timer = QtCore.QElapsedTimer()
    timer.start()
    while not condition():
        if timer.elapsed() > SECONDS * 1000:
            raise TimeoutError
        QtTest.QTest.qWait(20)


def start() -> Any:
    """Start Picard's main window."""
    sys.argv = ["picard", "--no-restore", "--no-player", "--stand-alone-instance"]
    log.enable_default_handlers()
    arguments = tagger.process_cmdline_args()
    handler = tagger.setup_pipe_handler(arguments).handler
    return tagger.Tagger(arguments, None, False, pipe_handler=handler)


def main() -> None:

    command, *paths = sys.argv[1:]
    picard = start()
    manager = picard.get_plugin_manager()
    manager.init_plugins()
    (plugin,) = [plugin for plugin in manager.plugins if plugin.plugin_id == "genrekit"]
    if plugin.state is not PluginState.ENABLED:
        manager.enable_plugin(plugin)
    messages: list[str] = []
    picard.window.set_statusbar_message = lambda text, *args, **_: messages.append(text)
    picard.add_files(paths)
    wait(lambda: len(picard.files) == len(paths) and not any(
        file.state == file.State.PENDING for file in picard.files.values()))  # fmt: skip
    (action,) = [its for its in ext_point_file_actions if its.__module__.endswith("genrekit")]
    action.api.plugin_config["command"] = command
    files = [picard.files[path] for path in paths]
    action().callback([*files, *files])
    pending = sum(file.state == file.State.PENDING for file in files)
    wait(lambda: not any(file.state == file.State.PENDING for file in files))
    shown = [
        {
            "genre": file.metadata.getall("genre"),
            "before": file.orig_metadata.getall("genre"),
            "genrekit": file.metadata["genrekit"],
            "state": file.state.name,
        }
        for file in files
    ]
    get_config().setting["preserve_timestamps"] = False
    files[0].save()
    wait(lambda: files[0].state in {files[0].State.NORMAL, files[0].State.ERROR})
    sys.stdout.write(json.dumps({"pending": pending, "shown": shown, "messages": messages}))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    code = 1
    try:
        main()
        code = 0
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread of Picard's waits for other instances for ever
