"""Runs for several mappings: their order, what a second visit takes up, and that everything arrives in one go."""

import random
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.core.errors import Conflict, Invalid
from service.core.records import Side
from service.operations import execution, mappings, run_groups, runs
from service.store.database import database
from service.store.models import Retry, RunPredecessor, SyncRun
from service.worker import carry_out_next, run_until_idle
from tests.servers import PostgresServer
from tests.trade import Trade
from tests.world import errors, line, tally

ALL = ("currencies", "customers", "contacts", "orders", "lines")
WRITES = ("inserted", "modified", "deleted", "coupled")


@pytest.fixture
def trade(state: str, tmp_path: Path) -> Trade:
    return Trade(tmp_path)


def written(ended: list[SyncRun]) -> int:
    """How many records these runs wrote."""
    return sum(counts[outcome] for run in ended for counts in run.counts.values() for outcome in WRITES)


def names(trade: Trade, ended: list[SyncRun]) -> list[str]:
    """The mappings of the runs, in the order in which they began."""
    by_id = {id: name for name, id in trade.mapping_ids.items()}
    return [by_id[run.mapping_id] for run in sorted(ended, key=lambda run: (run.started_at or 0, run.id))]


# Everything arrives in one run of all


@pytest.fixture
def company(state: str, tmp_path: Path, postgres: PostgresServer) -> Iterator[Trade]:
    """An ERP on PostgreSQL and a CRM on SQLite."""
    name = f"erp_{uuid.uuid4().hex[:12]}"
    yield Trade(tmp_path, postgres.create_database(name))
    postgres.drop_database(name)


class Business:
    """People who enter customers, contacts and orders into one of the applications, with stamps in any order."""

    def __init__(self, trade: Trade, side: Side, chance: random.Random) -> None:
        self.trade, self.side, self.chance = trade, side, chance
        self.local = side is Side.LOCAL

    def _add(self, names: tuple[str, str], *columns: tuple[str, str, Any]) -> Any:
        values = {(local if self.local else integration): value for local, integration, value in columns}
        table = names[0] if self.local else names[1]
        if not self.local:
            values[INTEGRATION_KEYS[table]] = str(uuid.UUID(int=self.chance.getrandbits(128)))
        return self.trade.add(table, **values, modified_at=self._stamp())

    def _stamp(self) -> str:
        return f"2026-01-{self.chance.randint(1, 28):02} {self.chance.randint(0, 23):02}:00:00"

    def enter(self, number: int) -> None:
        """So many customers, each with what belongs to it, referring to each other and to the first currency."""
        euro = self._currency("EUR")
        customers, contacts = [], {}
        for each in range(number):
            name = f"{self.side}-{each}"
            columns = (("number", "accountnumber", name), ("name", "name", f"Customer {name}"))
            key = self._add(("customer", "account"), *columns)
            customers.append(key)
            for person in range(self.chance.randint(1, 2)):
                contacts[key] = self._contact(f"{name}-{person}", key)
            for order in range(self.chance.randint(0, 2)):
                self._order(f"{name}-{order}", key, euro, contacts[key])
        for key in customers:
            self._refer(key, self.chance.choice(customers), contacts[key])

    def _currency(self, code: str) -> Any:
        return self._add(("currency", "transactioncurrency"), ("code", "isocode", code))

    def _contact(self, name: str, customer: Any) -> Any:
        return self._add(
            ("contact", "crm_contact"),
            ("email", "emailaddress", f"{name}@example.com"),
            ("name", "fullname", f"Person {name}"),
            ("customer_id", "parentcustomerid", customer),
        )

    def _order(self, number: str, customer: Any, currency: Any, contact: Any) -> None:
        key = self._add(
            ("sales_order", "salesorder"),
            ("number", "ordernumber", number),
            ("customer_id", "customerid", customer),
            ("currency_id", "transactioncurrencyid", currency),
            ("contact_id", "contactid", self.chance.choice([contact, None])),
        )
        for place in range(self.chance.randint(1, 3)):
            self._add(
                ("sales_line", "salesorderdetail"),
                ("code", "productcode", f"{number}-{place}"),
                ("order_id", "salesorderid", key),
                ("amount", "baseamount", place + 0.5),
            )

    def _refer(self, customer: Any, parent: Any, contact: Any) -> None:
        fields = ("parent_id", "primary_contact_id") if self.local else ("parentaccountid", "primarycontactid")
        table = "customer" if self.local else "account"
        values = dict(zip(fields, (parent, contact), strict=True))
        self.trade.edit(table, customer, **values, modified_at=self._stamp())


INTEGRATION_KEYS = {
    "transactioncurrency": "currencyid",
    "account": "accountid",
    "crm_contact": "contactid",
    "salesorder": "salesorderid",
    "salesorderdetail": "detailid",
}


@pytest.mark.parametrize("seed", range(4))
def test_everything_arrives_in_one_run_of_all(company: Trade, seed: int) -> None:
    """Customers with parents and primary contacts, contacts, orders with lines and a currency that both have."""
    company.map(*ALL, cycle=True, conflict_detection=["record", "field"][seed % 2])
    chance = random.Random(seed)
    for side in Side:
        Business(company, side, chance).enter(12)
    ended = company.run_all()
    assert {run.status for run in ended} == {"succeeded"}
    local, integration = company.facts("local"), company.facts("integration")
    assert local == integration
    assert len(local["customers"]) == 24
    assert len(local["currencies"]) == 1, "the currency that both have is coupled, not doubled"
    assert (errors(), Retry.select().count()) == ([], 0)
    before = company.everything()
    again = company.run_all()
    assert (written(again), company.everything()) == (0, before), "a second run of all writes nothing"
    assert len(again) == len(ALL), "and nothing is visited twice"


@pytest.mark.parametrize("seed", range(2))
def test_records_that_arrive_while_all_is_running_wait_and_follow(company: Trade, seed: int) -> None:
    company.map(*ALL, cycle=True)
    chance = random.Random(seed)
    started = run_groups.start(company.context, run_groups.GroupRequest(), "test")
    batches = [side for side in Side for _ in range(2)]
    chance.shuffle(batches)
    number = 0
    while carry_out_next(company.context, "test:1:1", threading.Event()):
        if batches:
            number += 1
            side = batches.pop()
            Newcomer(company, side, chance, f"{number}").enter(3)
    assert run_groups.ended(started[0].id)
    last = company.run_all()
    assert {run.status for run in last} == {"succeeded"}
    assert company.facts("local") == company.facts("integration")
    assert (errors(status="open"), Retry.select().count()) == ([], 0)
    assert written(company.run_all()) == 0


class Newcomer(Business):
    """Somebody who enters more, with stamps of now, and with currencies of their own."""

    def __init__(self, trade: Trade, side: Side, chance: random.Random, name: str) -> None:
        super().__init__(trade, side, chance)
        self.name = name

    def _add(self, names: tuple[str, str], *columns: tuple[str, str, Any]) -> Any:
        named = [(local, other, f"{self.name}-{value}" if local in OWN else value) for local, other, value in columns]
        values = {(local if self.local else other): value for local, other, value in named}
        table = names[0] if self.local else names[1]
        if not self.local:
            values[INTEGRATION_KEYS[table]] = str(uuid.UUID(int=self.chance.getrandbits(128)))
        return self.trade.add(table, **values)

    def _currency(self, _code: str) -> Any:
        return super()._currency("C")

    def _refer(self, customer: Any, parent: Any, contact: Any) -> None:
        fields = ("parent_id", "primary_contact_id") if self.local else ("parentaccountid", "primarycontactid")
        values = dict(zip(fields, (parent, contact), strict=True))
        self.trade.edit("customer" if self.local else "account", customer, **values)


OWN = ("number", "email", "code")


# The order


def test_runs_begin_in_the_order_of_needs_and_not_in_that_of_their_making(trade: Trade) -> None:
    trade.map("currencies", "customers")
    lines = [
        line(local_field="email", integration_field="emailaddress"),
        line(local_field="name", integration_field="fullname"),
    ]
    whole = trade.document("contacts")["field_mappings"]
    trade.mapping_ids["contacts"] = mappings.create(
        trade.context, trade.document("contacts", field_mappings=lines, synch_only_coupled_records=True), "test"
    )["id"]
    trade.map("orders")
    ids = trade.mapping_ids
    mappings.change(trade.context, ids["currencies"], {"depends_on": [ids["contacts"]]}, None, "test")
    mappings.change(trade.context, ids["contacts"], {"field_mappings": whole}, None, "test")
    assert names(trade, trade.run_all()) == ["customers", "contacts", "currencies", "orders"]
    some = trade.run_all([ids["orders"], ids["customers"]])
    assert names(trade, some) == ["customers", "orders"]
    assert RunPredecessor.select().where(RunPredecessor.run_id == some[1].id).count() == 1


def test_a_run_is_not_taken_before_those_it_comes_after_have_ended(trade: Trade) -> None:
    trade.map("customers", "contacts")
    first, second = run_groups.start(trade.context, run_groups.GroupRequest(), "test")
    lease = execution.claim(trade.context, "one")
    assert lease is not None
    assert lease.run_id == first.id
    assert execution.claim(trade.context, "two") is None, "the other waits in the queue"
    execution.carry_out(trade.context, lease, lambda: None, lambda _: None)
    other = execution.claim(trade.context, "two")
    assert other is not None
    assert other.run_id == second.id


def test_what_comes_after_a_failed_run_is_carried_out_and_waits_by_itself(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    trade.sql("integration", "ALTER TABLE account RENAME TO elsewhere")
    ended = trade.run_all()
    assert [run.status for run in ended] == ["failed", "completedWithErrors"]
    assert tally(ended[1], "toIntegration") == {"read": 1, "failed": 1}
    trade.sql("integration", "ALTER TABLE elsewhere RENAME TO account")
    assert {run.status for run in trade.run_all()} == {"succeeded"}
    assert errors(status="open") == []


def test_a_run_that_is_queued_already_becomes_one_of_them(trade: Trade) -> None:
    trade.map("customers", "contacts")
    queued = runs.start(trade.context, runs.RunRequest(trade.mapping_ids["customers"]), "test")
    first, second = run_groups.start(trade.context, run_groups.GroupRequest(), "test")
    assert first.id == queued.id
    assert first.group_id == second.group_id == queued.id
    again = run_groups.start(trade.context, run_groups.GroupRequest(), "test")
    assert [run.id for run in again] == [first.id, second.id]
    run_until_idle(trade.context)
    assert SyncRun.select().count() == 2


def test_a_second_visit_is_a_run_of_the_same_group(trade: Trade) -> None:
    trade.map("customers", "contacts", cycle=True)
    bolt = trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.edit("customer", bolt, primary_contact_id=ann)
    ended = trade.run_all()
    assert names(trade, ended) == ["customers", "contacts", "customers"]
    assert tally(ended[2], "toIntegration") == {"read": 1, "modified": 1}
    assert trade.one("account", "primarycontactid", accountnumber="1") == trade.partner("contacts", ann)


def test_a_worker_that_dies_between_two_visits_loses_nothing(trade: Trade) -> None:
    trade.map("customers", "contacts", cycle=True)
    bolt = trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.edit("customer", bolt, primary_contact_id=ann)
    started = run_groups.start(trade.context, run_groups.GroupRequest(), "test")
    assert carry_out_next(trade.context, "dead:1:1", threading.Event())
    lease = execution.claim(trade.context, "dead:1:1")
    assert lease is not None, "the second run was begun, and nobody works on it any more"
    database.execute_sql("UPDATE sync_runs SET lease_until = 0")
    run_until_idle(trade.context)
    assert run_groups.ended(started[0].id)
    assert trade.one("account", "primarycontactid", accountnumber="1") == trade.partner("contacts", ann)


# What can be asked for


def test_what_is_wrong_with_any_of_them_is_told_together(trade: Trade) -> None:
    trade.map("customers", "contacts")
    ids = trade.mapping_ids
    with pytest.raises(Invalid) as refused:
        trade.run_all([ids["customers"], 98, 99])
    assert [problem.pointer for problem in refused.value.problems] == ["/mappingIds/1", "/mappingIds/2"]
    with pytest.raises(Invalid):
        trade.run_all(kind="uncouple")
    mappings.change(trade.context, ids["contacts"], {"enabled": False}, None, "test")
    with pytest.raises(Conflict):
        trade.run_all([ids["contacts"]])
    assert names(trade, trade.run_all()) == ["customers"], "all are those that are enabled"


def test_a_dry_run_of_all_writes_nothing(trade: Trade) -> None:
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    before = trade.everything()
    ended = trade.run_all(dry_run=True)
    assert trade.everything() == before
    assert [tally(run, "toIntegration") for run in ended] == [{"read": 1, "inserted": 1}, {"read": 1, "failed": 1}]
    assert (errors(), Retry.select().count()) == ([], 0)
