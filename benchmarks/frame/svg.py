"""A small writer of line charts as SVG, which look the same on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 60, 92
TICKS = 6
GREY = "#808080"


@dataclass(frozen=True)
class Line:
    """Points that are joined, in one colour."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    joined: bool = True


@dataclass(frozen=True)
class Axis:
    """What is told along one side."""

    name: str
    logarithmic: bool = False

    def at(self, value: float, low: float, high: float) -> float:
        """Give the place of a value from 0 to 1."""
        if self.logarithmic:
            value, low, high = (math.log10(each) for each in (value, low, high))
        return (value - low) / (high - low) if high > low else 0.5

    def bounds(self, values: Sequence[float]) -> tuple[float, float]:
        """Give the ends of the axis: whole decades, or from nought."""
        if self.logarithmic:
            low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            return 10.0**low, 10.0 ** max(high, low + 1)
        return 0.0, (max(values) * 1.05) or 1.0

    def ticks(self, low: float, high: float) -> list[float]:
        """Give the values that are written beside it."""
        if self.logarithmic:
            first, last = round(math.log10(low)), round(math.log10(high))
            return [10.0**power for power in range(first, last + 1)]
        step = 10 ** math.floor(math.log10(high / TICKS))
        step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= TICKS)
        return [step * number for number in range(int(high / step) + 1)]


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """Draw lines over two axes, without the points that have no place there: inf, or 0 on a logarithm."""
    drawn = [
        Line(line.name, line.colour, [point for point in line.points if _drawable(point, x, y)], line.joined)
        for line in lines
    ]
    points = [point for line in drawn for point in line.points]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' font-family="sans-serif" font-size="13" fill="{GREY}">',
        f"<title>{escape(title)}</title>",
        _text(LEFT, 24, title, size=15, anchor="start"),
    ]
    if points:
        parts += _Canvas(x, y, points).draw(drawn)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Canvas:
    def __init__(self, x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> None:
        self._x, self._y = x, y
        self._across = x.bounds([point[0] for point in points])
        self._up = y.bounds([point[1] for point in points])

    def draw(self, lines: Sequence[Line]) -> list[str]:
        drawn = [part for number, line in enumerate(lines) for part in self._line(number, line)]
        return [*self._frame(), *drawn]

    def _line(self, number: int, line: Line) -> list[str]:
        places = [(f"{self._left(a):.1f}", f"{self._top(b):.1f}") for a, b in line.points]
        if line.joined and len(places) > 1:
            points = " ".join(map(",".join, places))
            shown = [f'<polyline fill="none" stroke="{line.colour}" stroke-width="2" points="{points}"/>']
        else:
            shown = [f'<circle cx="{a}" cy="{b}" r="3" fill="{line.colour}"/>' for a, b in places]
        return [*shown, *_legend(number, line)]

    def _frame(self) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        x_ticks, y_ticks = self._x.ticks(*self._across), self._y.ticks(*self._up)
        faint = f'stroke="{GREY}" stroke-opacity=".3"'
        return [
            _text((LEFT + right) / 2, bottom + 40, self._x.name),
            _text(14, TOP - 12, self._y.name, anchor="start"),
            *(_text(self._left(x), bottom + 20, f"{x:,.6g}") for x in x_ticks),
            *(f'<path d="M{LEFT} {self._top(y):.1f}H{right}" {faint}/>' for y in y_ticks),
            *(_text(LEFT - 8, self._top(y) + 4, f"{y:,.6g}", anchor="end") for y in y_ticks),
        ]

    def _left(self, value: float) -> float:
        return LEFT + self._x.at(value, *self._across) * (WIDTH - LEFT - RIGHT)

    def _top(self, value: float) -> float:
        return HEIGHT - BOTTOM - self._y.at(value, *self._up) * (HEIGHT - TOP - BOTTOM)


def _legend(number: int, line: Line) -> list[str]:
    across, down = LEFT + (number % 3) * 210, HEIGHT - 30 + (number // 3) * 18
    return [
        f'<rect x="{across}" y="{down - 10}" width="14" height="10" fill="{line.colour}"/>',
        _text(across + 20, down, line.name, anchor="start"),
    ]


def _text(across: float, down: float, text: str, *, size: int = 13, anchor: str = "middle") -> str:
    place = f'x="{across:.1f}" y="{down:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def _drawable(point: tuple[float, float], x: Axis, y: Axis) -> bool:
    return all(
        math.isfinite(value) and (value > 0 or not axis.logarithmic)
        for value, axis in zip(point, (x, y), strict=True)
    )
