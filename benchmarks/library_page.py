"""How quick the library's page is in the browser: first rows, scrolling, filters, search, map.

    python benchmarks/library_server.py --db made.sqlite3      # makes a library of 100,000 tracks
    python benchmarks/library_page.py --db made.sqlite3

The real program serves the library to Debian's Chromium. Every figure is taken in the page, from
the navigation, the movement or the click to the frame in which the new rows stand in the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from library_server import index, served, show

CHROMIUM = "/usr/bin/chromium"
N_LOADS = 10
N_SCROLLS = 100
N_FILTERS = 50
WATCH = """
window.rowsShown = () => {
  const shown = [...document.querySelectorAll("#table .row-of-table")].filter((row) => !row.hidden);
  return shown.length > 5 && !shown.some((row) => row.classList.contains("waiting"));
};
window.firstRows = new Promise((resolve) => {
  const look = () => (rowsShown() ? resolve(performance.now()) : requestAnimationFrame(look));
  requestAnimationFrame(look);
});
window.timed = (act, isDone) => new Promise((resolve, reject) => {
  const began = performance.now();
  act();
  setTimeout(() => reject(new Error("nothing has changed for 20 s")), 20000);
  const look = () => (isDone() ? resolve(performance.now() - began) : requestAnimationFrame(look));
  requestAnimationFrame(look);
});
"""
SCROLL = """(place) => {
  const table = document.getElementById("table");
  return timed(() => { table.scrollTop = place * table.scrollHeight; }, rowsShown);
}"""
STEP = """() => {
  const table = document.getElementById("table");
  return timed(() => { table.scrollTop += table.clientHeight; }, rowsShown);
}"""
CLICK = """(id) => {
  const count = document.getElementById("track-count");
  const before = count.textContent;
  return timed(() => document.getElementById(id).click(),
    () => count.textContent !== before && (rowsShown() || count.textContent.startsWith("No")));
}"""
SEARCH = """(text) => {
  const [count, field] = ["track-count", "search"].map((id) => document.getElementById(id));
  const before = count.textContent;
  field.value = text;
  return timed(() => field.dispatchEvent(new Event("input")), () => count.textContent !== before);
}"""
MAP = """() => timed(() => { location.hash = "#map"; },
  () => document.getElementById("map-note").textContent.includes("tracks"))"""


def opened(page: Page, address: str) -> float:
    """Open the page; return the seconds from the navigation to the first rows."""
    page.goto(address)
    return float(page.evaluate("firstRows")) / 1000


def measure_scrolling(page: Page, random: np.random.Generator) -> None:
    """Scroll to anywhere, and screen by screen."""
    places = random.random(N_SCROLLS).tolist()
    show("scrolled to anywhere", [page.evaluate(SCROLL, place) / 1000 for place in places])
    show("scrolled by a screen", [page.evaluate(STEP) / 1000 for _ in range(N_SCROLLS)])


def measure_filters(page: Page) -> None:
    """Choose kinds and genres, each another one than before, and search for words."""
    with_tracks = "all => all.filter((one) => !/\\D0$/.test(one.textContent)).map((one) => one.id)"
    kinds = page.locator("#kinds button").evaluate_all(with_tracks)[1:]  # the first is all
    genres = page.locator("#genres button").evaluate_all(with_tracks)
    seconds = [page.evaluate(CLICK, name) / 1000 for name in [*kinds, *kinds]]
    page.evaluate(CLICK, "clear")
    seconds += [page.evaluate(CLICK, name) / 1000 for name in (genres * N_FILTERS)[:N_FILTERS]]
    show("filtered", seconds)
    page.evaluate(CLICK, "clear")
    words = [f"{word} {number}" for number in range(10) for word in ("blue", "winter", "stone")]
    show("searched", [page.evaluate(SEARCH, word) / 1000 for word in words])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, required=True)
    path = parser.parse_args().db
    index(path)
    with served(path) as (address, _), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(WATCH)
        show("first rows", [opened(page, address) for _ in range(N_LOADS)])
        measure_scrolling(page, np.random.default_rng(1))
        measure_filters(page)
        page.evaluate("document.getElementById('clear').click()")
        print(f"map, once: {page.evaluate(MAP):.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
