"""What every test may use: made signals, made audio, the shared data where it is there."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

import tag_files
from browser import chromium

# Scripts that make golden files: they need librosa and hold no tests. A second conftest.py would be
# taken for the first one where doctests are looked for.
collect_ignore_glob = [
    "golden/make_*.py",
    "e2e/picard_driver.py",  # of another environment
    "*/conftest.py",
]

# How long an example takes says how busy the machine is, which is no test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

FULL = os.environ.get("GENREKIT_FULL") == "1"
SLOW = FULL or os.environ.get("GENREKIT_SLOW") == "1"
LARGEST = (
    "torch",
    "genrekit.networks.torchvision_shim",  # which lets lightning import torchvision
    *("lightning.pytorch", "ray.data", "sklearn.ensemble", "matplotlib.pyplot"),
    "fastapi.testclient",
)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Give the tests, and all that they start, a home of their own, and Ctrl-C.

    The user's home may be read-only.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:  # it has its parent's
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell ignores it for what runs behind
        signal.signal(signal.SIGINT, signal.default_int_handler)  # and children would inherit that
    home = tempfile.mkdtemp(prefix="genrekit-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every process would compile all modules anew
    os.environ.update(HOME=home, XDG_CACHE_HOME=f"{home}/cache", XDG_DATA_HOME=f"{home}/data")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The third-party data beside the checkout; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def every_format(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of short files without tags in every format that has some; see tag_files."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg program")
    folder = tmp_path_factory.mktemp("every_format")
    tag_files.make(folder)
    return folder


@pytest.fixture(scope="module")
def running_browser() -> Iterator[Callable[[], object]]:
    """What starts Debian's Chromium, or gives the one that runs."""
    with chromium() as running:
        yield running


@pytest.fixture
def browser(running_browser: Callable[[], object]) -> object:
    return running_browser()


@pytest.fixture(scope="session", autouse=True)
def _spare() -> Iterator[None]:
    """Spare the tests of this process what would take most of their time.

    It works by itself where it is not said how many processes are to work, as if it had one core:
    two more would take longer to start than what works on a few short files. And it makes the made
    tracks once. Processes that the tests start see all cores.
    """
    from genrekit import demo

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        patch.setattr(demo, "flac", functools.cache(demo.flac))
        yield


@pytest.fixture
def tone() -> np.ndarray:
    """Five seconds of a 440 Hz tone at 22,050 Hz, shape (1, samples)."""
    time = np.arange(5 * 22050) / 22050
    return (0.5 * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked slow or full that nothing asks for; begin with the slow files."""
    for item in items:
        if item.get_closest_marker("full") and not FULL:
            item.add_marker(pytest.mark.skip(reason="takes minutes; GENREKIT_FULL=1 runs it"))
        elif item.get_closest_marker("slow") and not SLOW:
            item.add_marker(pytest.mark.skip(reason="takes seconds; GENREKIT_SLOW=1 runs it"))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(
        key=lambda item: item.path not in slow
    )  # so that none is left to one core at the end


def pytest_collection() -> None:
    """Import the largest packages before all files are collected, without counting their lines.

    A call in them costs the counting time too, though it counts none of theirs.
    """
    for name in LARGEST if sys.gettrace() is not None else ():
        counting = contextlib.nullcontext() if name.startswith("genrekit") else _no_trace()
        with counting, contextlib.suppress(ImportError):
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    """Spare the tests what costs time and shows nothing.

    The garbage collector need not look through all imported modules again and again. torch's
    exporter is left out of the coverage, since counting doubles what it costs, and parses its
    operators once, not for each network.
    """
    gc.collect()
    gc.freeze()
    if "torch" in sys.modules:
        from torch import onnx

        onnx.export = _untraced(onnx.export)
        with contextlib.suppress(ImportError, AttributeError):  # where torch keeps them today
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count no coverage in a test that is marked so."""
    if not item.get_closest_marker("untraced"):
        return (yield)
    with _no_trace():
        return (yield)


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with _no_trace():
            return function(*arguments, **options)

    return run


@contextlib.contextmanager
def _no_trace() -> Iterator[None]:
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)
