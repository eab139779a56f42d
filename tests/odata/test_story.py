"""What Accord promises, told with an ERP on SQLite and a service in the shape of Dataverse or of Business Central."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from service.connectors.base import Result, Update
from service.connectors.odata import write
from service.connectors.odata.plan import Plan
from service.core.records import Side
from service.operations import checks, connections
from tests.cutting import wire_to
from tests.odata.servers import Counterpart, counterpart
from tests.odata.world import FIELDS, NAMES, USERS, ODataWorld, tables
from tests.setup_checks import assert_complete
from tests.world import World, errors, tally

pytestmark = pytest.mark.usefixtures("state")

SHAPES = ("dataverse", "businessCentral")


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Counterpart]]:
    with (
        counterpart("dataverse", tables("dataverse"), users=USERS, stampDigits=0) as dataverse,
        counterpart("businessCentral", tables("businessCentral"), users=USERS, stampDigits=3) as central,
    ):
        yield {"dataverse": dataverse, "businessCentral": central}


@pytest.fixture(params=SHAPES)
def world(request: pytest.FixtureRequest, services: dict[str, Counterpart], tmp_path: Path) -> ODataWorld:
    return ODataWorld(tmp_path, services[request.param])


def test_the_whole_story(world: ODataWorld) -> None:
    world.map_service()
    number, name, city, limit = FIELDS[world.service.shape]
    # New records travel both ways.
    ann = world.add("local", number="10000", name="Ærlig Ås & Co", city="Oslo", credit_limit=1500.25)
    bob = world.add_remote(**{number: "20000", name: "Bob's", city: "Bergen", limit: "99.9"})
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration")["inserted"] == tally(run, "fromIntegration")["inserted"] == 1
    remote = world.remote()
    assert {row["number"]: row["name"] for row in world.all("local")} == {"10000": "Ærlig Ås & Co", "20000": "Bob's"}
    assert (remote["10000"][name], remote["10000"][limit]) == ("Ærlig Ås & Co", "1500.25")
    # A second run has nothing to do.
    world.service.requests()
    run = world.run()
    assert {**tally(run, "toIntegration"), **tally(run, "fromIntegration")}.keys() <= {"read", "unchanged"}
    assert all(method == "GET" for method, _, _ in world.service.requests())
    # One field is edited on one side, another on the other.
    ann_key = world.partner("local", ann)
    assert ann_key is not None
    world.edit("local", ann, city="Trondheim")
    world.edit_remote(bob, **{name: "Bob & Sons"})
    assert world.run().status == "succeeded"
    assert world.remote()["10000"][city] == "Trondheim"
    assert {row["name"] for row in world.all("local")} == {"Ærlig Ås & Co", "Bob & Sons"}
    # Both sides edit one field: nobody's edit is overwritten, a person decides.
    world.edit("local", ann, name="Ann by the ERP")
    world.edit_remote(ann_key, **{name: "Ann by the CRM"})
    run = world.run()
    assert run.status == "completedWithErrors"
    assert [error.code for error in errors(status="open")] == ["destination_modified_later"]
    assert world.remote()["10000"][name] == "Ann by the CRM"
    [skipped] = world.skips()
    assert world.resolve(skipped, "keepIntegration").status == "succeeded"
    assert world.get("local", ann)["name"] == "Ann by the CRM"  # type: ignore[index]
    # A deletion travels, when the mapping says so.
    world.change_mapping(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    world.delete("local", ann)
    assert world.run("findDeleted").status == "succeeded"
    assert set(world.remote()) == {"20000"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_user_who_may_only_read(services: dict[str, Counterpart], tmp_path: Path, shape: str) -> None:
    world = ODataWorld(tmp_path, services[shape], user="reader")
    world.map_service()
    for row in range(30):
        world.add("local", number=f"N{row}", name="n", city="Oslo")
    run = world.run()
    assert (run.status, run.code) == ("failed", "permission_denied")
    [error] = errors(run_id=run.id)
    assert (error.code, error.responsibility) == ("permission_denied", "administrator")
    assert world.remote() == {}
    assert world.skips() == []


def test_edits_between_reading_and_writing_are_not_overwritten(
    world: ODataWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody edits a record after it was read and before it is written: 412 in one application, 409 in the other."""
    world.map_service()
    ann = world.add("local", number="1", name="Ann", city="Oslo")
    world.run()
    key = world.partner("local", ann)
    assert key is not None
    _, name, city, _ = FIELDS[world.service.shape]
    world.edit("local", ann, city="Bergen")
    original = write.update
    asked: list[int] = []

    def update(plan: Plan, items: Sequence[Update]) -> list[Result]:
        if not asked:
            world.edit_remote(key, **{name: "Anna"})
        asked.append(len(items))
        return original(plan, items)

    monkeypatch.setattr(write, "update", update)
    run = world.run()
    assert run.status == "completedWithErrors"
    assert (world.remote()["1"][name], world.remote()["1"][city]) == ("Anna", "Oslo")
    assert [one.reason for one in world.skips()] == ["conflict"]


def read_three_thousand(world: ODataWorld) -> None:
    """Three pages of a thousand take three requests; the others are as many, however many records there are."""
    number, name, _, _ = FIELDS[world.service.shape]
    world.map_service()
    first = 1_700_000_000_000_000
    key = "{:08x}-0000-4000-8000-000000000000"
    rows = [[key.format(n), first + n * 1000, {number: f"N{n:05}", name: "n"}] for n in range(3000)]
    world.service.control("put", table=world.table, rows=rows)
    world.service.requests()
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 3000, "inserted": 3000}
    asked = world.service.requests()
    pages = [target for _, target, _ in asked if f"/{world.table}?" in target and "$count=true" not in target]
    rest = [target for _, target, _ in asked if target not in pages]
    assert len(pages) == 3
    assert len(rest) <= 6  # Metadata, the company, the clock, a count.


def test_three_thousand_records_take_one_request_a_page_and_one_for_1000_partners(
    services: dict[str, Counterpart], tmp_path: Path
) -> None:
    world = ODataWorld(tmp_path, services["dataverse"])
    read_three_thousand(world)
    # Each is edited in the ERP: one request reads 1,000 partners, 53 a question, and a batch writes a hundred.
    world.sql("local", "UPDATE customer SET city = 'Oslo'")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 3000, "modified": 3000}
    asked = world.service.requests()
    batches = [parts for method, target, parts in asked if target == "/$batch"]
    assert sorted(batches) == [19] * 3 + [100] * 30


def test_three_thousand_records_of_a_company_take_one_request_a_page(
    services: dict[str, Counterpart], tmp_path: Path
) -> None:
    read_three_thousand(ODataWorld(tmp_path, services["businessCentral"]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("user", ["accord", "reader", "boss", "nobody"])
def test_setup_checks(services: dict[str, Counterpart], tmp_path: Path, shape: str, user: str) -> None:
    world = ODataWorld(tmp_path, services[shape], user=user)
    if user != "nobody":
        world.map_service()
    world.add_remote(**{FIELDS[shape][0]: "1", FIELDS[shape][1]: "n"})
    status, found = checks.check(world.context, world.connection_ids[Side.INTEGRATION])
    table = NAMES[shape][0]
    told = {(one.code, one.params.get("table")): one.status for one in found}
    assert told[("reachable", None)] == "pass"
    if user == "nobody":
        assert (status, told[("credentials", None)]) == ("fail", "fail")
        return
    assert told[("credentials", None)] == told[("clock_distance", None)] == "pass"
    assert told[("read_access", table)] == told[("conditional_updates", table)] == "pass"
    assert told[("exchange_rates", None)] == "unknown"
    assert told[("password_change", None)] == "pass"
    why = {one.code: one.params["why"] for one in found if one.status == "unknown"}
    assert why["exchange_rates"] == "no_currency_mapped"
    unknown = {"dataverse": set(), "businessCentral": {"user_is_administrator", "write_access", "rate_limits"}}
    assert_complete(found, {"exchange_rates"} | unknown[shape])
    if shape == "dataverse":
        assert told[("user_is_administrator", None)] == ("warn" if user == "boss" else "pass")
        assert told[("modified_on_precision", table)] == "warn"
        assert told[("write_access", table)] == ("warn" if user == "reader" else "pass")
        assert told[("rate_limits", None)] == "pass"
    else:
        assert told[("user_is_administrator", None)] == "unknown"
        assert told[("company", None)] == "pass"


def test_a_bulk_call_whose_answer_is_lost_doubles_nothing(tmp_path: Path) -> None:
    """Dataverse has made the records, and nobody heard of it."""
    hands = {name: {"type": "Guid", "computed": True} for name in ("_createdby_value", "_modifiedby_value")}
    described = tables("dataverse")
    described["accounts"]["fields"] |= hands
    with counterpart("dataverse", described, users=USERS, stampDigits=0) as service, wire_to(service.port) as wire:
        world = ODataWorld(tmp_path, service, port=wire.port)
        world.map_service()
        for row in range(20):
            world.add("local", number=f"N{row}", name=f"n{row}")
        wire.cut_after(b".CreateMultiple")
        run = world.run()
        assert (wire.cuts, run.status) == (1, "succeeded")
        assert len(service.control("all", table="accounts")) == 20
        service.requests()
        assert world.run("full").status == "succeeded"
        assert not [target for method, target, _ in service.requests() if method == "POST" and "Multiple" in target]
        assert len(service.control("all", table="accounts")) == 20


def test_records_whose_keys_have_two_parts(tmp_path: Path) -> None:
    """An order's lines: made, edited on both sides and deleted by a key of an order and a number."""
    fields = {
        "order": {"type": "String", "length": 10, "nullable": False},
        "line": {"type": "Int32", "nullable": False},
        "text": {"type": "String", "length": 50},
        "changed": {"type": "DateTimeOffset", "precision": 6, "computed": True},
    }
    lines = {"lines": {"type": "Line", "key": ["order", "line"], "stamp": "changed", "fields": fields}}
    with counterpart("odata", lines) as service:
        world = World(tmp_path)
        world.connection_ids[Side.INTEGRATION] = connections.create(
            world.context, name="orders", kind="odata", settings={"url": service.url}, credentials=None, enabled=True,
            actor="test",
        ).id  # fmt: skip
        named = {"number": "order", "blocked": "line", "name": "text"}
        world.map(
            [
                {"local_field": own, "integration_field": other, "match_key": 1 if own != "name" else None}
                for own, other in named.items()
            ],
            integration={"table": "lines", "modified_on": "changed"},
            deletion_conflict_resolution="deletePartner",
            max_delete_percent=100,
        )
        service.control("put", table="lines", rows=[[["A", 2], None, {"text": "theirs"}]])
        ours = world.add("local", number="A", blocked="10", name="ours")
        run = world.run()
        assert (run.status, errors()) == ("succeeded", [])
        assert world.partner("local", ours) == "A,10"
        assert {(row["number"], row["blocked"], row["name"]) for row in world.all("local")} == {
            ("A", "2", "theirs"),
            ("A", "10", "ours"),
        }
        world.edit("local", ours, name="ours, edited")
        service.control("put", table="lines", rows=[[["A", 2], None, {"text": "theirs, edited"}]])
        assert world.run().status == "succeeded"
        assert {row["name"] for row in world.all("local")} == {"ours, edited", "theirs, edited"}
        assert {row["text"] for row in service.control("all", table="lines")} == {"ours, edited", "theirs, edited"}
        world.delete("local", ours)
        assert world.run("findDeleted").status == "succeeded"
        assert [(row["order"], row["line"]) for row in service.control("all", table="lines")] == [("A", 2)]
        service.requests()
        assert world.run().status == "succeeded"
        assert all(method == "GET" for method, _, _ in service.requests())
