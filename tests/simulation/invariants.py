"""What must hold when everything has come to rest: nobody is there twice, nothing that was typed is gone, couplings say
the truth, no intent is open, no watermark is beyond what was read, and a further run writes nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson

from service.core.records import Page, Side
from service.store import sql
from tests.faults import Faults
from tests.simulation.applications import FIELDS, Applications, Typed, same

Held: TypeAlias = dict[Side, dict[str, list[tuple[str, dict[str, Any]]]]]
"""The records of each side by number, with their keys."""

History: TypeAlias = dict[tuple[Side, str, str], list[tuple[Any, Any, str]]]
"""What runs changed: (side, number, field) to (before, after, the rule that decided)."""


class Truth:
    """Looks at what became of everything that people typed."""

    def __init__(self, applications: Applications, faults: Faults) -> None:
        self._applications = applications
        self._faults = faults
        # Where the coupling ends with a deleted partner, the survivor is nobody's twin, and stays as it is.
        self._lets_go = sql.rows("SELECT deletion_conflict_resolution FROM mappings") == [("removeCoupling",)]

    # While it goes on

    def look(self) -> None:
        """Note what has travelled; and nothing may have vanished, unless it is still to be found out what was done."""
        self._watermarks()
        history = self._history()
        held = {side: self._applications.by_number(side) for side in Side}
        self._travelled(held, history)
        if not sql.rows("SELECT 1 FROM pending_changes"):
            self._vanished(held, history)

    def _travelled(self, held: Held, history: History) -> None:
        for (side, number, place), typed in self._applications.typed.items():
            field = FIELDS[side.other][place]
            arrived = [values[field] for _, values in held[side.other].get(number, [])]
            for before, after, _ in history.get((side.other, number, field), ()):
                arrived += [before, after]
            typed.travelled |= any(same(value, typed.value) for value in arrived)

    def _vanished(self, held: Held, history: History) -> None:
        for (side, number, place), typed in list(self._applications.typed.items()):
            here = held[side].get(number, [])
            if not here:
                assert self._deleted_by_run(side, number), f"{side} {number} is gone, and nobody deleted it"
                self._applications.forget(side, number)
            elif not any(same(values[FIELDS[side][place]], typed.value) for _, values in here):
                self._account_for(side, number, place, typed, history)

    def _account_for(self, side: Side, number: str, place: int, typed: Typed, history: History) -> None:
        """A value that is not there any more is in the history, and a policy or a person decided unless it had been
        on the other side, too."""
        entries = history.get((side, number, FIELDS[side][place]), ())
        rules = [rule for before, _, rule in entries if same(before, typed.value)]
        where = f"{typed.value!r} in {FIELDS[side][place]} of {side} {number}"
        assert rules, f"{where} is gone, and no history tells"
        assert typed.travelled or any(rules), f"{where} was overwritten unseen"
        del self._applications.typed[side, number, place]

    def _history(self) -> History:
        numbers = self._numbers()
        found: History = {}
        told = sql.rows("SELECT side, source_key, destination_key, fields, rule FROM run_records WHERE fields <> ''")
        for source, source_key, destination_key, fields, rule in told:
            for change in orjson.loads(fields):
                key = source_key if change["side"] == source else destination_key
                if (number := numbers.get((Side(change["side"]), key))) is not None:
                    entry = (change["before"], change["after"], rule or "")
                    found.setdefault((Side(change["side"]), number, change["field"]), []).append(entry)
        return found

    def _numbers(self) -> dict[tuple[Side, str], str]:
        return {
            (side, key): number
            for side in Side
            for number, records in self._applications.by_number(side).items()
            for key, _ in records
        }

    def _deleted_by_run(self, side: Side, number: str) -> bool:
        keys = self._applications.keys_of(side, number)
        found = sql.rows("SELECT source_key FROM run_records WHERE outcome = 'deleted' AND side = ?", side)
        return any(key in keys for (key,) in found)

    def _watermarks(self) -> None:
        """A watermark is the stamp of a record that was read, and no later than the horizon of that reading."""
        for side, modified_on in sql.rows("SELECT side, modified_on FROM watermarks"):
            read = (
                record.modified_on
                for name, operation, _, _, answer in self._faults.trace
                if name == side and operation in ("read", "read_range") and isinstance(answer, Page)
                for record in answer.records
            )
            assert modified_on in read, f"the watermark of {side} is beyond what was read"

    # In the end

    def hold(self) -> None:
        self.look()
        assert sql.rows("SELECT * FROM intents") == [], "an intent is open"
        assert sql.rows("SELECT * FROM pending_changes") == [], "a change is pending"
        held = {side: self._applications.by_number(side) for side in Side}
        for side in Side:
            twice = {number: records for number, records in held[side].items() if len(records) > 1}
            assert not twice, f"twice on the {side} side: {twice}"
        aside = self._aside()
        self._conflicts()
        self._couplings(held, aside)
        for number in {*held[Side.LOCAL], *held[Side.INTEGRATION]} - aside:
            self._in_step(number, held)

    def _couplings(self, held: dict[Side, dict[str, Any]], aside: set[str]) -> None:
        numbers = self._numbers()
        coupled = set()
        for keys in sql.rows("SELECT local_key, integration_key FROM couplings"):
            pair = [numbers.get((side, key)) for side, key in zip(Side, keys, strict=True)]
            assert pair[0] == pair[1] or set(pair) & (aside | {None}), f"a coupling of {pair}"
            coupled.add(pair[0])
        there = set(held[Side.LOCAL]) & set(held[Side.INTEGRATION])
        assert there - aside <= coupled, f"not coupled: {there - aside - coupled}"

    def _in_step(self, number: str, held: dict[Side, dict[str, Any]]) -> None:
        for side in Side:
            if number not in held[side]:
                alone = self._lets_go and (side, number) in self._applications.deleted
                assert alone, f"{number} is missing on the {side} side"
                return
        (here,), (there,) = (held[side][number] for side in Side)
        for place in range(2):
            one, other = here[1][FIELDS[Side.LOCAL][place]], there[1][FIELDS[Side.INTEGRATION][place]]
            assert same(one, other), f"{number} is not in step: {one!r} and {other!r}"

    def _conflicts(self) -> None:
        """Who is set aside for a conflict was edited on both sides."""
        numbers = self._numbers()
        found = sql.rows("SELECT local_key FROM skipped_records WHERE status <> 'resolved' AND reason = 'conflict'")
        for (key,) in found:
            number = numbers.get((Side.LOCAL, key))
            both = {(side, number) for side in Side} <= self._applications.touched
            assert both or number is None, f"{number} is set aside for a conflict that there is not"

    def _aside(self) -> set[str]:
        """The numbers of records that wait for a person."""
        numbers = self._numbers()
        aside = sql.rows("SELECT local_key, integration_key FROM skipped_records WHERE status <> 'resolved'")
        keys = {place for both in aside for place in zip(Side, both, strict=True)}
        return {number for place in keys if (number := numbers.get(place)) is not None}
