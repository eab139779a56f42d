"""Puts measured figures into docs/performance.md, between two marks, and draws the picture beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.benchmarks import check, odata, report
from scripts.benchmarks.contenders import NAMES
from scripts.benchmarks.databases import KINDS
from scripts.benchmarks.picture import Chart, drawn
from scripts.benchmarks.rounds import Figures, Results

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "performance.md", DOCS / "performance.svg"
BEGIN, END = "<!-- measured: scripts/bench --document -->", "<!-- end of what was measured -->"


@dataclass(frozen=True, slots=True)
class Measured:
    """What several files of `--json` say together."""

    results: Results
    answers: list[dict[str, Any]]
    counts: Results


def read(files: Iterable[Path]) -> Measured:
    """All of them; where two say something of the same, the later one counts."""
    results: Results = {}
    counts: Results = {}
    answers: dict[tuple[str, str, str], dict[str, Any]] = {}
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        for one in document["figures"]:
            kept = results if "cpu" in one["runs"][0] else counts
            kept[one["databases"], one["rows"], one["item"], one["contender"]] = Figures(one["runs"])
        for answer in document["answers"]:
            answers[answer["databases"], answer["item"], answer["what"]] = answer
    return Measured(results, list(answers.values()), counts)


def write(files: Sequence[Path]) -> None:
    """Renew the page and the picture."""
    measured = read(files)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    parts = _items(measured.results), _counts(measured.counts), _peers(measured.results), _answers(measured.answers)
    body = "\n\n".join("\n".join(lines) for lines in parts if lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
    PICTURE.write_text(drawn(_charts(measured.results), "How cost and memory grow with the tables"), encoding="utf-8")


def _items(results: Results) -> list[str]:
    lines = [
        "| databases | rows | item | CPU s | of it databases | wall s | peak MB | runs | CPU against plain | tuned |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (kind, size, item, name), ours in sorted(results.items(), key=_order):
        if name != "accord":
            continue
        rivals = [results.get((kind, size, item, loop)) for loop in report.LOOPS]
        ratios = " | ".join(_ratio(ours, rival) for rival in rivals)
        figures = " | ".join(report.short(ours.median(cost)) for cost in ("cpu", "database", "wall"))
        peak = max(ours.of("memory"))
        lines.append(
            f"| {kind} | {size:,} | {report.TITLES[item]} | {figures} | {peak:.0f} | {len(ours.runs)} | {ratios} |"
        )
    return lines


def _order(entry: tuple[tuple[str, int, str, str], Figures]) -> tuple[str, int, int]:
    kind, size, item, _ = entry[0]
    return kind, size, list(report.TITLES).index(item)


def _ratio(ours: Figures, theirs: Figures | None) -> str:
    found = report.ratios(ours, theirs) if theirs else []
    if not found:
        return "–"
    if len(found) == 1:
        return f"{found[0]:.1f}"
    return f"{sorted(found)[len(found) // 2]:.1f} ({min(found):.1f} to {max(found):.1f})"


def _counts(counts: Results) -> list[str]:
    found = report.counted_growth(counts)
    if not found:
        return []
    lines = ["| databases | item | counted | rows | | rows | | times |", "|---|---|---|---|---|---|---|---|"]
    for one in found:
        (few, many), ratio = one.rows, f"{one.ratio:.2f}" if one.is_same else f"**{one.ratio:.2f}**"
        lines.append(
            f"| {one.databases} | {report.TITLES[one.item]} | {one.name} | {few:,} | {one.few:,.0f}"
            f" | {many:,} | {one.many:,.0f} | {ratio} |"
        )
    return lines


def _peers(results: Results) -> list[str]:
    """What others took for the same rows."""
    others = {key: one for key, one in results.items() if key[3] not in NAMES}
    if not others:
        return []
    lines = ["| others | rows | item | CPU s | wall s | peak MB |", "|---|---|---|---|---|---|"]
    for (_, size, item, name), one in sorted(others.items(), key=lambda entry: (entry[0][3], entry[0][1], entry[0][2])):
        peak = f"{max(one.of('memory')):.0f}" if one.median("memory") else "–"
        cpu, wall = report.short(one.median("cpu")), report.short(one.median("wall"))
        lines.append(f"| {name} | {size:,} | {report.TITLES[item]} | {cpu} | {wall} | {peak} |")
    return lines


def _answers(answers: Sequence[dict[str, Any]]) -> list[str]:
    if not answers:
        return []
    lines = ["| databases | asked | median ms | p99 ms | CPU ms |", "|---|---|---|---|---|"]
    for one in answers:
        what = one["what"].replace("{runs}", "20000")
        digits = 4 if one["what"] in odata.ALONE.values() else 1
        figures = " | ".join(f"{one[name]:.{digits}f}" for name in ("median", "p99", "cpu"))
        lines.append(f"| {one['databases']} | {one['item']} `{what}` | {figures} |")
    return lines


def _charts(results: Results) -> list[Chart]:
    """Cost of three items and the memory by the number of rows: of all on SQLite, and of Accord on PostgreSQL."""
    wanted = (("W1", "cpu", "CPU s"), ("W3", "cpu", "CPU s"), ("W5", "cpu", "CPU s"), ("W1", "memory", "MB at most"))
    charts = []
    for item, cost, unit in wanted:
        lines: dict[str, list[tuple[int, float]]] = {}
        for (kind, size, told, name), figures in results.items():
            if (kind, told) == ("sqlite", item) and figures.median(cost) > 0:
                lines.setdefault(name, []).append((size, figures.median(cost)))
            elif (kind, told, name) == ("postgresql", item, "accord"):
                lines.setdefault(kind, []).append((size, figures.median(cost)))
        title = f"memory, {report.TITLES[item]}" if cost == "memory" else report.TITLES[item]
        charts.append(Chart(title, unit, lines))
    drawable = [chart for chart in charts if any(len(points) > 1 for points in chart.lines.values())]
    return [*drawable, *_counted()]


def _counted() -> list[Chart]:
    """The counted work of Accord by the number of rows, as it was accepted."""
    counts, charts = check.accepted(), []
    for item in ("W1", "W3", "W5"):
        lines = {
            kind: [(size, counts[f"{kind} {size} {item}"]["roundTrips"]) for size in check.SIZES] for kind in KINDS
        }
        charts.append(Chart(report.TITLES[item], "round trips", lines))
    return charts
