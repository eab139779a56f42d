"""Fifty thousand records fail, from five causes: five groups, few calls, and nobody has to touch a record after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from service.connectors.memory.store import rejected
from service.core.failures import Failure, SideFailed
from service.core.records import Side
from service.engine.task import PAGE_SIZE
from service.operations import errors as error_list
from service.operations import skipped
from service.store.models import Retry, SyncError
from service.worker import run_until_idle
from tests.conformance.words import MemoryWorld, both, quiet
from tests.world import LINES, World, errors, tally

pytestmark = pytest.mark.parametrize("state", ["sqlite"], indirect=True)

CAUSES: list[dict[str, Any]] = [
    {"name": "x" * 60},  # longer than the field
    {"city": "Forbidden"},  # refused by a rule
    {"city": "Twice"},  # a clash with what is there already
    {"credit_limit": None},  # a value is required
    {"city": "Locked"},  # somebody is working on it
]
CODES = {"value_too_long": 1, "value_rejected": 3, "record_locked": 1}
PER_PAGE = 3
"""Calls for a page of failing records: the reading, the look for their twins or partners, and the writing."""

PER_RUN = 20
"""Calls besides: both tables described, both clocks, one record of each side for the guard, the windows."""


def bound(candidates: int, made: int = 0) -> int:
    """So many calls a run may make for so many records, whatever their causes, and to read again what it has made."""
    return (PER_PAGE * candidates + made) // PAGE_SIZE + PER_RUN


class Trouble(MemoryWorld):
    """Customers that cannot become accounts."""

    def __init__(self) -> None:
        super().__init__()
        for store in self.stores.values():
            store.step = (
                1_000_000  # A second for each record, so that they are not all read again behind the watermark.
            )
        self.map(LINES)
        self.refuse(True)

    def refuse(self, on: bool) -> None:
        """Let the CRM have its rules, or give them up."""
        target = self.table(Side.INTEGRATION)
        target.refuse = self.refusal if on else None
        fields = dict(target.table.fields)
        fields["name"] = replace(fields["name"], length=50 if on else 100)
        fields["creditlimit"] = replace(fields["creditlimit"], nullable=not on)
        target.table = replace(target.table, fields=fields)

    @staticmethod
    def refusal(values: dict[str, Any]) -> Failure | None:
        match values["address1_city"]:
            case "Forbidden":
                return rejected("address1_city", "check")
            case "Twice":
                return rejected("address1_city", "unique")
            case "Locked":
                return Failure("record_locked", {"table": "account"})
        return None

    def fill(self, count: int) -> None:
        """So many new customers, a fifth of them for each cause."""
        for number in range(count):
            self.add(
                "local", **{"number": str(number), "name": "One", "credit_limit": 1, **CAUSES[number % len(CAUSES)]}
            )
        self.calls()

    def assert_few_calls(self, candidates: int, made: int = 0) -> None:
        calls = self.calls()
        assert sum(calls.values()) <= bound(candidates, made), calls


@pytest.fixture
def trouble(state: str) -> Trouble:
    return Trouble()


def groups(world: World, status: str | None = None) -> list[tuple[str, int]]:
    """The groups of errors: their codes and how many errors each has."""
    found = error_list.list_groups(world.context, mapping_id=world.mapping_id, status=status, before=None, limit=100)
    return [(group.code, group.open if status else group.count) for group in found]


def test_fifty_thousand_records_of_five_causes(trouble: Trouble) -> None:
    """One run in which all fail, and after it, when the causes are gone, one in which all succeed."""
    count = 50_000
    trouble.fill(count)
    run = trouble.run()
    assert (run.status, both(run)) == ("completedWithErrors", {"toIntegration": {"read": count, "failed": count}})
    trouble.assert_few_calls(count)
    assert trouble.all("integration") == []
    assert Counter(code for code, _ in groups(trouble)) == CODES
    assert {number for _, number in groups(trouble)} == {count // len(CAUSES)}
    assert trouble.skips(None) == []

    trouble.refuse(False)
    run = trouble.run()
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": count, "inserted": count}})
    trouble.assert_few_calls(count, made=count)
    assert len(trouble.table("integration").rows) == count
    assert (groups(trouble, "open"), Retry.select().count(), trouble.skips(None)) == ([], 0, [])
    assert SyncError.select().where(SyncError.status == "resolved").count() == count


def test_the_second_failure_of_one_cause_sets_aside_but_never_for_a_lock(trouble: Trouble) -> None:
    count, locked = 5_000, 1_000
    trouble.fill(count)
    trouble.run()
    trouble.calls()
    run = trouble.run()
    assert tally(run, "toIntegration") == {"read": count, "skipped": count - locked, "failed": locked}
    trouble.assert_few_calls(count)
    third = trouble.run()
    assert tally(third, "toIntegration") == {"read": locked, "failed": locked}, "who is set aside is not asked about"
    trouble.assert_few_calls(locked)
    assert len(groups(trouble)) == len(CAUSES)

    trouble.refuse(False)
    run = trouble.run()
    assert tally(run, "toIntegration") == {"read": locked, "inserted": locked}
    trouble.calls()
    times = 0
    while trouble.skips():
        skipped.resolve_many(trouble.context, None, trouble.mapping_id, "repeatedFailure", "retry", None, "anna")
        run_until_idle(trouble.context)
        times += 1
    assert times == (count - locked) / 500, "as many at a time as one request takes"
    assert len(trouble.table("integration").rows) == count
    assert groups(trouble, "open") == []
    assert quiet(trouble.run())


def test_edits_that_fail_heal_by_themselves(trouble: Trouble) -> None:
    """The same for pairs that are coupled already: what fails is the writing of an edit."""
    count = 2_000
    for number in range(count):
        trouble.add("local", number=str(number), name="One", city="Oslo", credit_limit=1)
    trouble.run()
    for number, customer in enumerate(trouble.all("local")):
        trouble.edit("local", customer["id"], **CAUSES[number % len(CAUSES)])
    trouble.calls()
    run = trouble.run()
    assert tally(run, "toIntegration") == {"read": count, "failed": count}
    trouble.assert_few_calls(count)
    assert Counter(code for code, _ in groups(trouble)) == CODES
    trouble.refuse(False)
    run = trouble.run()
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": count, "modified": count}})
    assert (groups(trouble, "open"), Retry.select().count()) == ([], 0)
    assert quiet(trouble.run())


@pytest.mark.parametrize("code", ["permission_denied", "credentials_rejected", "integration_user_is_administrator"])
def test_what_only_an_administrator_can_put_right_is_asked_once(trouble: Trouble, code: str) -> None:
    """The first record tells it, and no other is tried: one call for writing, one error, nothing to clear up later."""
    count = 5_000
    trouble.refuse(False)
    trouble.fill(count)

    def forbid(operation: str, table: str) -> None:
        if operation == "insert":
            raise SideFailed(Failure(code, {"table": table, "privilege": "INSERT"}, (table,)))

    trouble.stores[Side.INTEGRATION].before = forbid
    for _ in range(2):
        run = trouble.run()
        assert (run.status, run.code) == ("failed", code)
        assert [(error.code, error.source) for error in errors(run_id=run.id)] == [(code, None)]
        assert trouble.calls()["insert"] == 1
    assert (trouble.skips(None), Retry.select().count()) == ([], 0)
    assert len(groups(trouble)) == 1
    trouble.stores[Side.INTEGRATION].before = None
    run = trouble.run()
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": count, "inserted": count}})
    assert groups(trouble, "open") == []
