"""Small charts as SVG, with colours from the page's style, so that they fit light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

from genrekit.evaluation.result import ReliabilityBin
from genrekit.models.card import Interval

WIDTH = 400
ROW = 22
NAME_WIDTH = 126
LABEL_WIDTH = 70  # beside a confusion matrix
SIDE = 300  # height of a square plot
MARGIN = 42
TICKS = (0, 0.25, 0.5, 0.75, 1)
SERIES = ("a", "b", "c")


class Line(NamedTuple):
    """A named curve through (x, y) points."""

    name: str
    points: Sequence[tuple[float, float]]


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Draw a confusion matrix: truth in rows, predictions in columns, opacity by share of a row."""
    side = (WIDTH - LABEL_WIDTH) / len(labels)
    bottom = len(labels) * side
    parts: list[Element] = []
    for row, name in enumerate(labels):
        middle = (row + 0.5) * side + 4
        parts.append(_text(LABEL_WIDTH - 6, middle, name, "end"))
        for column, count in enumerate(counts[row]):
            x, share = LABEL_WIDTH + column * side, count / max(sum(counts[row]), 1)
            box = _rectangle(x + 1, row * side + 1, side - 2, side - 2, rx=3)
            box.set("class", "hit" if row == column else "miss")
            box.set("fill-opacity", f"{0.06 + 0.94 * share if count else 0.04:.2f}")
            box.append(_title(f"{name} as {labels[column]}: {count} of {sum(counts[row])}"))
            parts.append(box)
            if count:
                strong = "on" if share > 0.55 else ""
                parts.append(_text(x + side / 2, middle, str(count), "middle", strong))
        turned = _text(0, 0, name, "end")
        x = LABEL_WIDTH + (row + 0.5) * side + 4
        turned.set("transform", f"translate({x:.1f} {bottom + 8:.1f}) rotate(-50)")
        parts.append(turned)
    return _svg(bottom + 62, parts, "confusion matrix")


def dots(rows: Sequence[tuple[str, Sequence[Interval | None]]], names: Sequence[str]) -> Markup:
    """Draw one row per name, with a dot and an interval for each series; x is in percent."""
    height = len(rows) * ROW + 34

    def at(value: float) -> float:
        return NAME_WIDTH + (WIDTH - NAME_WIDTH - 14) * min(max(value, 0.0), 1.0)

    parts = _legend(names) if len(names) > 1 else []
    for tick in TICKS:
        parts.append(_line("grid", at(tick), 22, at(tick), height - 16))
        parts.append(_text(at(tick), height - 3, f"{100 * tick:.0f}", "middle", "quiet"))
    for index, (name, intervals) in enumerate(rows):
        middle = 34 + index * ROW
        parts.append(_text(NAME_WIDTH - 8, middle + 4, name, "end"))
        for number, its in enumerate(intervals):
            if its is not None:
                y = middle + 6 * (number - (len(names) - 1) / 2)
                bar = _line("bar", at(its.low), y, at(its.high), y)
                title = f"{names[number]} {its.percent(' %')}"
                parts.append(_group(number, title, bar, _circle(at(its.value), y, 4)))
    return _svg(height, parts, ", ".join(names))


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """Draw accuracy over probability, with the number of tracks in each bin."""
    parts = [*_axes("probability of the prediction, %", "correct, %")]
    parts.append(_line("ideal", _x(0), _y(0), _x(1), _y(1)))
    most = max(its.n_items for its in bins)
    for its in bins:
        left, right, top = _x(its.low), _x(its.high), _y(its.accuracy)
        bar = _rectangle(left + 1, top, right - left - 2, _y(0) - top)
        bar.set("fill-opacity", f"{0.12 + 0.38 * its.n_items / most:.2f}")
        title = (
            f"{its.n_items} tracks at {100 * its.mean_probability:.0f} %: "
            f"{100 * its.accuracy:.0f} % correct"
        )
        parts.append(_group(0, title, bar, _circle(_x(its.mean_probability), top, 3.5)))
        parts.append(_text((left + right) / 2, _y(0) - 4, str(its.n_items), "middle"))
    return _svg(SIDE, parts, "reliability diagram")


def coverage(curve: Line, marks: Sequence[tuple[float, float, str]]) -> Markup:
    """Draw precision over coverage; marks are (coverage, precision, percent promised there)."""
    parts = [*_axes("coverage, %", "precision, %"), _curve(curve, 0)]
    for x, y, promised in marks:
        parts.append(_group(1, f"promised {promised} %", _circle(_x(x), _y(y), 4.5)))
        parts.append(_text(_x(x), _y(y) + 18, promised, "middle", "quiet"))
    return _svg(SIDE, parts, "precision over coverage")


def curves(lines: Sequence[Line]) -> Markup:
    """Draw curves over epochs on one scale from 0 to their largest value."""
    top = max(y for line in lines for _, y in line.points) or 1.0
    last = max(x for line in lines for x, _ in line.points)
    scaled = [Line(its.name, [(x / last, y / top) for x, y in its.points]) for its in lines]
    parts = [*_legend([line.name for line in lines])]
    parts += _axes(f"epoch, of {last:.0f}", "", top=f"{top:.2f}", ticks=())
    parts += [_curve(line, index) for index, line in enumerate(scaled)]
    return _svg(SIDE, parts, "learning curves")


def stacks(rows: Sequence[tuple[str, Sequence[int]]], names: Sequence[str]) -> Markup:
    """Draw one bar per row, divided into the counts of each series."""
    most = max(sum(counts) for _, counts in rows) or 1
    parts = _legend(names)
    for index, (name, counts) in enumerate(rows):
        y, x = 24 + index * ROW, float(NAME_WIDTH)
        parts.append(_text(NAME_WIDTH - 8, y + 13, name, "end"))
        for number, count in enumerate(counts):
            width = (WIDTH - NAME_WIDTH - 20) * count / most
            bar = _rectangle(x, y, width, ROW - 5)
            parts.append(_group(number, f"{name}: {count} {names[number]}", bar))
            if width > 22:
                parts.append(_text(x + 5, y + 13, str(count), kind="on"))
            x += width
    return _svg(28 + len(rows) * ROW, parts, "composition of the split")


def _x(value: float) -> float:
    return MARGIN + (WIDTH - MARGIN - 16) * value


def _y(value: float) -> float:
    return 22 + (SIDE - 22 - MARGIN) * (1 - value)


def _axes(
    below: str, beside: str, *, top: str = "100", ticks: Sequence[float] = TICKS
) -> Iterator[Element]:
    """Yield the grid, and the axes' labels and ticks."""
    for tick in TICKS:
        yield _line("grid", _x(tick), _y(0), _x(tick), _y(1))
        yield _line("grid", _x(0), _y(tick), _x(1), _y(tick))
    yield _text(_x(0) - 6, _y(1) + 4, top, "end", "quiet")
    yield _text(_x(0) - 6, _y(0) + 4, "0", "end", "quiet")
    yield _text(_x(0.5), _y(0) + 28, below, "middle", "quiet")
    yield _text(_x(0), 12, beside, "start", "quiet")
    for tick in ticks:
        yield _text(_x(tick), _y(0) + 14, f"{100 * tick:.0f}", "middle", "quiet")


def _legend(names: Sequence[str]) -> list[Element]:
    """Return coloured names in one row above a chart."""
    parts, x = [], float(MARGIN)
    for number, name in enumerate(names):
        parts += [_group(number, name, _circle(x, 9, 4)), _text(x + 9, 13, name)]
        x += 24 + 6.2 * len(name)
    return parts


def _curve(line: Line, number: int) -> Element:
    points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in line.points)
    return Element("polyline", {"class": f"{SERIES[number]} curve", "points": points})


def _group(number: int, title: str, *shapes: Element) -> Element:
    """Group the shapes of one item of a series; the title is its tooltip."""
    group = Element("g", {"class": SERIES[number]})
    group.extend([_title(title), *shapes])
    return group


def _title(text: str) -> Element:
    title = Element("title")
    title.text = text
    return title


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> Element:
    element = _shape("text", kind, x=x, y=y)
    element.set("text-anchor", anchor)
    element.text = text
    return element


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return _shape("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)


def _circle(x: float, y: float, radius: float) -> Element:
    return _shape("circle", cx=x, cy=y, r=radius)


def _rectangle(x: float, y: float, width: float, height: float, rx: float = 0) -> Element:
    return _shape("rect", x=x, y=y, width=width, height=height, rx=rx)


def _shape(tag: str, kind: str = "", **lengths: float) -> Element:
    named = {"class": kind} if kind else {}
    return Element(tag, named | {name: f"{value:.1f}" for name, value in lengths.items()})


def _svg(height: float, parts: Sequence[Element], label: str) -> Markup:
    box = f"0 0 {WIDTH} {height:.0f}"
    root = Element("svg", {"viewBox": box, "role": "img", "aria-label": label})
    root.extend(parts)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - the tree escapes its texts
