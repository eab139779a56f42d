"""Draws how cost and memory grow with the tables, as plain SVG: `docs/performance.svg`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 230, 170, 62, 46, 78
COLOURS = {
    "accord": "#1f5f99", "plain": "#b3541e", "tuned": "#5b7f3b", "sqlite": "#7a3b8f", "postgresql": "#0f7f7a",
}  # fmt: skip

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One small chart: lines by contender or databases, of points (rows, figure)."""

    title: str
    unit: str
    lines: Mapping[str, Points]


def drawn(charts: Sequence[Chart], caption: str) -> str:
    """All charts beside each other; both axes are logarithmic."""
    width = LEFT + len(charts) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 60}" role="img">',
        f"<title>{escape(caption)}</title>",
        '<g font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{TOP + HEIGHT + 60}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="16" font-size="13">{escape(caption)}</text>',
    ]
    for number, chart in enumerate(charts):
        parts += _chart(chart, LEFT + number * (WIDTH + GAP))
    names = dict.fromkeys(name for chart in charts for name in chart.lines)
    for place, name in enumerate(names):
        x, y = LEFT + place * 90, TOP + HEIGHT + 48
        parts.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _chart(chart: Chart, left: float) -> list[str]:
    every = [point for points in chart.lines.values() for point in points]
    across = _Axis([rows for rows, _ in every], left, left + WIDTH)
    up = _Axis([figure for _, figure in every], TOP + HEIGHT, TOP)
    parts = [f'<text x="{left}" y="{TOP - 10}" font-weight="bold">{escape(chart.title)} ({escape(chart.unit)})</text>']
    for rows in across.marks():
        x = across.at(rows)
        parts.append(f'<line x1="{x:.0f}" y1="{TOP}" x2="{x:.0f}" y2="{TOP + HEIGHT}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{x:.0f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{_short(rows)}</text>')
    for figure in up.marks():
        y = up.at(figure)
        parts.append(f'<line x1="{left:.0f}" y1="{y:.0f}" x2="{left + WIDTH:.0f}" y2="{y:.0f}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{left - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{_short(figure)}</text>')
    for name, points in chart.lines.items():
        places = [(across.at(rows), up.at(figure)) for rows, figure in sorted(points)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[name]}"/>' for x, y in places]
    return parts


class _Axis:
    """A logarithmic axis over whole powers of ten."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    def marks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def _short(number: float) -> str:
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{sign}"
    return f"{number:g}"
