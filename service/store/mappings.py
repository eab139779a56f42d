"""Queries on mappings, their field mappings, and what the list shows of their state."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.records import Stamp
from service.core.references import NOT_COUPLED
from service.store import sql
from service.store.models import FieldMapping, SyncRun
from service.store.models import Mapping as MappingRow


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of a mapping so far."""

    last_run: SyncRun | None
    open_errors: int
    open_skipped: int
    oldest_skipped_at: Stamp | None
    coupled: int
    waiting: int
    oldest_waiting_at: Stamp | None
    watermarks: Mapping[str, Stamp]


def get(id: int) -> MappingRow | None:
    """One mapping, without its field mappings."""
    return MappingRow.of_id(id)


def lines(mapping_ids: Collection[int]) -> dict[int, list[FieldMapping]]:
    """The field mappings of these mappings, in their order."""
    by_mapping: dict[int, list[FieldMapping]] = {id: [] for id in mapping_ids}
    order = f"WHERE {sql.among('mapping_id')} ORDER BY mapping_id, position"
    for line in FieldMapping.listed(order, sql.values(mapping_ids)):
        by_mapping[line.mapping_id].append(line)
    return by_mapping


def line_columns(mapping_ids: Collection[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same as these columns alone, each with its mapping: for lists, which may have thousands of them."""
    order = f"WHERE {sql.among('mapping_id')} ORDER BY mapping_id, position"
    for found in FieldMapping.values_of(("mapping_id", *columns), order, sql.values(mapping_ids)):
        yield found.pop("mapping_id"), found


def names() -> dict[int, str]:
    """The name of every mapping."""
    return dict(sql.rows("SELECT id, name FROM mappings"))


def all_enabled() -> list[MappingRow]:
    """Every enabled mapping, in the order in which they were made."""
    return list(MappingRow.select().where(MappingRow.enabled).order_by(MappingRow.id))


def by_name(name: str) -> MappingRow | None:
    """The mapping with this name."""
    found: MappingRow | None = MappingRow.get_or_none(MappingRow.name == name)
    return found


def references() -> list[tuple[int, int, int, bool]]:
    """Every enabled field mapping that refers to a mapping's records: its own mapping's id, that of the other, its own,
    and whether its field can be written after its record was made."""
    found = sql.rows(
        "SELECT mapping_id, reference_id, id, reference_optional FROM field_mappings"
        " WHERE reference_id IS NOT NULL AND enabled ORDER BY id"
    )
    return [(owner, other, line, bool(optional)) for owner, other, line, optional in found]


def referring(id: int) -> list[str]:
    """The names of the other mappings that refer to records of this one."""
    found = sql.rows(
        "SELECT DISTINCT mappings.name FROM field_mappings JOIN mappings ON mappings.id = field_mappings.mapping_id"
        " WHERE field_mappings.reference_id = ? AND mappings.id <> ? ORDER BY mappings.name",
        id,
        id,
    )
    return [name for (name,) in found]


def by_ids(ids: Collection[int | None]) -> dict[int, MappingRow]:
    """The mappings with these ids."""
    return {row.id: row for row in MappingRow.select().where(MappingRow.id.in_([id for id in ids if id is not None]))}


def page(before: int | None, limit: int) -> list[MappingRow]:
    """Up to `limit` + 1 mappings, newest first."""
    return MappingRow.newest({}, before, limit)


def everything() -> list[MappingRow]:
    """All mappings, in the order in which they were made."""
    return list(MappingRow.select().order_by(MappingRow.id))


def of_connection(connection_id: int) -> list[MappingRow]:
    """The mappings that have a table of this connection, in the order in which they were made."""
    uses = (MappingRow.local_connection_id == connection_id) | (MappingRow.integration_connection_id == connection_id)
    return list(MappingRow.select().where(uses).order_by(MappingRow.id))


def id_of(name: str) -> int | None:
    """The mapping with this name."""
    found = sql.rows("SELECT id FROM mappings WHERE name = ?", name)
    return found[0][0] if found else None


def dependencies() -> dict[int, list[int]]:
    """Which mappings each mapping depends on."""
    return {row.id: row.depends_on for row in MappingRow.select(MappingRow.id, MappingRow.depends_on)}


def insert(columns: Mapping[str, Any]) -> int:
    """A new mapping; its id."""
    return int(MappingRow.insert(**columns).execute())


def update(id: int, version: int, columns: Mapping[str, Any]) -> bool:
    """Change it if it still has this version, and count the version up."""
    query = MappingRow.update({**columns, "version": version + 1})
    return bool(query.where((MappingRow.id == id) & (MappingRow.version == version)).execute())


def delete(id: int, version: int) -> bool:
    """Delete it, and all that belongs to it, if it still has this version."""
    return bool(MappingRow.delete().where((MappingRow.id == id) & (MappingRow.version == version)).execute())


def replace_lines(mapping_id: int, kept: Mapping[int, int], wanted: Sequence[Mapping[str, Any]]) -> None:
    """Make `wanted` the field mappings; `kept` maps a position to the id of the row that stays there."""
    ids = list(kept.values())
    own = FieldMapping.mapping_id == mapping_id
    FieldMapping.delete().where(own & FieldMapping.id.not_in(ids) if ids else own).execute()
    # Positions are unique: the rows that stay step aside before they take their new places.
    sql.execute("UPDATE field_mappings SET position = -1 - position WHERE mapping_id = ?", mapping_id)
    for position, columns in enumerate(wanted):
        placed = {**columns, "mapping_id": mapping_id, "position": position}
        if position in kept:
            FieldMapping.update(placed).where(FieldMapping.id == kept[position]).execute()
        else:
            FieldMapping.insert(**placed).execute()


def running(mapping_id: int) -> int | None:
    """The id of the mapping's running run."""
    found = sql.rows("SELECT id FROM sync_runs WHERE mapping_id = ? AND status = 'running'", mapping_id)
    return found[0][0] if found else None


def couplings(mapping_id: int) -> int:
    """How many couplings a mapping has."""
    return _summed("tallies", "couplings", [mapping_id]).get(mapping_id, 0)


def open_conflicts(mapping_id: int) -> int:
    """How many conflicts of a mapping are not resolved."""
    found = sql.rows(
        "SELECT count(*) FROM skipped_records WHERE mapping_id = ? AND reason = 'conflict' AND status <> 'resolved'",
        mapping_id,
    )
    return int(found[0][0])


def forget_watermarks(mapping_id: int, sides: Collection[str]) -> None:
    """The next run reads these sides from the beginning."""
    for table in ("watermarks", "change_feeds"):
        sql.execute(f"DELETE FROM {table} WHERE mapping_id = ? AND {sql.among('side')}", mapping_id, sql.values(sides))


def standings(ids: Collection[int]) -> dict[int, Standing]:
    """What has become of these mappings so far: one query for each kind of thing, however many mappings."""
    runs = _last_runs(ids)
    errors = _summed("error_groups", "open_errors", ids)
    skipped, waiting = _skipped(ids), _waiting(ids)
    coupled = _summed("tallies", "couplings", ids)
    marks = _watermarks(ids)
    nobody: tuple[int, Stamp | None] = (0, None)
    standing = {}
    for id in ids:
        open_skipped, oldest = skipped.get(id, nobody)
        standing[id] = Standing(
            runs.get(id),
            errors.get(id, 0),
            open_skipped,
            oldest,
            coupled.get(id, 0),
            *waiting.get(id, nobody),
            marks.get(id, {}),
        )
    return standing


def _last_runs(ids: Collection[int]) -> dict[int, SyncRun]:
    # One look into the index for each mapping, however many runs it has had.
    newest = (
        "SELECT (SELECT max(id) FROM sync_runs AS own WHERE own.mapping_id = mappings.id) FROM mappings"
        f" WHERE {sql.among('mappings.id')}"
    )
    return {run.mapping_id: run for run in SyncRun.listed(f"WHERE id IN ({newest})", sql.values(ids))}


def _summed(table: str, column: str, ids: Collection[int]) -> dict[int, int]:
    """Counts that triggers keep: nothing is counted here."""
    found = sql.rows(
        f"SELECT mapping_id, sum({column}) FROM {table} WHERE {sql.among('mapping_id')} GROUP BY mapping_id",
        sql.values(ids),
    )
    return {id: int(number) for id, number in found}


def _skipped(ids: Collection[int]) -> dict[int, tuple[int, Stamp | None]]:
    """How many records of each mapping wait for a person, as triggers keep it, and since when the oldest does."""
    found = sql.rows(
        "SELECT mapping_id, records, (SELECT min(created_at) FROM skipped_records AS own"
        " WHERE own.mapping_id = skipped_tallies.mapping_id AND own.status <> 'resolved') FROM skipped_tallies"
        f" WHERE {sql.among('mapping_id')} AND records > 0",
        sql.values(ids),
    )
    return {id: (number, oldest) for id, number, oldest in found}


def _waiting(ids: Collection[int]) -> dict[int, tuple[int, Stamp | None]]:
    """How many records of each mapping wait for one they refer to, and since when the oldest does."""
    found = sql.rows(
        f"SELECT mapping_id, count(*), min(since) FROM retries WHERE code = ? AND {sql.among('mapping_id')}"
        " GROUP BY mapping_id",
        NOT_COUPLED,
        sql.values(ids),
    )
    return {id: (number, oldest) for id, number, oldest in found}


def _watermarks(ids: Collection[int]) -> dict[int, dict[str, Stamp]]:
    marks: dict[int, dict[str, Stamp]] = {}
    for id, side, modified_on, read_at in sql.rows(
        f"SELECT mapping_id, side, modified_on, read_at FROM watermarks WHERE {sql.among('mapping_id')}",
        sql.values(ids),
    ):
        marks.setdefault(id, {})[side] = min(modified_on, read_at)
    return marks


def read_referring_in_full(id: int) -> None:
    """A record of this mapping has got another partner: what refers to it is to be looked at once more."""
    sql.execute(
        "UPDATE mappings SET full_read_due = ?, version = version + 1"
        " WHERE id IN (SELECT mapping_id FROM field_mappings WHERE reference_id = ? AND enabled)",
        True,
        id,
    )


def forget_dependency(id: int) -> None:
    """No mapping depends on this one any more."""
    for other, needed in dependencies().items():
        if id in needed:
            MappingRow.update(depends_on=[one for one in needed if one != id]).where(MappingRow.id == other).execute()


def full_read_done(id: int, version: int, restored_at: Stamp | None) -> None:
    """Everything was read once more, by the mapping as it was in this version, with the state as it was then."""
    sql.execute(
        "UPDATE mappings SET full_read_due = ?, restored_at = NULL"
        " WHERE id = ? AND version = ? AND coalesce(restored_at, 0) = ?",
        False,
        id,
        version,
        restored_at or 0,
    )


def declare_restored(now: Stamp) -> int:
    """The state is an older one than the records are; returns how many mappings there are."""
    return sql.execute("UPDATE mappings SET restored_at = ?, full_read_due = ?", now, True)


def reconciled(id: int, found: Mapping[str, Any]) -> None:
    """Keep what a reconcile run found."""
    sql.execute("UPDATE mappings SET reconciled = ? WHERE id = ?", sql.dump(found), id)


def claim_due(now: Stamp) -> list[MappingRow]:
    """The enabled mappings whose schedule has come."""
    due = (MappingRow.next_due <= now) & MappingRow.enabled
    return list(MappingRow.select().where(due).order_by(MappingRow.next_due).limit(100))


def count_idle(id: int) -> None:
    """One more run has found nothing to do."""
    sql.execute("UPDATE mappings SET idle_runs = idle_runs + 1 WHERE id = ?", id)


def end_idling(id: int, due: Stamp | None) -> None:
    """A run has found something: the mapping is due again as often as its schedule says, and `due` at the latest."""
    sql.execute(
        "UPDATE mappings SET idle_runs = 0, next_due = CASE WHEN next_due > ? THEN ? ELSE next_due END WHERE id = ?",
        due,
        due,
        id,
    )


def set_next_due(id: int, before: Stamp, after: Stamp | None) -> bool:
    """Move a mapping's due time, if nobody else did; returns whether that was us."""
    return bool(sql.execute("UPDATE mappings SET next_due = ? WHERE id = ? AND next_due = ?", after, id, before))
