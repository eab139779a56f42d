"""The tables that a person reads: what each item cost, and how many times what the loops cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from scripts.benchmarks.rounds import Figures, Results

SAME = ("W3", "W4", "W5")
"""The items that cost the same however large the tables are."""

COSTS = ("cpu", "service", "database", "wall", "memory")
LOOPS = ("plain", "tuned")

TITLES = {
    "W1": "first load one way",
    "W2": "first match, 90 % overlap",
    "W3": "1,000 changes",
    "W4": "1,000 changes, 100 conflicts",
    "W5": "nothing changed",
    "echoes": "own writes read again",
    "batch": "1,000 changes of one side",
    "badRecord": "the same with a bad record",
}


def costs(results: Results) -> list[str]:
    """A line for each contender and item: medians, and ratios to the loops as min, median and max over the runs."""
    head = f"{'':11}{'rows':>10}  {'item':10}{'':8}" + "".join(f"{name:>10}" for name in ("CPU s", *COSTS[1:4], "MB"))
    lines = [head + "   CPU against plain        against tuned"]
    for (kind, size, item, name), figures in results.items():
        shown = "".join(f"{short(figures.median(cost)):>10}" for cost in COSTS)
        ratios = ""
        if name == "accord":
            rivals = [results.get((kind, size, item, loop)) for loop in LOOPS]
            ratios = "   ".join(_ratio(figures, rival) if rival else " " * 21 for rival in rivals)
        lines.append(f"{kind:11}{size:>10,}  {item:10}{name:8}{shown}   {ratios}".rstrip())
    return lines


def _ratio(ours: Figures, theirs: Figures) -> str:
    found = ratios(ours, theirs)
    if not found:
        return "-"
    return f"{min(found):6.2f} {median(found):6.2f} {max(found):6.2f} "


def ratios(ours: Figures, theirs: Figures, cost: str = "cpu") -> list[float]:
    """One ratio for each run: the contenders of one run followed each other."""
    pairs = zip(ours.of(cost), theirs.of(cost), strict=False)
    return [one / other for one, other in pairs if other > 0.0005]


def short(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 100 else f"{seconds:.0f}"


def counts(results: Results) -> list[str]:
    """A line for each item with what was counted."""
    names: Sequence[str] = ()
    lines = []
    for (kind, size, item, name), figures in results.items():
        names = list(figures.runs[0])
        shown = "".join(f"{figures.median(count):>13,.0f}" for count in names)
        lines.append(f"{kind:11}{size:>10,}  {item:10}{name:8}{shown}")
    head = f"{'':11}{'rows':>10}  {'item':10}{'':8}" + "".join(f"{name:>13}" for name in names)
    return [head, *lines]


COUNTED = ("statements", "roundTrips", "requests", "rowsWritten", "calls")
"""What must not depend on how large the tables are. Bytes are left out: how full the pages of a file are differs."""


@dataclass(frozen=True, slots=True)
class Grown:
    """How often something was counted for the smallest tables and for the largest ones."""

    databases: str
    item: str
    rows: tuple[int, int]
    name: str
    few: float
    many: float

    @property
    def ratio(self) -> float:
        return self.many / self.few

    @property
    def is_same(self) -> bool:
        """Within a tenth."""
        return self.ratio <= 1.1

    def __str__(self) -> str:
        said = "the same" if self.is_same else "MORE"
        return (
            f"{self.databases}: {self.item}: {self.name} {self.few:,.0f} with {self.rows[0]:,} rows,"
            f" {self.many:,.0f} with {self.rows[1]:,}: {self.ratio:.2f} times, {said}"
        )


def counted_growth(results: Results) -> list[Grown]:
    """For the items that must not mind how large the tables are, what was counted for the smallest and the largest."""
    found = []
    for kind, item in dict.fromkeys((key[0], key[2]) for key in results if key[3] == "accord" and key[2] in SAME):
        sizes = sorted(key[1] for key in results if (key[0], key[2], key[3]) == (kind, item, "accord"))
        few, many = (results[kind, size, item, "accord"] for size in (sizes[0], sizes[-1]))
        for name in COUNTED if sizes[0] < sizes[-1] else ():
            if few.median(name):
                rows = (sizes[0], sizes[-1])
                found.append(Grown(kind, item, rows, name, few.median(name), many.median(name)))
    return found


def growth(results: Results) -> list[str]:
    """How much more the largest tables cost than the smallest, for items that should not mind, and for memory."""
    lines = []
    sizes = sorted({size for _, size, _, _ in results})
    for kind in dict.fromkeys(kind for kind, _, _, _ in results):
        for item in SAME:
            few, many = (results.get((kind, size, item, "accord")) for size in (sizes[0], sizes[-1]))
            if few and many and few is not many:
                ratio = many.median("cpu") / few.median("cpu")
                lines.append(f"{kind}: {item} of {sizes[-1]:,} rows against {sizes[0]:,}: {ratio:.2f} times the CPU")
        peaks = {
            size: max(
                max(one.of("memory")) for key, one in results.items() if key[:2] == (kind, size) and key[3] == "accord"
            )
            for size in sizes
            if any(key[:2] == (kind, size) and key[3] == "accord" for key in results)
        }
        if peaks:
            lines.append(
                f"{kind}: most memory " + ", ".join(f"{size:,} rows: {mb:.0f} MB" for size, mb in peaks.items())
            )
        for size in sizes:
            if echoes := results.get((kind, size, "echoes", "accord")):
                each = echoes.median("cpu") / size * 1e6
                lines.append(f"{kind}: {each:.1f} microseconds of CPU for each echo, {size:,} of them")
            batch, bad = (results.get((kind, size, item, "accord")) for item in ("batch", "badRecord"))
            if batch and bad:
                lines.append(
                    f"{kind}: one bad record in 1,000 ({size:,} rows):"
                    f" {bad.median('wall') / batch.median('wall'):.2f} times the time,"
                    f" {bad.median('cpu') / batch.median('cpu'):.2f} times the CPU"
                )
    return lines
