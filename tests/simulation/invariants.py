"""What must hold when everything has come to rest: nobody is there twice, nothing that was typed is gone, couplings say
the truth, no intent is open, no watermark is beyond what was read, and a further run writes nothing."""

from __future__ import annotations

from typing import Any

from service.core.records import Side
from service.store.models import Coupling, Intent, RunRecord, SkippedRecord, Watermark
from tests.faults import Faults
from tests.simulation.applications import FIELDS, Applications, Typed, same


class Truth:
    """Looks at what became of everything that people typed."""

    def __init__(self, applications: Applications, mapping_id: int, faults: Faults) -> None:
        self._applications = applications
        self._mapping_id = mapping_id
        self._faults = faults

    # While it goes on

    def look(self) -> None:
        """Note what has travelled, after a run; nothing may have vanished by then."""
        self._watermarks()
        history = self._history()
        held = {side: self._applications.by_number(side) for side in Side}
        for (side, number, place), typed in list(self._applications.typed.items()):
            there = held[side.other].get(number, [])
            arrived = [values[FIELDS[side.other][place]] for _, values in there]
            arrived += [after for _, after, _ in history.get((side.other, number, FIELDS[side.other][place]), ())]
            typed.travelled |= any(same(value, typed.value) for value in arrived)
            here = held[side].get(number, [])
            if not here:
                assert self._deleted_by_run(side, number), f"{side} {number} is gone, and nobody deleted it"
                self._applications.forget(side, number)
            elif not any(same(values[FIELDS[side][place]], typed.value) for _, values in here):
                self._account_for(side, number, place, typed, history)

    def _account_for(self, side: Side, number: str, place: int, typed: Typed, history: dict[Any, Any]) -> None:
        """A value that is not there any more is in the history, and a policy or a person decided unless it had been
        on the other side, too."""
        entries = history.get((side, number, FIELDS[side][place]), ())
        rules = [rule for before, _, rule in entries if same(before, typed.value)]
        where = f"{typed.value!r} in {FIELDS[side][place]} of {side} {number}"
        assert rules, f"{where} is gone, and no history tells"
        assert typed.travelled or any(rules), f"{where} was overwritten unseen"
        del self._applications.typed[side, number, place]

    def _history(self) -> dict[tuple[Side, str, str], list[tuple[Any, Any, str]]]:
        """Every change that runs made: (side, number, field) to (before, after, rule)."""
        numbers = self._numbers()
        found: dict[tuple[Side, str, str], list[tuple[Any, Any, str]]] = {}
        for done in RunRecord.select():
            for change in done.fields or ():
                side = Side(change["side"])
                key = done.source_key if change["side"] == done.side else done.destination_key
                if (number := numbers.get((side, key))) is not None:
                    entry = (change["before"], change["after"], done.rule or "")
                    found.setdefault((side, number, change["field"]), []).append(entry)
        return found

    def _numbers(self) -> dict[tuple[Side, str], str]:
        return {
            (side, key): number
            for side in Side
            for number, records in self._applications.by_number(side).items()
            for key, _ in records
        }

    def _deleted_by_run(self, side: Side, number: str) -> bool:
        return bool(RunRecord.select().where((RunRecord.outcome == "deleted") & (RunRecord.side == side)).count())

    def _watermarks(self) -> None:
        """A watermark is the stamp of a record that was read, and no later than the horizon of that reading."""
        for mark in Watermark.select():
            read = [
                record.modified_on
                for name, operation, _, _, answer in self._faults.trace
                if (name, operation) == (mark.side, "read") and hasattr(answer, "records")
                for record in answer.records
            ]
            assert mark.modified_on in read, f"the watermark of {mark.side} is beyond what was read"

    # In the end

    def hold(self) -> None:
        self.look()
        assert Intent.select().count() == 0, "an intent is open"
        held = {side: self._applications.by_number(side) for side in Side}
        for side in Side:
            twice = {number: records for number, records in held[side].items() if len(records) > 1}
            assert not twice, f"twice on the {side} side: {twice}"
        aside = self._aside()
        self._couplings(held, aside)
        for number in {*held[Side.LOCAL], *held[Side.INTEGRATION]} - aside:
            self._in_step(number, held)

    def _couplings(self, held: dict[Side, dict[str, Any]], aside: set[str]) -> None:
        numbers = self._numbers()
        coupled = set()
        for one in Coupling.select():
            pair = [numbers.get((side, getattr(one, f"{side}_key"))) for side in Side]
            assert pair[0] == pair[1] or set(pair) & (aside | {None}), f"a coupling of {pair}"
            coupled.add(pair[0])
        there = set(held[Side.LOCAL]) & set(held[Side.INTEGRATION])
        assert there - aside <= coupled, f"not coupled: {there - aside - coupled}"

    def _in_step(self, number: str, held: dict[Side, dict[str, Any]]) -> None:
        for side in Side:
            assert number in held[side], f"{number} is missing on the {side} side"
        (here,), (there,) = (held[side][number] for side in Side)
        for place in range(2):
            one, other = here[1][FIELDS[Side.LOCAL][place]], there[1][FIELDS[Side.INTEGRATION][place]]
            assert same(one, other), f"{number} is not in step: {one!r} and {other!r}"

    def _aside(self) -> set[str]:
        """The numbers of records that wait for a person."""
        numbers = self._numbers()
        keys = {
            (side, getattr(item, f"{side}_key"))
            for item in SkippedRecord.select().where(SkippedRecord.status != "resolved")
            for side in Side
        }
        return {number for place in keys if (number := numbers.get(place)) is not None}
