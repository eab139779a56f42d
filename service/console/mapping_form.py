"""The form of a mapping, read into the mapping that it describes, with everything that is wrong with what was typed.

What the form does not show of a field mapping stays as it is stored for the same two fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from service.core.errors import Problem
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import FILTER_OPERATORS, Direction, Field, FieldType, Side, Table
from service.operations.mapping_drafts import Document

MOST_LINES = 500
MOST_CONDITIONS = 50
_LONGEST = 4000
NEW_LINE: Mapping[str, Any] = {
    "transforms": {},
    "reference": None,
    "clear_on_failed_lookup": False,
    "not_null": False,
    "match_key": None,
    "normalize": [],
    "enabled": True,
}
"""What the form does not show, of a field mapping that is new."""

_WAYS = {"to": Direction.TO_INTEGRATION, "from": Direction.FROM_INTEGRATION}
_NUMBERS = (FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT)


@dataclass(frozen=True, slots=True)
class Given:
    """The mapping that a form describes, what is wrong with what was typed, and that text, by what it is about."""

    document: Document
    problems: list[Problem]
    typed: Mapping[str, str]


def read(form: MultiDict[str, str], base: Document, tables: Mapping[Side, Table | None]) -> Given:
    """What a form says, and `base` where it says nothing."""
    reader = _Reader(form)
    document = {
        **base,
        "name": reader.text("name", "/name", least=1, most=200),
        "direction": reader.choice("direction", "/direction", Direction),
        "enabled": reader.flag("enabled"),
        "synch_only_coupled_records": reader.flag("synch_only_coupled_records"),
        "conflict_detection": reader.choice("conflict_detection", "/conflictDetection", ConflictDetection),
        "update_conflict_resolution": reader.choice(
            "update_conflict_resolution", "/updateConflictResolution", UpdateResolution
        ),
        "deletion_conflict_resolution": reader.choice(
            "deletion_conflict_resolution", "/deletionConflictResolution", DeletionResolution
        ),
        "max_delete_percent": reader.integer("max_delete_percent", "/maxDeletePercent", 0, 100),
        "max_delete_count": reader.integer("max_delete_count", "/maxDeleteCount", 0, 2**53),
        "depends_on": [int(text) for text in form.getlist("depends_on") if _is_id(text)],
        "schedule": _schedule(reader),
        "field_mappings": [*_lines(reader, base, tables)],
    }
    for side in Side:
        document[side.value] = {**base[side.value], **_side(reader, side, base[side.value], tables[side])}
    if not document["field_mappings"]:
        reader.refuse("/fieldMappings", "list_length", min=1, max=MOST_LINES)
    return Given(document, reader.problems, reader.typed)


class _Reader:
    """Values of a form, and what is wrong with them."""

    def __init__(self, form: MultiDict[str, str]) -> None:
        self.form = form
        self.problems: list[Problem] = []
        self.typed: dict[str, str] = {}

    def plain(self, name: str) -> str:
        """A text without what no text may have."""
        return self.form.get(name, "").replace("\0", "").strip()[:_LONGEST]

    def text(self, name: str, pointer: str, least: int = 0, most: int = 500) -> str:
        text = self.plain(name)
        if not least <= len(text) <= most:
            self.refuse(pointer, "text_length", min=least, max=most)
        elif re.search(r"[\x00-\x1f\x7f]", text):
            self.refuse(pointer, "forbidden_character")
        return text

    def integer(self, name: str, pointer: str, least: int, most: int) -> int | None:
        text = self.plain(name)
        if not text:
            return None
        if not re.fullmatch(r"-?[0-9]{1,17}", text):
            self.refuse(pointer, "not_an_integer")
            self.typed[pointer] = text
            return None
        if not least <= int(text) <= most:
            self.refuse(pointer, "number_out_of_range", min=least, max=most)
        return int(text)

    def choice(self, name: str, pointer: str, among: Iterable[str]) -> str:
        choices = [str(one) for one in among]
        text = self.form.get(name, "")
        if text not in choices:
            self.refuse(pointer, "not_a_choice", choices=choices)
            return choices[0]
        return text

    def flag(self, name: str) -> bool:
        return self.form.get(name) == "yes"

    def refuse(self, pointer: str, code: str, **params: Any) -> None:
        self.problems.append(Problem(pointer, code, params))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _side(reader: _Reader, side: Side, base: Mapping[str, Any], table: Table | None) -> dict[str, Any]:
    stamp: Any = reader.plain(f"{side}.modified_on") or None
    if stamp is not None and stamp.startswith("{"):
        stamp = _json(stamp)
        if not isinstance(stamp, dict) or stamp.keys() != {"table", "keyField", "field"}:
            reader.refuse(f"/{side}/modifiedOn", "invalid_value")
            reader.typed[f"/{side}/modifiedOn"], stamp = reader.plain(f"{side}.modified_on"), None
    return {
        "key": reader.text(f"{side}.key", f"/{side}/key") or None,
        "modified_on": stamp,
        "caption": reader.text(f"{side}.caption", f"/{side}/caption", most=200) or None,
        "filter": [*_filter(reader, side, base["filter"], table)],
    }


def _filter(
    reader: _Reader, side: Side, stored: Iterable[Mapping[str, Any]], table: Table | None
) -> Iterator[dict[str, Any]]:
    # A value that nobody touched stays what it is, whatever its text would be read as.
    known = {(line["field"], line["op"], shown_value(line.get("value"))): line.get("value") for line in stored}
    written = 0
    for place in range(MOST_CONDITIONS):
        prefix = f"{side}.filter.{place}"
        name, text = reader.plain(f"{prefix}.field"), reader.plain(f"{prefix}.value")
        if name:
            op = reader.choice(f"{prefix}.op", f"/{side}/filter/{written}/op", FILTER_OPERATORS)
            read = _operand(text, op, table.fields.get(name) if table else None)
            yield {"field": name, "op": op, "value": known.get((name, op, text), read)}
            written += 1


def _operand(text: str, op: str, field: Field | None) -> Any:
    if op == "isNull":
        return text.casefold() not in ("false", "no")
    if op == "in":
        return [_value(part.strip(), field) for part in text.split(",")]
    return _value(text, field)


def _value(text: str, field: Field | None) -> Any:
    """A value as the field's type has it; a text where it cannot be one, which is refused with the rest."""
    if field is None or text == "":
        return text
    if field.type is FieldType.BOOLEAN and text in ("true", "false"):
        return text == "true"
    if field.type in _NUMBERS and re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    return text


def _schedule(reader: _Reader) -> dict[str, Any] | None:
    match reader.choice("schedule", "/schedule", ("none", "every", "cron")):
        case "every":
            every = reader.integer("every_minutes", "/schedule/everyMinutes", 1, 525_600)
            slowest = reader.integer("slowest_minutes", "/schedule/slowestMinutes", 1, 525_600)
            if every is None and not any(one.pointer == "/schedule/everyMinutes" for one in reader.problems):
                reader.refuse("/schedule/everyMinutes", "required")
            return {"everyMinutes": every or 1, **({} if slowest is None else {"slowestMinutes": slowest})}
        case "cron":
            zone = reader.text("time_zone", "/schedule/timeZone", most=100)
            return {
                "cron": reader.text("cron", "/schedule/cron", least=1, most=200),
                **({"timeZone": zone} if zone else {}),
            }
    return None


def _lines(reader: _Reader, base: Document, tables: Mapping[Side, Table | None]) -> Iterator[dict[str, Any]]:
    stored = {(line["local_field"], line["integration_field"]): line for line in base.get("field_mappings", ())}
    written = 0
    for place in range(MOST_LINES):
        prefix = f"line.{place}"
        local = reader.plain(f"{prefix}.local_field") or None
        integration = reader.plain(f"{prefix}.integration_field") or None
        if (local or integration) and not reader.flag(f"{prefix}.remove"):
            pointer = f"/fieldMappings/{written}"
            known = stored.get((local, integration), NEW_LINE)
            yield _line(
                reader, prefix, pointer, {**known, "local_field": local, "integration_field": integration}, tables
            )
            written += 1


def _line(
    reader: _Reader, prefix: str, pointer: str, known: dict[str, Any], tables: Mapping[Side, Table | None]
) -> dict[str, Any]:
    line = {
        **{name: value for name, value in known.items() if name != "constant"},
        "direction": reader.choice(f"{prefix}.direction", f"{pointer}/direction", Direction),
        "match_key": reader.integer(f"{prefix}.match_key", f"{pointer}/matchKey", 1, 100),
        "enabled": reader.flag(f"{prefix}.enabled"),
        "not_null": reader.flag(f"{prefix}.not_null"),
        "clear_on_failed_lookup": reader.flag(f"{prefix}.clear_on_failed_lookup"),
        "normalize": [part.strip() for part in reader.plain(f"{prefix}.normalize").split(",") if part.strip()],
    }
    mapping = reader.plain(f"{prefix}.reference")
    line["reference"] = {**(known.get("reference") or {}), "mapping": mapping} if mapping else None
    line["transforms"] = {
        way.value: steps
        for name, way in _WAYS.items()
        if (steps := _steps(reader, f"{prefix}.{name}", f"{pointer}/transforms/{way}")) is not None
    }
    if reader.flag(f"{prefix}.has_constant"):
        target = Side.INTEGRATION if line["integration_field"] else Side.LOCAL
        table, name = tables[target], line[f"{target}_field"]
        text = reader.plain(f"{prefix}.constant")
        if "constant" in known and shown_value(known["constant"]) == text:
            line["constant"] = known["constant"]
        else:
            line["constant"] = _value(text, table.fields.get(name) if table else None)
    return line


def _steps(reader: _Reader, name: str, pointer: str) -> list[Any] | None:
    """Transformations: names with commas between them, or a list in JSON where one has parameters; None for none."""
    text = reader.plain(name)
    if not text:
        return None
    if not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    steps = _json(text)
    if not isinstance(steps, list):
        reader.refuse(pointer, "transform_form")
        reader.typed[pointer] = text
        return []
    return steps


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def shown_steps(steps: Any) -> str:
    """Transformations as the form shows them; an empty list is not the same as none."""
    if steps is None:
        return ""
    plain = steps and all(isinstance(step, str) for step in steps)
    return ", ".join(steps) if plain else orjson.dumps(steps).decode()


def shown_value(value: Any) -> str:
    """A value of a filter, or a constant, as the form shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(map(shown_value, value))
    return str(value)
