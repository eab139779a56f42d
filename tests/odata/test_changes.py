"""Delta links at work: ordinary runs meet deletions and late records of a service, whatever becomes of the link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.connectors.kit import T0, keys_of, read_all
from service.connectors.odata import DataverseConnector, ODataConnector, changes
from service.core.records import Selection, Side
from service.operations import connections
from service.store import feeds
from service.store.database import connection, migrate, open_database
from tests.odata.servers import Counterpart, contract_tables, counterpart
from tests.odata.world import FIELDS, USERS, ODataWorld, tables
from tests.world import tally

NUMBER, NAME, CITY, _ = FIELDS["dataverse"]


@pytest.fixture(scope="module")
def dataverse() -> Iterator[Counterpart]:
    tracked = {name: {**table, "tracked": True} for name, table in tables("dataverse").items()}
    with counterpart("dataverse", tracked, users=USERS, stampDigits=0) as running:
        yield running


@pytest.fixture
def world(dataverse: Counterpart, tmp_path: Path) -> Iterator[ODataWorld]:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with connection():
        made = ODataWorld(tmp_path, dataverse)
        made.map_service(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
        yield made
    database.close()


def paired(world: ODataWorld, many: int) -> list[tuple[str, str]]:
    keys = [world.add("local", number=str(number), name="n", city="Oslo") for number in range(many)]
    world.run()
    return [(key, world.partner("local", key) or "") for key in keys]


def test_a_deletion_in_the_service_travels_with_the_next_run(world: ODataWorld) -> None:
    pairs = paired(world, 4)
    world.delete_remote(pairs[0][1])
    world.edit_remote(pairs[1][1], **{NAME: "edited"})
    world.service.requests()
    run = world.run()
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 1, "deleted": 1})
    assert tally(run, "fromIntegration") == {"read": 1, "modified": 1}
    assert {row["number"]: row["name"] for row in world.all("local")} == {"1": "edited", "2": "n", "3": "n"}
    # One request asks whether the link is good, and one follows it.
    links = [target for _, target, _ in world.service.requests() if "$deltatoken" in target]
    assert len(links) == 2


def test_a_record_that_shows_late_is_found(world: ODataWorld) -> None:
    pairs = paired(world, 2)
    row = [pairs[0][1], T0 // 2, {CITY: "Bergen"}]
    world.service.control("put", table=world.table, rows=[row])
    assert tally(world.run(), "fromIntegration") == {"read": 1, "modified": 1}
    assert (world.get("local", pairs[0][0]) or {})["city"] == "Bergen"


def test_a_link_that_has_expired_costs_a_comparison_and_loses_nothing(world: ODataWorld) -> None:
    pairs = paired(world, 4)
    world.delete_remote(pairs[0][1])
    row = [pairs[1][1], T0 // 2, {CITY: "Bergen"}]
    world.service.control("put", table=world.table, rows=[row])
    world.service.control("expire")
    before = feeds.get(world.mapping_id, Side.INTEGRATION)
    assert world.run().status == "succeeded"
    assert {row["number"]: row["city"] for row in world.all("local")} == {"1": "Bergen", "2": "Oslo", "3": "Oslo"}
    assert feeds.get(world.mapping_id, Side.INTEGRATION) not in (None, before)
    world.delete_remote(pairs[2][1])
    world.run()
    assert len(world.all("local")) == 2


def test_a_service_that_moved_is_compared_too(world: ODataWorld) -> None:
    pairs = paired(world, 3)
    world.delete_remote(pairs[0][1])
    id = world.connection_ids[Side.INTEGRATION]
    url = world.service.url.replace("127.0.0.1", "localhost")
    connections.change(world.context, id, {"settings": {"url": url, "auth": "basic"}}, None, "test")
    assert world.run().status == "succeeded"
    assert len(world.all("local")) == 2


def test_feeds_that_are_switched_off_are_not_asked_for(world: ODataWorld) -> None:
    id = world.connection_ids[Side.INTEGRATION]
    settings = {"url": world.service.url, "auth": "basic", "deltaLinks": "off"}
    connections.change(world.context, id, {"settings": settings}, None, "test")
    paired(world, 2)
    world.service.requests()
    world.run()
    assert not [target for _, target, _ in world.service.requests() if "$deltatoken" in target]
    assert feeds.get(world.mapping_id, Side.INTEGRATION) is None


@pytest.mark.parametrize(("shape", "kind"), [("dataverse", DataverseConnector), ("odata", ODataConnector)])
def test_the_list_of_everything_comes_in_parts(
    shape: str, kind: type[ODataConnector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PART", 10)
    key = {"type": "Guid", "nullable": False}
    with counterpart(shape, contract_tables("id", key, "modified_at", 3)) as service:
        rows = [[f"{n:08x}-0000-4000-8000-000000000000", T0 + n * 1_000, {"name": "n"}] for n in range(25)]
        service.control("put", table="customer", rows=rows)
        connector = kind({"url": service.url}, {})
        selection = Selection("customer", "id", "modified_at", ("name",))
        listed: list[str] = []
        token, parts, more = None, 0, True
        while more:
            part = connector.changes(selection, token)
            assert part is not None
            listed += [one for one, _ in part.changed]
            token, more, parts = part.token, part.more, parts + 1
        assert (sorted(listed), parts) == (sorted(keys_of(read_all(connector, selection))), 3)
        connector.close()


def test_where_changes_are_not_tracked_nothing_is_told() -> None:
    described = contract_tables("id", {"type": "Guid", "nullable": False}, "modified_at", 3)
    described["customer"]["tracked"] = False
    with counterpart("odata", described) as service:
        for name in described:
            connector = ODataConnector({"url": service.url}, {})
            assert not connector.describe(name).tells_changes
            assert connector.changes(Selection(name, "id", "modified_at", ("name",)), None) is None
            connector.close()
