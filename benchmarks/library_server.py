"""How quick the library's page is with 100,000 tracks, and how much memory its server takes.

    python benchmarks/library_server.py [--tracks 100000] [--browser] [--db FILE]

A database of made tracks (artists, albums, tags, probabilities, embeddings as large as the
default model's) is indexed and served by the real program. The routes are timed from another
process, each request with its whole answer; --browser measures in the page itself, with Playwright
and Debian's package chromium: the browser that people use, not the shell that the tests start.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from genrekit.library import database, embedding_map, query, track_index
from genrekit.models import registry
from genrekit.models.registry import ModelFolder

N_DIMENSIONS = 576  # of the default model's embedding
N_ARTISTS = 2500
N_ALBUMS = 8000
BATCH = 5000
NAMES = [
    "Blue",
    "Night",
    "River",
    "Stone",
    "Glass",
    "Silver",
    "Winter",
    "Garden",
    "Echo",
    "Signal",
    "Harbour",
    "Paper",
    "Velvet",
]
MANY_SORTS = ("artist", "title", "album", "tag", "label", "probability", "agreement", "duration")


def words(random: np.random.Generator, n_words: int) -> str:
    return " ".join(random.choice(NAMES, n_words))


def make(path: Path, n_tracks: int) -> None:
    """Write a library of made tracks, as scans would have left it."""
    folder = registry.find(None)
    random = np.random.default_rng(0)
    with database.opened(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # it is a throw-away file
        model = (folder.card.onnx_sha256, folder.card.name, folder.card.version)
        connection.execute(
            "INSERT INTO models VALUES (1, ?, ?, ?, ?, ?, ?)",
            (*model, json.dumps(folder.card.labels), os.fsencode(folder.path), time.time_ns()),
        )
        albums = [(f"Artist {words(random, 2)} {i % N_ARTISTS}", i) for i in range(N_ALBUMS)]
        for first in range(0, n_tracks, BATCH):
            with database.transaction(connection):
                ids = range(first + 1, min(first + BATCH, n_tracks) + 1)
                _add(connection, folder, random, albums, ids)


def _add(
    connection: sqlite3.Connection,
    folder: ModelFolder,
    random: np.random.Generator,
    albums: list[tuple[str, int]],
    ids: range,
) -> None:
    labels = folder.card.labels
    probabilities = random.dirichlet([0.12] * len(labels), len(ids)).astype("<f4")
    centres = np.random.default_rng(1).standard_normal((len(labels), N_DIMENSIONS))
    noise = random.standard_normal((len(ids), N_DIMENSIONS))
    embeddings = (2 * probabilities @ centres + noise).astype("<f2")
    audio, predictions, files = [], [], []
    for row, id in enumerate(ids):
        artist, number = albums[int(random.integers(len(albums)))]
        album = f"{NAMES[number % len(NAMES)]} {number}"
        title = words(random, 3)
        genre = labels[int(probabilities[row].argmax() if random.random() < 0.8 else id % 10)]
        genres = [genre.title()] if random.random() < 0.9 else []
        path = f"/music/{artist}/{album}/{id:06} {title}.mp3"
        audio.append((id, f"{id:064x}"))
        vectors = (probabilities[row].tobytes(), embeddings[row].tobytes())
        predictions.append((id, 1, *vectors, float(random.uniform(60, 400)), "[]"))
        tags = (json.dumps(genres), artist, artist, album, title)
        files.append((id, os.fsencode(path), 5_000_000, 1, id, *tags))
    connection.executemany("INSERT INTO audio VALUES (?, ?)", audio)
    connection.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?)", predictions)
    connection.executemany(
        "INSERT INTO files (id, path, size_bytes, mtime_ns, audio_id, genres, artist, "
        "album_artist, album, title) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        files,
    )


def index(path: Path) -> None:
    """Do once what a scan does at its end, and say what it took."""
    with database.opened(path) as connection:
        began = time.perf_counter()
        track_index.refresh_all(connection)
        print(f"index of the whole library, once: {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        n_points = embedding_map.update(connection, query.used_model(connection))
        print(f"map of {n_points} recordings, once: {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        track_index.refresh_all(connection)
        embedding_map.update(connection, query.used_model(connection))
        print(f"both, nothing new: {1000 * (time.perf_counter() - began):.1f} ms")
    print(f"database: {path.stat().st_size / 1e6:.0f} MB")


@contextmanager
def served(path: Path) -> Iterator[tuple[str, int]]:
    """Serve a library; give the address that it prints and its process."""
    command = [sys.executable, "-m", "genrekit", "library", "serve", "--port", "0"]
    process = subprocess.Popen([*command, "--db", str(path)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None  # noqa: S101 - for the type checker
    try:
        yield process.stderr.readline().split()[5], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def memory_mb(pid: int) -> tuple[float, float]:
    """Return what a process holds now and what it held at most, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    now, most = (int(match[1]) / 1024 if match else 0.0 for match in found)
    return now, most


def show(name: str, seconds: list[float]) -> None:
    values = 1000 * np.array(seconds)
    print(
        f"{name:<34} n = {len(values):3}  median {np.median(values):6.1f} ms  "
        f"p95 {np.percentile(values, 95):6.1f} ms  most {values.max():6.1f} ms"
    )


def queries(random: np.random.Generator, n_tracks: int) -> dict[str, list[dict[str, Any]]]:
    """Return what is asked of the table, by what it measures; each of a kind is different."""
    genres = registry.find(None).card.labels
    places = random.integers(0, n_tracks, 1000).tolist()
    each = [
        {"sort": sort, "descending": down, "offset": places.pop()}
        for sort in MANY_SORTS
        for down in (False, True)
    ]
    return {
        "sorted anew": each,
        "scrolled": [{"sort": "artist", "offset": places.pop()} for _ in range(200)],
        "filtered": [
            {"filter": name, "genre": genre, "min_probability": round(random.random() / 2, 4)}
            for name in ("all", "disagrees", "missing", "below")
            for genre in genres
        ],
        "searched": [
            {"search": f"{NAMES[i % len(NAMES)][: 2 + i % 4]} {i % 97}", "sort": "title"}
            for i in range(60)
        ],
    }


def timed(client: httpx.Client, path: str, parameters: dict[str, Any] | None = None) -> float:
    """Return how many seconds a request takes with its whole answer."""
    began = time.perf_counter()
    client.get(path, params=parameters).raise_for_status()
    return time.perf_counter() - began


def measure_routes(client: httpx.Client, n_tracks: int) -> None:
    random = np.random.default_rng(2)
    for name, asked in queries(random, n_tracks).items():
        show(f"/api/tracks, {name}", [timed(client, "/api/tracks", each) for each in asked])
    ids = random.integers(1, n_tracks, 20).tolist()
    for name, path in (("a track", "/api/tracks/{}"), ("similar", "/api/tracks/{}/similar")):
        show(name, [timed(client, path.format(id)) for id in ids])
    for name, path in (("session", "/api/session"), ("map", "/api/map")):
        seconds = [timed(client, path) for _ in range(5)]
        show(f"{name} ({len(client.get(path).content) / 1e6:.2f} MB)", seconds)


# The row that was scrolled to, with its title; rows out of sight are recycled, or wait for theirs.
_READY = """(index) => new Promise((resolve) => {
    const began = performance.now();
    const look = () => {
        const row = document.querySelector(
            `#table .row-of-table[data-index="${index}"]:not([hidden], .waiting) .c-title`);
        if (row && row.textContent) resolve(performance.now() - began);
        else requestAnimationFrame(look);
    };
    look();
})"""
_SCROLL = f"""async (index) => {{
    const table = document.querySelector("#table");
    const height = parseFloat(getComputedStyle(table).getPropertyValue("--row-height"));
    table.scrollTop = index * height;
    return ({_READY})(index);
}}"""
_FILTER = """(kind) => new Promise((resolve) => {
    const count = document.querySelector("#track-count");
    const began = performance.now();
    const seen = new MutationObserver(() => {
        requestAnimationFrame(() => {
            seen.disconnect();
            resolve(performance.now() - began);
        });
    });
    seen.observe(count, { childList: true, characterData: true, subtree: true });
    document.querySelector(kind).click();
})"""
_PAINT = """() => new Promise((resolve) => {
    const look = () => {
        const [paint] = performance.getEntriesByName("first-contentful-paint");
        if (paint) resolve(paint.startTime);
        else requestAnimationFrame(look);
    };
    look();
})"""
_FIRST_ROW = """() => new Promise((resolve) => {
    const look = () => {
        const row = document.querySelector("#table .row-of-table:not(.waiting) .c-title");
        if (row && row.textContent) resolve(performance.now());
        else requestAnimationFrame(look);
    };
    look();
})"""


def measure_page(address: str, n_tracks: int) -> None:
    """Time the page in Chromium, from the user's action to the frame that shows its result."""
    from playwright.sync_api import sync_playwright

    random = np.random.default_rng(3)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        url = address.partition("?")[0]
        paints, firsts = [], []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(f"{url}#tracks")
            firsts.append(page.evaluate(_FIRST_ROW) / 1000)
            paints.append(page.evaluate(_PAINT) / 1000)
        show("page: first contentful paint", paints)
        show("page: first rows shown", firsts)
        places = random.integers(0, n_tracks - 100, 100).tolist()
        show("page: scrolled far", [page.evaluate(_SCROLL, i) / 1000 for i in places])
        steps = range(0, 3000, 30)
        page.evaluate(_SCROLL, 0)
        show("page: scrolled on by 30 rows", [page.evaluate(_SCROLL, i) / 1000 for i in steps])
        kinds = ["#kind-disagrees", "#kind-missing", "#kind-below", "#kind-all"] * 10
        show("page: filtered", [page.evaluate(_FILTER, kind) / 1000 for kind in kinds])
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--db", type=Path, help="keep the database there, or use the one there")
    parser.add_argument("--browser", action="store_true", help="measure in the page, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = options.db or Path(name) / "library.sqlite3"
        if not path.exists():
            began = time.perf_counter()
            make(path, options.tracks)
            print(f"{options.tracks} tracks made in {time.perf_counter() - began:.0f} s")
        index(path)
        began = time.perf_counter()
        with served(path) as (address, pid):
            print(f"the program is ready after {time.perf_counter() - began:.2f} s")
            url, _, token = address.partition("/?token=")
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
                for path_ in ("/", "/api/session", "/api/tracks"):
                    print(f"first {path_}: {1000 * timed(client, path_):.0f} ms")
                measure_routes(client, options.tracks)
            if options.browser:
                measure_page(address, options.tracks)
            print("memory of the server: {:.0f} MB, at most {:.0f} MB".format(*memory_mb(pid)))


if __name__ == "__main__":
    main()
