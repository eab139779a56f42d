"""Eight people edit both applications at random while runs go on: nothing that anybody typed vanishes, and nothing is
written over that Accord had not seen. The audit is that of the databases themselves."""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.editors import Editors, audited, look_back, resolve_some
from tests.servers import PostgresServer
from tests.sites import INTEGRATION, LOCAL, Sites, postgres_site, sqlite_site

SECONDS = float(os.environ.get("ACCORD_EDITORS_SECONDS", "0"))
"""How long they work at least; without it until there is enough to judge by."""

ENOUGH = {"edits": 800, "runs": 10, "conflicts": 8}
LONGEST = 900.0


@pytest.mark.parametrize("detection", ["record", "field"])
def test_nothing_that_anybody_typed_vanishes(
    state: str, postgres: PostgresServer, tmp_path: Path, detection: str
) -> None:
    """The second application is on the same kind of database as the state."""
    kind = "sqlite" if state.startswith("sqlite:") else "postgresql"
    with postgres_site(postgres) as erp, postgres_site(postgres, now="clock_timestamp()") as other:
        crm = sqlite_site(tmp_path) if kind == "sqlite" else other
        sites = Sites({LOCAL: audited(erp), INTEGRATION: audited(crm)}, page_size=100)
        sites.map(conflict_detection=detection)
        erp.add(f"r{number:03}" for number in range(300))
        sites.run()
        people = Editors(sites, [f"r{number:03}" for number in range(300)], seed=7)
        seen = work_together(sites, people)
        assert settle_down(sites), "the runs come to rest"
        found = look_back(sites)
        print(f"postgresql and {kind}, {detection}: {dict(people.made)} {dict(seen)} {found.numbers}")
        assert found.broken == []


def work_together(sites: Sites, people: Editors) -> Counter[str]:
    """Runs, and a person who resolves, until everybody has done enough."""
    seen: Counter[str] = Counter()
    chance, started = random.Random(8), time.monotonic()
    with people.at_work():
        while not enough(people, seen, time.monotonic() - started):
            run = sites.run()
            assert run.status in ("succeeded", "completedWithErrors"), (run.status, run.code, run.params)
            seen["runs"] += 1
            for counts in run.counts.values():
                seen["conflicts"] += counts["skipped"]
                seen["written"] += counts["modified"] + counts["inserted"]
                seen["put off"] += counts["failed"]
            resolve_some(sites, chance)
    return seen


def enough(people: Editors, seen: Counter[str], passed: float) -> bool:
    if SECONDS:
        return passed > SECONDS
    assert passed < LONGEST, f"not enough happened: {dict(people.made)} {dict(seen)}"
    return people.made["edits"] >= ENOUGH["edits"] and all(seen[name] >= ENOUGH[name] for name in ("runs", "conflicts"))


def settle_down(sites: Sites) -> bool:
    """Runs until one finds nothing to do."""
    return any(
        not any(counts[name] for counts in sites.run().counts.values() for name in ("inserted", "modified"))
        for _ in range(10)
    )
