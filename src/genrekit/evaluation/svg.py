"""Small charts as SVG text: colours come from the page's style, so they fit light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from genrekit.models.card import Interval

WIDTH = 400
ROW = 22
NAME_WIDTH = 126
SIDE = 300  # of a square plot
MARGIN = 42
SERIES = ("a", "b", "c")


class Line(NamedTuple):
    """A named curve through (x, y) points."""

    name: str
    points: Sequence[tuple[float, float]]


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix: truth in rows, answers in columns, colour by share of the row."""
    side = (WIDTH - 70) / len(labels)
    parts = []
    for row, name in enumerate(labels):
        middle = row * side + side / 2 + 4
        parts.append(_text(64, middle, name, "end"))
        for column, count in enumerate(counts[row]):
            share = count / max(sum(counts[row]), 1)
            opacity = 0.06 + 0.94 * share if count else 0.04
            x, y = 70 + column * side, row * side
            kind = "hit" if row == column else "miss"
            told = f"{name} answered {labels[column]}: {count} of {sum(counts[row])}"
            parts.append(
                f'<rect class="{kind}" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" '
                f'height="{side - 2:.1f}" rx="3" fill-opacity="{opacity:.2f}">'
                f"<title>{escape(told)}</title></rect>"
            )
            if count:
                strong = ' class="on"' if share > 0.55 else ""
                parts.append(
                    f'<text{strong} x="{x + side / 2:.1f}" y="{middle:.1f}" text-anchor="middle">'
                    f"{count}</text>"
                )
    bottom = len(labels) * side
    for column, name in enumerate(labels):
        x = 70 + column * side + side / 2
        parts.append(
            f'<text transform="translate({x + 4:.1f} {bottom + 8:.1f}) rotate(-50)" '
            f'text-anchor="end">{escape(name)}</text>'
        )
    return _svg(WIDTH, bottom + 62, parts, "confusion matrix")


def dots(rows: Sequence[tuple[str, Sequence[Interval | None]]], names: Sequence[str]) -> str:
    """Draw one row a name, with a dot and an interval for each series; x is in percent."""
    room = WIDTH - NAME_WIDTH - 14

    def at(value: float) -> float:
        return NAME_WIDTH + room * min(max(value, 0.0), 1.0)

    height = len(rows) * ROW + 34
    parts = [_legend(names)] if len(names) > 1 else []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_rule(at(tick), 22, at(tick), height - 16))
        parts.append(_text(at(tick), height - 3, f"{100 * tick:.0f}", "middle", "quiet"))
    for index, (name, found) in enumerate(rows):
        y = 34 + index * ROW
        parts.append(_text(NAME_WIDTH - 8, y + 4, name, "end"))
        for number, dot in enumerate(found):
            if dot is not None:
                offset = 6 * (number - (len(names) - 1) / 2)
                parts.append(_dot(dot, at, y + offset, SERIES[number], names[number]))
    return _svg(WIDTH, height, parts, ", ".join(names))


def _dot(dot: Interval, at: Callable[[float], float], y: float, series: str, name: str) -> str:
    told = f"{name} {dot.percent(' %')}"
    return (
        f'<g class="{series}"><title>{escape(told)}</title>'
        f'<line class="bar" x1="{at(dot.low):.1f}" y1="{y:.1f}" x2="{at(dot.high):.1f}" '
        f'y2="{y:.1f}"/><circle cx="{at(dot.value):.1f}" cy="{y:.1f}" r="4"/></g>'
    )


def reliability(bins: Sequence[tuple[float, float, int, float, float]]) -> str:
    """Draw accuracy over probability.

    Args:
        bins: (low, high, number of tracks, mean probability, accuracy) of each bin.
    """
    parts = [*_frame("probability of the answer, %", "right, %")]
    parts.append(f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>')
    most = max(n for _, _, n, _, _ in bins)
    for low, high, n, probability, accuracy in bins:
        told = f"{n} tracks at {100 * probability:.0f} %: {100 * accuracy:.0f} % right"
        parts.append(
            f'<g class="a"><title>{told}</title>'
            f'<rect x="{_x(low) + 1:.1f}" y="{_y(accuracy):.1f}" '
            f'width="{_x(high) - _x(low) - 2:.1f}" height="{_y(0) - _y(accuracy):.1f}" '
            f'fill-opacity="{0.12 + 0.38 * n / most:.2f}"/>'
            f'<circle cx="{_x(probability):.1f}" cy="{_y(accuracy):.1f}" r="3.5"/></g>'
        )
        parts.append(_text((_x(low) + _x(high)) / 2, _y(0) - 4, str(n), "middle"))
    return _square(parts, "reliability diagram")


def coverage(curve: Line, marks: Sequence[tuple[float, float, str]]) -> str:
    """Draw precision over coverage; marks are (coverage, precision, percent promised there)."""
    parts = [*_frame("answered, %", "right among them, %"), _path(curve, "a")]
    for x, y, told in marks:
        parts.append(
            f'<g class="b"><title>promised {escape(told)} %</title>'
            f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="4.5"/></g>'
        )
        parts.append(_text(_x(x), _y(y) + 18, told, "middle", "quiet"))
    return _square(parts, "precision over coverage")


def curves(lines: Sequence[Line]) -> str:
    """Draw curves over epochs on one scale from 0 to their largest value."""
    top = max(y for line in lines for _, y in line.points) or 1.0
    last = max(x for line in lines for x, _ in line.points)
    scaled = [Line(its.name, [(x / last, y / top) for x, y in its.points]) for its in lines]
    parts = [*_frame(f"epoch, of {last:.0f}", "", (f"{top:.2f}", "0"))]
    parts += [_path(line, SERIES[index]) for index, line in enumerate(scaled)]
    return _square([_legend([line.name for line in lines]), *parts], "learning curves")


def stacks(rows: Sequence[tuple[str, Sequence[int]]], names: Sequence[str]) -> str:
    """Draw one bar a row, cut into the counts of each series."""
    room = WIDTH - NAME_WIDTH - 20
    most = max(sum(counts) for _, counts in rows) or 1
    parts = [_legend(names)]
    for index, (name, counts) in enumerate(rows):
        y, x = 24 + index * ROW, float(NAME_WIDTH)
        parts.append(_text(NAME_WIDTH - 8, y + 13, name, "end"))
        for series, label, count in zip(SERIES, names, counts, strict=True):
            width = room * count / most
            told = f"{name}: {count} {label}"
            parts.append(
                f'<g class="{series}"><title>{escape(told)}</title><rect x="{x:.1f}" y="{y}" '
                f'width="{width:.1f}" height="{ROW - 5}"/></g>'
            )
            if width > 22:
                parts.append(f'<text class="on" x="{x + 5:.1f}" y="{y + 13}">{count}</text>')
            x += width
    return _svg(WIDTH, 28 + len(rows) * ROW, parts, "composition of the split")


def _x(value: float) -> float:
    return MARGIN + (WIDTH - MARGIN - 16) * value


def _y(value: float) -> float:
    return 22 + (SIDE - 22 - MARGIN) * (1 - value)


def _frame(below: str, beside: str, ends: tuple[str, str] = ("100", "0")) -> list[str]:
    """Grid and names of the axes."""
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_rule(_x(tick), _y(0), _x(tick), _y(1)))
        parts.append(_rule(_x(0), _y(tick), _x(1), _y(tick)))
    parts += [
        _text(_x(0) - 6, _y(1) + 4, ends[0], "end", "quiet"),
        _text(_x(0) - 6, _y(0) + 4, ends[1], "end", "quiet"),
        _text(_x(0.5), _y(0) + 28, below, "middle", "quiet"),
        _text(_x(0), 12, beside, "start", "quiet"),
    ]
    if ends == ("100", "0"):
        ticks = (0, 0.25, 0.5, 0.75, 1)
        parts += [_text(_x(t), _y(0) + 14, f"{100 * t:.0f}", "middle", "quiet") for t in ticks]
    return parts


def _square(parts: Sequence[str], told: str) -> str:
    return _svg(WIDTH, SIDE, parts, told)


def _path(line: Line, series: str) -> str:
    points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in line.points)
    return f'<polyline class="{series} curve" points="{points}"/>'


def _legend(names: Sequence[str]) -> str:
    """Return coloured names in one row above a chart."""
    parts, x = [], float(MARGIN)
    for series, name in zip(SERIES, names, strict=False):
        parts.append(f'<g class="{series}"><circle cx="{x:.1f}" cy="9" r="4"/></g>')
        parts.append(_text(x + 9, 13, name))
        x += 24 + 6.2 * len(name)
    return "".join(parts)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    styled = f' class="{kind}"' if kind else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], told: str) -> str:
    inside = "".join(parts)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(told)}">'
        f"{inside}</svg>"
    )
