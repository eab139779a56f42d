"""Where a reading starts, for clocks and stamps of every kind."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.connectors.base import Clock
from service.connectors.memory import MemoryConnector
from service.core.records import Record, Selection, Stamp, stamp_of
from service.engine.window import MOST, SECOND, begin, counted, horizon_of, summed, tallied
from service.store.watermarks import Mark

ITEMS = Selection("item", "id", "modified_on", ())


def at(text: str) -> Stamp:
    return stamp_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


class Counting(MemoryConnector):
    """A source that holds a number of records in whatever part is counted."""

    def __init__(self, held: int = 0) -> None:
        super().__init__({"store": "window"}, {})
        self.held = held

    def count(self, *_: Any) -> int:
        return self.held


@pytest.mark.parametrize(
    ("last", "read_at", "since"),
    [
        ("2026-03-01T12:00:05.300", "2026-03-01T12:00:09", "2026-03-01T12:00:04"),
        ("2026-03-01T12:00:05.300", "2026-03-01T12:00:05.310", "2026-03-01T12:00:04"),
        ("2026-03-01T12:00:05.300", "2026-03-01T11:20:00.5", "2026-03-01T11:19:59"),  # A transaction is open.
        ("2026-03-01T12:00:05", "2026-03-01T12:00:05.5", "2026-03-01T12:00:04"),
        ("2026-03-01T12:07:00", "2026-03-01T12:07:00.5", "2026-03-01T12:06:00"),  # Perhaps stamps of whole minutes
        ("2026-03-01T12:07:00", "2026-03-01T12:07:30.5", "2026-03-01T12:06:00"),
        ("2026-03-01T09:00:00", "2026-03-01T09:40:00", "2026-03-01T08:00:00"),  # or hours
        ("2026-03-01", "2026-03-01T09:40:00", "2026-02-28"),  # or days.
        ("2026-03-01", "2026-02-28T23:59:59.9", "2026-02-28"),
    ],
)
def test_a_reading_starts_an_overlap_and_a_tick_behind(last: str, read_at: str, since: str) -> None:
    mark = Mark(at(last), "1", at(read_at))
    assert begin(Counting(), ITEMS, mark, mark.read_at) <= at(since)


@pytest.mark.parametrize(
    ("last", "read_at", "held", "since"),
    [
        ("2026-03-01T12:00:05", "2026-03-01T12:00:05.9", 500, "2026-03-01T12:00:04"),
        ("2026-03-01T12:00:05", "2026-03-01T12:00:06.9", 500, "2026-03-01T12:00:04"),
        ("2026-03-01T12:00:05", "2026-03-01T12:00:07", 500, "2026-03-01T12:00:06"),
        ("2026-03-01T12:00:05", "2026-03-01T12:00:07", 501, "2026-03-01T12:00:04"),  # One more than there was.
        ("2026-03-01", "2026-03-01T23:59:59", 500, "2026-02-28"),  # The day is not over.
        ("2026-03-01", "2026-03-02T00:00:00.5", 500, "2026-02-28"),
        ("2026-03-01", "2026-03-02T00:00:01", 500, "2026-03-02"),
    ],
)
def test_a_large_part_that_is_closed_is_counted(last: str, read_at: str, held: int, since: str) -> None:
    mark = Mark(at(last), "1", at(read_at), {str(at(last) // SECOND): 500})
    assert begin(Counting(held), ITEMS, mark, mark.read_at) == at(since)


@given(
    since_then=st.integers(1, 7_200),
    back=st.integers(0, 7_200),
    answers=st.integers(0, 3),
    ahead=st.sampled_from([-5_000, 0, 90]),
)
def test_what_is_stamped_after_a_reading_is_never_before_its_horizon(
    since_then: int, back: int, answers: int, ahead: int
) -> None:
    """A source's clock is `ahead` of ours. It is set back at once after a reading; a record is stamped at once after
    that. Asking for the time takes `answers` seconds."""
    ours, elapsed = 1_000_000, since_then + 2 * answers
    read_at = (ours + ahead) * SECOND
    mark = Mark(read_at, "1", read_at, ahead=(ahead + answers) * SECOND)
    earliest = read_at - back * SECOND
    now = earliest + elapsed * SECOND
    found = horizon_of(mark, Clock(now, now), now - (ours + elapsed + answers) * SECOND)
    assert found is not None
    assert found <= earliest
    assert found >= earliest - 3 * answers * SECOND - (0 if back else answers * SECOND)


def test_a_clock_of_ours_that_is_behind_tells_nothing() -> None:
    mark = Mark(at("2026-03-01T12:00"), "1", at("2026-03-01T12:00"))
    behind = at("2026-03-01T11:30")
    assert horizon_of(mark, Clock(behind, behind), 0) is None
    later = at("2026-03-01T12:30")
    assert horizon_of(mark, Clock(later, later), 0) == mark.read_at


def test_seconds_are_counted_up_to_the_window_and_not_without_end() -> None:
    records = [Record(str(n), at("2026-03-01T12:00:00") + n * SECOND // 2, ()) for n in range(9)]
    assert list(counted({}, records, SECOND).values()) == [1, 2]
    hours = [Record(str(n), n * SECOND, ()) for n in range(86_400 - MOST - 1, 86_401)]
    assert counted({}, hours, SECOND) == {}


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
    st.sampled_from([SECOND, 5 * SECOND]),
)
def test_ranges_in_any_order_are_counted_as_one_reading_in_the_order_of_stamps(
    quarters: list[int], random: Any, parts: int, overlap: Stamp
) -> None:
    start = at("2026-03-01T12:00:00.1")
    records = [Record(str(n), start + quarter * SECOND // 4, ()) for n, quarter in enumerate(quarters)]
    in_order = sorted(records, key=lambda record: record.modified_on or 0)
    random.shuffle(records)
    found = []
    for part in range(parts):
        recent: dict[str, int] = {}
        last: Stamp | None = None
        own = records[part::parts]
        for page in (own[:3], own[3:]):
            last = max(
                (stamp for stamp in (last, *(one.modified_on for one in page)) if stamp is not None), default=None
            )
            recent = tallied(recent, page, last, overlap)
        found.append(recent)
    latest = in_order[-1].modified_on
    assert latest is not None
    assert summed(found, latest, overlap) == counted({}, in_order, overlap)


def test_what_cannot_be_kept_of_ranges_counts_as_not_counted() -> None:
    hours = [Record(str(n), n * SECOND, ()) for n in range(86_400 - MOST - 1, 86_401)]
    assert tallied({}, hours, hours[-1].modified_on, SECOND) == {}
    assert tallied({}, [Record("1", None, ())], None, SECOND) == {}
