"""The field mappings in answers are kept as JSON, and are always those that are stored."""

from __future__ import annotations

from typing import Any

import pytest

from service.api import mapping_kept
from tests.api.world import MAPPING, World, make_app

FEWER = MAPPING["fieldMappings"][:2]


def shown(world: World) -> list[dict[str, Any]]:
    """The field mappings of mapping 1, which its list says as it does."""
    alone = world.get("/mappings/1")
    listed = [one for one in world.get("/mappings")["items"] if one["id"] == 1]
    assert listed == [alone]
    lines: list[dict[str, Any]] = alone["fieldMappings"]
    return lines


def change(world: World, changes: dict[str, Any], by: World | None = None) -> Any:
    tag = world.ask("GET", "/mappings/1").headers["ETag"]
    answer = (by or world).ask("PATCH", "/mappings/1", changes, If_Match=tag)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_change_is_seen_at_once(world: World) -> None:
    before = shown(world)
    after = change(world, {"fieldMappings": FEWER})
    assert shown(world) == after["fieldMappings"] != before
    assert len(shown(world)) == 2


def test_what_another_process_changes_is_seen_at_once(world: World) -> None:
    shown(world)
    other = World(world.folder, make_app())
    change(world, {"fieldMappings": FEWER}, by=other)
    assert [line["localField"] for line in shown(world)] == ["number", "name"]


def test_the_other_mapping_is_named_as_it_is_called_now(world: World) -> None:
    world.sql("accord", "UPDATE field_mappings SET reference_id = 1 WHERE local_field = 'city'")
    world.sql("accord", "UPDATE mappings SET version = version + 1")
    assert [line["reference"] for line in shown(world)] == [None, None, {"mapping": "customers"}, None]
    # Its own version is the same after the other one, here itself, got another name.
    world.sql("accord", "UPDATE mappings SET name = 'clients'")
    assert [line["reference"] for line in shown(world)] == [None, None, {"mapping": "clients"}, None]


def test_a_tag_changes_with_the_field_mappings(world: World) -> None:
    first = world.ask("GET", "/mappings/1").headers["ETag"]
    assert world.ask("GET", "/mappings/1", If_None_Match=first).status_code == 304
    world.sql("accord", "UPDATE mappings SET name = 'clients'")
    assert world.ask("GET", "/mappings/1", If_None_Match=first).status_code == 200


def test_no_more_is_kept_than_there_is_room_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping_kept, "MOST", 1)
    kept: mapping_kept.KeptLines = world.app.extensions[mapping_kept.KEPT]
    for number in range(4):
        world.sql("accord", "UPDATE mappings SET version = version + 1")
        assert len(shown(world)) == 4, number
        assert len(kept) <= 2
