"""Connectors with one fault each, put to the kit. Run by test_wrong_connectors.py, which wants every one refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from service.connectors.base import Changes, Deletion, Insert, Result, Update
from service.connectors.kit import CUSTOMER, FIELDS, ConnectorContract, Following, Traits
from service.connectors.memory import STORES, MemoryConnector, open_store
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table
from tests.connectors.memory_application import MemoryApplication

_SECOND: Stamp = 1_000_000


class SkipsEqualStamps(MemoryConnector):
    """The cursor is a stamp without a key: what shares the last stamp of a page is lost."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        page = super().read(selection, since, cursor, limit)
        stamp = page.records[-1].modified_on if page.cursor else None
        return page if stamp is None else replace(page, cursor=f"1:{stamp}:\uffff")


class RepeatsTheLastRow(MemoryConnector):
    """The next page begins with the row that ended the one before."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        page = super().read(selection, since, cursor, limit)
        return page if page.cursor is None or limit == 1 else replace(page, cursor=page.cursor[:-1])


class NeverEnds(MemoryConnector):
    """The cursor stays where it is."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        page = super().read(selection, since, cursor, limit)
        return page if page.cursor is None or cursor is None else replace(page, cursor=cursor)


class PagesByOffset(MemoryConnector):
    """The cursor counts rows, and rows move."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        start = int(cursor or 0)
        records = super().read(selection, since, None, start + limit + 1).records
        more = len(records) > start + limit
        return Page(records[start : start + limit], str(start + limit) if more else None)


class SinceIsExclusive(MemoryConnector):
    """Reads what is later than the moment, not what is of it."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        return super().read(selection, None if since is None else since + 1, cursor, limit)


class CutsStamps(MemoryConnector):
    """Stamps lose their fraction of a second on the way."""

    def _stamp_of(self, *args: Any) -> Stamp | None:
        stamp = super()._stamp_of(*args)
        return None if stamp is None else stamp - stamp % _SECOND


class ForgetsRowsWithoutStamp(MemoryConnector):
    """A reading since a moment leaves out what has no stamp."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        page = super().read(selection, since, cursor, limit)
        kept = [record for record in page.records if since is None or record.modified_on is not None]
        return replace(page, records=kept)


class ReadsBoundsTwice(MemoryConnector):
    """The record at a bound is in both of its ranges."""

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        before = super().read_range(selection, None, after, 10_000).records[-1:] if after is not None else []
        page = super().read_range(selection, after, upto, limit)
        return replace(page, records=[*before, *page.records][:limit])


class RangesEndWithTheirPage(MemoryConnector):
    """A range ends with its first page."""

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        return replace(super().read_range(selection, after, upto, limit), cursor=None)


class RangesIgnoreTheFilter(MemoryConnector):
    """A range holds records outside the filter."""

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        return super().read_range(replace(selection, filter=()), after, upto, limit)


class FetchesOutsideTheFilter(MemoryConnector):
    """`filtered` makes no difference."""

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        return super().fetch(selection, keys, filtered=False)


class FetchesInsideTheFilterOnly(MemoryConnector):
    """A record that left the filter looks deleted."""

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        return super().fetch(selection, keys, filtered=True)


class FindsOutsideTheFilter(MemoryConnector):
    """Finding forgets the filter."""

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        return super().find(replace(selection, filter=()), fields, wanted)


class FindsEachFieldByItself(MemoryConnector):
    """Of two wanted pairs it knows only the first."""

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        return super().find(selection, fields, list(wanted)[:1])


class CountsWithoutTheEnd(MemoryConnector):
    """Leaves out what has the last stamp."""

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int:
        return super().count(selection, since, until - 1)


class IgnoresTheGuard(MemoryConnector):
    """Overwrites and deletes what has moved."""

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        return super().update(selection, [replace(item, guarded=False) for item in items])

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        return super().delete(selection, [replace(item, guarded=False) for item in items])


class GuardsByStampAlone(MemoryConnector):
    """An edit within the same tick of the clock is overwritten."""

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        now = self.fetch(selection, [item.record.key for item in items], filtered=False)
        return super().update(selection, [self._eased(item, now) for item in items])

    def _eased(self, item: Update, now: Mapping[str, Record]) -> Update:
        there = now.get(item.record.key)
        same = there is not None and there.modified_on == item.record.modified_on
        return replace(item, guarded=item.guarded and not same)


class DeletesTheMoved(MemoryConnector):
    """Guards updates and not deletions."""

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        return super().delete(selection, [replace(item, guarded=False) for item in items])


class AnswersOutOfOrder(MemoryConnector):
    """Puts the results of what was refused at the end."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        return sorted(super().insert(selection, items), key=lambda result: isinstance(result, Failure))

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        return sorted(super().update(selection, items), key=lambda result: isinstance(result, Failure))


class SwallowsFailures(MemoryConnector):
    """Has no result for what was refused."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        return [result for result in super().insert(selection, items) if isinstance(result, Record)]


class RaisesForOneRecord(MemoryConnector):
    """One bad record fails the side."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        results = super().insert(selection, items)
        for result in results:
            if isinstance(result, Failure):
                raise SideFailed(result)
        return results


class AllOrNothing(MemoryConnector):
    """Refuses every record of a call because of one."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        results = super().insert(selection, items)
        bad = next((result for result in results if isinstance(result, Failure)), None)
        if bad is None:
            return results
        written = [result for result in results if isinstance(result, Record)]
        self.delete(selection, [Deletion(record, guarded=False) for record in written])
        return [bad] * len(items)


class AnswersWhatWasSent(MemoryConnector):
    """Does not look what became of a write."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        results = super().insert(selection, items)
        return [_as_sent(selection, result, item.values) for result, item in zip(results, items, strict=True)]

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        results = super().update(selection, items)
        return [_as_sent(selection, result, item.values) for result, item in zip(results, items, strict=True)]


def _as_sent(selection: Selection, result: Result, sent: Mapping[str, Scalar]) -> Result:
    if isinstance(result, Failure):
        return result
    pairs = zip(selection.fields, result.values, strict=True)
    return replace(result, values=tuple(sent.get(name, value) for name, value in pairs))


class WritesWholeRecords(MemoryConnector):
    """Empties the fields that an update does not name."""

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        table = self.describe(selection.table)
        empty = {
            name: None
            for name, field in table.fields.items()
            if field.nullable and not field.read_only and name not in (table.key, table.modified_on)
        }
        return super().update(selection, [replace(item, values={**empty, **item.values}) for item in items])


class CreatesWhatIsGone(MemoryConnector):
    """An update of a deleted record brings it back."""

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        results = []
        for item, result in zip(items, super().update(selection, items), strict=True):
            if isinstance(result, Failure) and result.code == "partner_deleted":
                [result] = self.insert(selection, [Insert(item.values, key=item.record.key)])
            results.append(result)
        return results


class MakesItsOwnKeys(MemoryConnector):
    """Says that it takes keys, and stores records under others."""

    accepts_keys: ClassVar[bool] = True

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        return super().insert(
            selection, [item if item.key is None else replace(item, key=f"own-{item.key}") for item in items]
        )


class WritesKeysDifferently(MemoryConnector):
    """A reading shows keys in capitals."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        page = super().read(selection, since, cursor, limit)
        return replace(page, records=[replace(record, key=record.key.upper()) for record in page.records])


class GivesNativeValues(MemoryConnector):
    """Decimals are floats, as the driver had them."""

    def _record(self, *args: Any) -> Record:
        record = super()._record(*args)
        return replace(record, values=tuple(_native(value) for value in record.values))


def _native(value: Scalar) -> Scalar:
    return float(value) if isinstance(value, str) and value.replace(".", "", 1).isdecimal() else value


class CutsTexts(MemoryConnector):
    """Makes a text fit its field."""

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        return super().insert(selection, [replace(item, values=_cut(item.values)) for item in items])


def _cut(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: value[:255] if isinstance(value, str) else value for name, value in values.items()}


class NamesNothing(MemoryConnector):
    """What is missing fails as something unexpected."""

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        try:
            return super().read(selection, since, cursor, limit)
        except SideFailed:
            raise SideFailed(Failure("internal_error")) from None


class AsksNobody(MemoryConnector):
    """It writes whether it may or not."""

    def permit(self) -> None:
        """Nobody is asked."""


class TellsNoDeletions(MemoryConnector):
    """Its feed knows only of records that are there."""

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        part = super().changes(selection, token)
        return None if part is None else replace(part, deleted=())


class TellsEachChangeOnce(MemoryConnector):
    """A token is used up: whoever asks again is told nothing."""

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        table = self._store.tables[selection.table]
        part = super().changes(selection, token if token is None else str(max(int(token), table.last_key)))
        table.last_key = 0 if part is None else int(part.token)
        return part


class LosesTheLastChange(MemoryConnector):
    """The token goes further than what was told."""

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        part = super().changes(selection, token)
        return part if part is None or token is None or not part.more else replace(part, token=str(int(part.token) + 1))


class SaysNothingOfItsFeed(MemoryConnector):
    """It has a feed, and its description denies it."""

    def describe(self, table: str) -> Table:
        return replace(super().describe(table), tells_changes=False)


class PretendsToKnowEveryToken(MemoryConnector):
    """A token that is no good any more is taken for one of now: what happened in between is lost."""

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        return super().changes(selection, token) or super().changes(selection, None)


WRONG: Mapping[type[MemoryConnector], str] = {
    SkipsEqualStamps: "test_pages_hold_everything_once_in_order",
    RepeatsTheLastRow: "test_pages_hold_everything_once_in_order",
    NeverEnds: "test_pages_hold_everything_once_in_order",
    PagesByOffset: "test_rows_that_stay_are_read_once_while_others_change",
    SinceIsExclusive: "test_since_includes_its_own_moment",
    CutsStamps: "test_stamps_are_as_fine_as_the_application_keeps_them",
    ForgetsRowsWithoutStamp: "test_rows_without_a_stamp_come_first_whatever_since_says",
    ReadsBoundsTwice: "test_ranges_hold_every_record_once",
    RangesEndWithTheirPage: "test_ranges_hold_every_record_once",
    RangesIgnoreTheFilter: "test_a_range_stays_inside_the_filter",
    FetchesOutsideTheFilter: "test_records_are_fetched_by_key",
    FetchesInsideTheFilterOnly: "test_records_are_fetched_by_key",
    FindsOutsideTheFilter: "test_finding_stays_inside_the_filter",
    FindsEachFieldByItself: "test_records_are_found_by_value",
    CountsWithoutTheEnd: "test_counting_includes_both_ends",
    IgnoresTheGuard: "test_a_guarded_update_of_a_record_that_moved_is_refused",
    GuardsByStampAlone: "test_a_change_within_the_same_stamp_is_noticed",
    DeletesTheMoved: "test_delete",
    AnswersOutOfOrder: "test_one_bad_record_does_not_spoil_the_others",
    SwallowsFailures: "test_one_bad_record_does_not_spoil_the_others",
    RaisesForOneRecord: "test_one_bad_record_does_not_spoil_the_others",
    AllOrNothing: "test_one_bad_record_does_not_spoil_the_others",
    AnswersWhatWasSent: "test_an_answer_is_what_is_stored_not_what_was_sent",
    WritesWholeRecords: "test_update_writes_what_it_is_given_and_nothing_else",
    CreatesWhatIsGone: "test_an_unguarded_update_overwrites",
    MakesItsOwnKeys: "test_the_connector_says_whether_it_takes_keys",
    WritesKeysDifferently: "test_a_key_is_the_same_wherever_it_is_met",
    GivesNativeValues: "test_values_are_canonical",
    CutsTexts: "test_values_come_back_as_they_were_written",
    NamesNothing: "test_what_is_missing_is_named",
    AsksNobody: "test_what_is_not_permitted_any_more_is_not_written",
}
"""Each wrong connector, and the test of the kit that has to refuse it, whatever else does."""

WRONG_FEEDS: Mapping[type[MemoryConnector], str] = {
    TellsNoDeletions: "test_every_change_after_a_token_is_told",
    TellsEachChangeOnce: "test_every_change_after_a_token_is_told",
    LosesTheLastChange: "test_every_change_after_a_token_is_told",
    SaysNothingOfItsFeed: "test_a_table_says_whether_it_has_a_feed",
    PretendsToKnowEveryToken: "test_a_token_that_is_none_is_no_good",
}
"""The same for connectors with a feed that is wrong, which are put to the tests of feeds."""


DENIALS: Mapping[str, Mapping[str, Any]] = {
    **{word: {"fields": {name: field for name, field in CUSTOMER.items() if name != word}} for word in FIELDS[3:]},
    "empty": {"fields": {word: replace(field, nullable=False) for word, field in CUSTOMER.items()}},
    "required": {"fields": {**CUSTOMER, "name": replace(CUSTOMER["name"], required=False)}},
    "unique": {"unique": False},
    "once": {"unique": False, "chosen_keys": False},
    "numbered": {"numbered": None},
    "cuts": {"cuts": False},
    "changes": {"tells_changes": False},
}
"""Traits that deny what the application has, one thing each."""


class Put(ConnectorContract):
    """The kit, put to a connector."""

    traits = Traits(plenty=300, cuts=True)
    connector_class: ClassVar[type[MemoryConnector]] = MemoryConnector

    @pytest.fixture
    def app(self, request: pytest.FixtureRequest) -> Iterable[MemoryApplication]:
        name = request.node.nodeid
        yield MemoryApplication(open_store(name), name, self.connector_class)
        del STORES[name]


class PutToFeeds(Following):
    """The tests of feeds, put to a connector that has one."""

    traits = Traits(tells_changes=True, cuts=True)
    connector_class: ClassVar[type[MemoryConnector]] = MemoryConnector

    @pytest.fixture
    def app(self, request: pytest.FixtureRequest) -> Iterable[MemoryApplication]:
        name = request.node.nodeid
        yield MemoryApplication(open_store(name), name, self.connector_class, told=1)
        del STORES[name]


class PutToDenials(ConnectorContract):
    """What is said to be missing, of an application that has everything. The other tests are of no account here."""

    @pytest.fixture
    def app(self, request: pytest.FixtureRequest) -> Iterable[MemoryApplication]:
        name = request.node.nodeid
        yield MemoryApplication(open_store(name), name, told=1)
        del STORES[name]


_OTHERS = dict.fromkeys(name for name in dir(ConnectorContract) if name.startswith("test_"))
del _OTHERS["test_what_is_left_out"], _OTHERS["test_what_the_application_refuses"]

globals().update(
    {
        f"TestDenies_{lack}": type(
            f"TestDenies_{lack}",
            (PutToDenials,),
            {**_OTHERS, "traits": Traits(**{"cuts": True, "tells_changes": True, **said})},
        )
        for lack, said in DENIALS.items()
    }
)


class TestDeniesThatItTakes(PutToDenials):
    """A field that is said to be refused, and is not."""

    traits = Traits(cuts=True, tells_changes=True, refused=("grade",))


globals().update(
    {
        f"Test{wrong.__name__}": type(f"Test{wrong.__name__}", (PutToFeeds,), {"connector_class": wrong})
        for wrong in WRONG_FEEDS
    }
)
globals().update(
    {f"Test{wrong.__name__}": type(f"Test{wrong.__name__}", (Put,), {"connector_class": wrong}) for wrong in WRONG}
)
