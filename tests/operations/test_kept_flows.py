"""Flows that rest between runs are those of the mapping as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.flow import flows
from service.core.mapping import FieldMapping, MappedSide, SyncMapping
from service.core.records import Direction, Field, FieldType, Selection
from service.operations import kept_flows
from service.operations.kept_flows import Flows, KeptFlows

NAME = Field("name", FieldType.STRING)
SIDE = MappedSide(1, Selection("item", "id", "at", ("name",)), "Item", {"name": NAME}, False)
MAPPING = SyncMapping(
    1, "items", Direction.BIDIRECTIONAL, SIDE, SIDE, (FieldMapping(1, "name", "name", Direction.BIDIRECTIONAL),)
)


def borrow(kept: KeptFlows, mapping: SyncMapping = MAPPING, version: int = 1) -> Flows:
    with kept.borrowed(version, mapping, flows) as found:
        return found


def test_the_same_mapping_gets_what_rested() -> None:
    kept = KeptFlows()
    first = borrow(kept)
    assert borrow(kept) is first
    assert borrow(kept, replace(MAPPING)) is first


@pytest.mark.parametrize(
    "changed",
    [
        replace(MAPPING, name="others"),
        replace(MAPPING, local=replace(SIDE, fields={"name": replace(NAME, length=5)})),
        replace(MAPPING, field_mappings=(replace(MAPPING.field_mappings[0], transforms={}, not_null=True),)),
    ],
)
def test_a_mapping_or_a_table_that_has_changed_is_prepared_anew(changed: SyncMapping) -> None:
    kept = KeptFlows()
    first = borrow(kept)
    assert borrow(kept, changed) is not first


def test_a_new_version_is_prepared_anew_even_if_it_looks_the_same() -> None:
    """1 and true are equal, and not the same constant."""
    kept = KeptFlows()
    line = replace(MAPPING.field_mappings[0], local_field=None, direction=Direction.TO_INTEGRATION, constant=1)
    number, truth = (replace(MAPPING, field_mappings=(replace(line, constant=value),)) for value in (1, True))
    first = borrow(kept, number, 1)
    assert number == truth
    assert borrow(kept, truth, 2) is not first


def test_each_is_lent_to_one_at_a_time() -> None:
    kept = KeptFlows()
    with kept.borrowed(1, MAPPING, flows) as first, kept.borrowed(1, MAPPING, flows) as beside:
        assert beside is not first


def test_what_was_in_use_when_something_went_wrong_is_not_used_again() -> None:
    kept = KeptFlows()
    with pytest.raises(ValueError, match="wrong"), kept.borrowed(1, MAPPING, flows) as first:
        raise ValueError("wrong")
    assert borrow(kept) is not first


def test_no_more_than_some_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_flows, "MOST", 2)
    kept = KeptFlows()
    for id in range(5):
        borrow(kept, replace(MAPPING, id=id))
    assert len(kept._resting) <= 2
