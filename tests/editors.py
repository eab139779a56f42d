"""People who edit both applications at once while runs go on, and an audit that the databases keep themselves.

Each edit sets one field of one record to a value that nobody else ever types. An editor reads a record, and writes only
if it is still as it was read, as applications do; so whoever overwrites an editor's value has seen it, or it was lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

from service.core.records import Side
from service.operations import coupling_story, skipped
from service.operations.coupling_story import Episode
from service.store.models import Coupling, SkippedRecord
from tests.sites import Site, Sites

EDITED = ("name", "amount", "quantity", "due")

# Only editors write the column `edit`, and each time something new: any other write is Accord's.
POSTGRES_AUDIT = """
ALTER TABLE item ADD COLUMN edit text;
CREATE TABLE audit (id bigserial PRIMARY KEY, key text, field text, old text, new text, edit text);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE was jsonb; is_now jsonb; who text;
BEGIN
    was = coalesce(to_jsonb(old), '{}'); is_now = coalesce(to_jsonb(new), '{}');
    who = CASE WHEN is_now->>'edit' IS DISTINCT FROM was->>'edit' THEN coalesce(is_now->>'edit', 'deleted') END;
    INSERT INTO audit (key, field, old, new, edit)
        SELECT coalesce(is_now->>'id', was->>'id'), name, was->>name, is_now->>name, who
        FROM unnest(ARRAY['name', 'amount', 'quantity', 'due']) AS name
        WHERE was->>name IS DISTINCT FROM is_now->>name;
    RETURN new;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION audit();
"""
SQLITE_AUDIT = """
ALTER TABLE item ADD COLUMN edit TEXT;
CREATE TABLE audit (id INTEGER PRIMARY KEY, key TEXT, field TEXT, old TEXT, new TEXT, edit TEXT);
"""
SQLITE_AUDIT_TRIGGERS = """
CREATE TRIGGER audit_{name} AFTER UPDATE OF {name} ON item WHEN NEW.{name} IS NOT OLD.{name} BEGIN
    INSERT INTO audit (key, field, old, new, edit) VALUES (NEW.id, '{name}', CAST(OLD.{name} AS TEXT),
        CAST(NEW.{name} AS TEXT), CASE WHEN NEW.edit IS NOT OLD.edit THEN NEW.edit END); END;
CREATE TRIGGER audit_new_{name} AFTER INSERT ON item WHEN NEW.{name} IS NOT NULL BEGIN
    INSERT INTO audit (key, field, new, edit) VALUES (NEW.id, '{name}', CAST(NEW.{name} AS TEXT), NEW.edit); END;
CREATE TRIGGER audit_gone_{name} AFTER DELETE ON item BEGIN
    INSERT INTO audit (key, field, old, edit) VALUES (OLD.id, '{name}', CAST(OLD.{name} AS TEXT), 'deleted'); END;
"""


def audited(site: Site) -> Site:
    """The application with an audit of every change."""
    if site.postgres:
        site.sql(POSTGRES_AUDIT)
    else:
        with closing(site.connect()) as connection:
            connection.executescript(SQLITE_AUDIT + "".join(map(_triggers, EDITED)))
    return site


def _triggers(name: str) -> str:
    return SQLITE_AUDIT_TRIGGERS.format(name=name)


@dataclass(frozen=True, slots=True)
class Change:
    """One changed field as its database saw it. `edit` is None where Accord made it."""

    id: int
    key: str
    field: str
    old: str | None
    new: str | None
    edit: str | None


def audit(site: Site) -> list[Change]:
    return [Change(*row) for row in site.sql("SELECT id, key, field, old, new, edit FROM audit ORDER BY id")]


def typed(name: str, number: int) -> Any:
    """A value of the field that nobody else types."""
    match name:
        case "amount":
            return f"{number}.25"
        case "quantity":
            return number
        case "due":
            return (date(1900, 1, 1) + timedelta(days=number)).isoformat()
        case _:
            return f"typed {number}"


@dataclass
class Editors:
    """Eight people at work in both applications, until they are told to go home."""

    sites: Sites
    records: list[str]
    seed: int
    made: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self._end = threading.Event()
        self._failures: list[BaseException] = []
        self._deleted = 0

    @contextmanager
    def at_work(self, many: int = 8) -> Iterator[None]:
        """For as long as the block lasts. Raises what went wrong for one of them."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(many)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()
        if self._failures:
            raise self._failures[0]

    def _work(self, person: int) -> None:
        chance = random.Random(f"{self.seed}-{person}")
        try:
            with (
                closing(self.sites[Side.LOCAL].connect()) as here,
                closing(self.sites[Side.INTEGRATION].connect()) as on,
            ):
                while not self._end.wait(chance.random() * 0.2):
                    side = chance.choice(list(Side))
                    self._do_something(self.sites[side], here if side is Side.LOCAL else on, chance)
        except BaseException as failure:
            self._failures.append(failure)
            self._end.set()

    def _do_something(self, site: Site, connection: Any, chance: random.Random) -> None:
        number = next(self._numbers)
        dice = chance.random()
        if dice < 0.03:
            self._insert(site, connection, number)
        elif dice < 0.031 and self._deleted < 5:
            self._deleted += 1
            self._delete(site, connection, chance.choice(self.records), number)
        else:
            self._edit(site, connection, chance, number)

    def _insert(self, site: Site, connection: Any, number: int) -> None:
        name = f"new{number}"
        execute(site, connection, "INSERT INTO item (id, number, name, edit) VALUES (?, ?, ?, ?)", number + 10**6, name,
                typed("name", number), f"{number}")  # fmt: skip
        self.records.append(name)
        self.made["inserted"] += 1

    def _delete(self, site: Site, connection: Any, name: str, number: int) -> None:
        execute(site, connection, "DELETE FROM item WHERE number = ?", name)
        self.made["deleted"] += 1

    def _edit(self, site: Site, connection: Any, chance: random.Random, number: int) -> None:
        """Now and then it takes a while until it is committed, with the stamp of when it began."""
        name = chance.choice(EDITED)
        pause = chance.random() * 0.03 if chance.random() < 0.15 else None
        found = execute(site, connection, "SELECT id, modified_at FROM item WHERE number = ?",
                        chance.choice(self.records)).fetchall()  # fmt: skip
        if not found:
            return
        if pause is not None:
            connection.execute("BEGIN" if site.postgres else "BEGIN IMMEDIATE")
        done = execute(
            site,
            connection,
            f"UPDATE item SET {name} = ?, edit = ? WHERE id = ? AND modified_at = ?",
            typed(name, number),
            f"{number}",
            *found[0],
        )
        if pause is not None:
            time.sleep(pause)
            connection.execute("COMMIT")
        self.made["edits" if done.rowcount else "overtaken"] += 1


def execute(site: Site, connection: Any, statement: str, *parameters: Any) -> Any:
    return connection.execute(statement.replace("?", "%s") if site.postgres else statement, parameters)


@dataclass
class Findings:
    """What became of everybody's work: numbers, and every promise that was broken."""

    numbers: dict[str, int]
    broken: list[str]


def resolve_some(sites: Sites, chance: random.Random) -> None:
    """A person looks at half of what was set aside and says what is to be done about it."""
    found = skipped.list_skipped(mapping_id=sites.mapping_id, status="open", limit=500)
    some = [item.id for item in found if item.reason == "conflict" and chance.random() < 0.5]
    for number, word in enumerate(("keepLocal", "keepIntegration", "merge", "retry")):
        choices = {name: chance.choice(["local", "integration"]) for name in EDITED} if word == "merge" else None
        for _, _, _, refused in skipped.resolve_many(sites.context, some[number::4], None, None, word, choices, "anna"):
            assert refused is None or refused.code in ("moved_on", "validation_failed"), refused  # Or one is gone.


def look_back(sites: Sites) -> Findings:
    """Hold both audits against both applications, the skipped records and the history of every pair."""
    pairs: list[Coupling] = list(Coupling.select().where(Coupling.mapping_id == sites.mapping_id))
    found = SkippedRecord.select(SkippedRecord.coupling_id).where(SkippedRecord.status == "open")
    aside = {item.coupling_id for item in found if item.coupling_id is not None}
    stories = {pair.id: coupling_story.history(pair.id, limit=10**6) for pair in pairs}
    audits = {side: audit(site) for side, site in sites.sites.items()}
    look = _Look(sites, pairs, aside, stories, audits)
    broken = [*look.unequal(), *look.unseen(), *look.vanished()]
    return Findings({"edits": look.edits(), "pairs": len(pairs), "set aside": len(aside)}, broken)


class _Look:
    def __init__(
        self,
        sites: Sites,
        pairs: list[Coupling],
        aside: set[int],
        stories: Mapping[int, Any],
        audits: Mapping[Side, list[Change]],
    ) -> None:
        self.pairs, self.aside, self.audits = pairs, aside, audits
        self.keys = {side: {_key(pair, side): pair.id for pair in pairs} for side in Side}
        self.now = {side: _by_key(site) for side, site in sites.sites.items()}
        self.episodes: dict[int, list[Episode]] = {id: list(story) for id, story in stories.items()}

    def edits(self) -> int:
        return len({(side, change.edit) for side in Side for change in self.audits[side] if change.edit})

    def unequal(self) -> Iterator[str]:
        """Everything is coupled, and what is not set aside is the same on both sides."""
        for side in Side:
            yield from (f"not coupled: {side} {key}" for key in self.now[side].keys() - self.keys[side].keys())
        for pair in self.pairs:
            here, there = (self.now[side].get(_key(pair, side)) for side in Side)
            if pair.id not in self.aside and here is not None and there is not None and here != there:
                yield f"not in step: {pair.local_key} {here} {there}"

    def unseen(self) -> Iterator[str]:
        """Whatever Accord wrote over was what it had read just before, and what an editor had typed there had reached
        the other side before, unless a person decided."""
        for side in Side:
            noted = Counter(
                (pair.id, line["field"], _text(line["before"]), _text(line["after"]))
                for pair in self.pairs
                for episode in self.episodes[pair.id]
                for line in episode.fields
                if line["side"] == side
            )
            typed_here = {change.new for change in self.audits[side] if change.edit and change.new}
            reached = {change.new for change in self.audits[side.other]}
            decided = {
                _text(line["before"])
                for pair in self.pairs
                for episode in self.episodes[pair.id]
                for line in episode.fields
                if line["side"] == side and episode.rule
            }
            for change in self.audits[side]:
                if change.edit or change.old is None:
                    continue
                what = (self.keys[side].get(change.key, 0), change.field, change.old, change.new)
                if not noted[what]:
                    yield f"not in the history: {side} {change}"
                noted[what] -= 1
                if change.old in typed_here and change.old not in reached | decided:
                    yield f"written over before it travelled: {side} {change}"

    def vanished(self) -> Iterator[str]:
        """The last edit of every field of every record on each side is on both sides, in a skipped record, or in the
        history of its pair."""
        for side in Side:
            last = {(change.key, change.field): change.new for change in self.audits[side] if change.edit}
            for (key, name), value in last.items():
                id = self.keys[side].get(key)
                if key not in self.now[side] or id is None:
                    continue  # Its own users deleted it.
                pair = next(pair for pair in self.pairs if pair.id == id)
                here = self.now[side][key].get(name)
                there = self.now[side.other].get(_key(pair, side.other), {}).get(name)
                told = {
                    _text(line[when])
                    for episode in self.episodes[id]
                    for line in episode.fields
                    if line["field"] == name
                    for when in ("before", "after")
                }
                if not (here == there == value or (id in self.aside and value in (here, there)) or value in told):
                    yield f"vanished: {side} {key} {name} {value!r}; now {here!r} and {there!r}"


def _key(pair: Coupling, side: Side) -> str:
    key: str = pair.local_key if side is Side.LOCAL else pair.integration_key
    return key


def _by_key(site: Site) -> dict[str, dict[str, str | None]]:
    rows = site.sql(f"SELECT id, {', '.join(EDITED)} FROM item")
    return {str(row[0]): dict(zip(EDITED, map(_text, row[1:]), strict=True)) for row in rows}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
