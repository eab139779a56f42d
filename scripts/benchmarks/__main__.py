"""Measures what Accord costs beside a plain and a tuned loop over the same data.

Ratios within one run of this program count, absolute times do not: contenders take turns, and CPU seconds are compared,
not wall. A time counts only after both applications were found to hold the same.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.benchmarks import check, forms, page, peers, report, service
from scripts.benchmarks.contenders import NAMES
from scripts.benchmarks.databases import KINDS, databases
from scripts.benchmarks.rounds import Figures, Results, play
from scripts.benchmarks.story import STORIES

TOLD = tuple(item for told in STORIES.values() for item in told)
ALONE = ("W6", "A1", "console", "A2", "forms")
ITEMS = (*TOLD, *ALONE)


def main() -> None:
    given = arguments()
    if given.document:
        page.write(given.document)
    elif given.check or given.accept:
        hold_against_accepted(given)
    else:
        measure(given)


def hold_against_accepted(given: argparse.Namespace) -> None:
    """Count the work of small tables, and accept it, or fail where it grew."""
    with tempfile.TemporaryDirectory(prefix="accord-bench-", dir=given.folder) as folder:
        found = check.count(Path(folder))
    if given.accept:
        check.accept(found)
        return
    lines, well = check.report(found)
    print("\n".join(lines))
    if not well:
        raise SystemExit(1)


def measure(given: argparse.Namespace) -> None:
    """Let all contenders do all items, and print what that cost."""
    results: Results = {}
    answers: list[service.Answered] = []
    told = [item for item in given.items if item in TOLD]
    with tempfile.TemporaryDirectory(prefix="accord-bench-", dir=given.folder) as folder:
        for kind in given.databases:
            with databases(kind, Path(folder, kind)) as found:
                for key, costs in play(
                    found, given.sizes, given.contenders, told, given.runs, given.repeats, given.count
                ):
                    results.setdefault(key, Figures()).add(costs)
                    keep(results, answers, given)
                for size in given.sizes if given.peers else ():
                    for key, costs in peers.measure(found, size, given.runs):
                        results.setdefault(key, Figures()).add(costs)
                answers += service.ask(found, given.items, max(given.sizes), given.runs)
                keep(results, answers, given)
        if given.peers:
            for key, costs in peers.measure_stores(Path(folder), given.sizes, given.runs):
                results.setdefault(key, Figures()).add(costs)
                keep(results, answers, given)
    if "forms" in given.items:
        forms.measure(given.sizes)
    results = dict(sorted(results.items(), key=_order))
    if given.count:
        lines = report.counts(results) + [str(one) for one in report.counted_growth(results)]
    else:
        lines = report.costs(results) + report.growth(results)
    print("\n".join((lines if results else []) + service.report(answers)))
    keep(results, answers, given)


def keep(results: Results, answers: list[service.Answered], given: argparse.Namespace) -> None:
    """Write down what is known so far, so that nothing is lost of a measurement that is ended early."""
    if given.json:
        given.json.write_text(json.dumps(document(results, answers, given), indent=1))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--items", nargs="+", choices=ITEMS, default=list(ITEMS), metavar="ITEM", help=", ".join(ITEMS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="rows of a table")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--contenders", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--runs", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--repeats", type=int, default=3, help="how often the short items are measured in each run")
    parser.add_argument("--count", action="store_true", help="count the work instead of measuring the time")
    parser.add_argument("--peers", action="store_true", help="also dlt (PostgreSQL, one way), PouchDB and Unison")
    parser.add_argument("--check", action="store_true", help="count the work of small tables; fail where it grew")
    parser.add_argument("--accept", action="store_true", help="take what --check counts for what counts from now on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every run there")
    parser.add_argument(
        "--document", type=Path, nargs="+", metavar="FILE", help="renew docs/performance.md from files of --json"
    )
    parser.add_argument("--folder", type=Path, help="where the databases are made; needs about 3 GB for a million rows")
    return parser.parse_args(words)


def _order(entry: tuple[tuple[str, int, str, str], Any]) -> tuple[str, int, int, str]:
    kind, size, item, name = entry[0]
    return kind, size, ITEMS.index(item), name


def document(results: Results, answers: list[service.Answered], given: argparse.Namespace) -> dict[str, Any]:
    """Every figure, with what is known of the machine."""
    figures = [
        {"databases": kind, "rows": size, "item": item, "contender": name, "runs": found.runs}
        for (kind, size, item, name), found in results.items()
    ]
    return {
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "runs": given.runs,
        "figures": figures,
        "answers": [asdict(one) for one in answers],
    }


if __name__ == "__main__":
    main()
