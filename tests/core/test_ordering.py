"""The order of mappings that need each other, and which references are written later."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.ordering import Need, Ring, arrange

NEEDS = st.lists(st.builds(Need, st.integers(1, 6), st.integers(1, 6), st.integers(1, 50), st.booleans()), max_size=14)


def test_what_others_need_comes_first_and_the_first_made_where_nothing_decides() -> None:
    found = arrange([1, 2, 3, 4], [Need(1, 3), Need(3, 4, 7)])
    assert (found.mappings, found.deferred) == ((2, 4, 3, 1), frozenset())


def test_the_optional_reference_that_was_added_last_breaks_a_ring() -> None:
    ring = [Need(1, 2, 9, optional=True), Need(2, 1, 5, optional=True)]
    assert arrange([1, 2], ring).deferred == {9}
    assert arrange([1, 2], ring).mappings == (1, 2)
    assert arrange([1, 2], [Need(1, 2, 4, optional=True), Need(2, 1, 5, optional=True)]).mappings == (2, 1)


def test_a_reference_within_one_mapping_is_a_ring_by_itself() -> None:
    assert arrange([1], [Need(1, 1, 3, optional=True)]).deferred == {3}
    with pytest.raises(Ring) as ring:
        arrange([1], [Need(1, 1, 3)])
    assert ring.value.mappings == (1, 1)


def test_a_ring_without_an_optional_reference_is_named_in_the_order_of_needing() -> None:
    with pytest.raises(Ring) as ring:
        arrange([1, 2, 3], [Need(1, 2), Need(2, 3), Need(3, 1), Need(1, 3, 8, optional=True)])
    steps = set(pairwise(ring.value.mappings))
    assert steps == {(1, 2), (2, 3), (3, 1)}


def _assert_a_ring(needs: list[Need], ring: Ring) -> None:
    must = {(need.owner, need.other) for need in needs if not need.optional}
    assert ring.mappings[0] == ring.mappings[-1]
    assert all(step in must for step in pairwise(ring.mappings))


@given(NEEDS)
def test_every_need_that_is_not_deferred_is_kept(needs: list[Need]) -> None:
    ids = range(1, 7)
    needs = [Need(need.owner, need.other, number, need.optional) for number, need in enumerate(needs)]
    try:
        found = arrange(ids, needs)
    except Ring as ring:
        _assert_a_ring(needs, ring)
        return
    place = {id: at for at, id in enumerate(found.mappings)}
    assert sorted(place) == list(ids)
    for need in needs:
        assert need.line in found.deferred or place[need.other] < place[need.owner]
        assert need.optional or need.line not in found.deferred
    assert found == arrange(list(reversed(ids)), list(reversed(needs))), "whatever order they are told in"
