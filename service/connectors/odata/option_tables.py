"""A choice of Dataverse as a table: `accounts.paymenttermscode` has a record for each option, its number and its label.

So what is a table elsewhere, such as payment terms, is coupled with the options of a choice, and a reference through
that mapping fills the choice. Options have no stamp: a reading gives all of them, and their values tell what changed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from service.connectors.base import Deletion, Insert, Result, Update
from service.connectors.filters import passes, without_blanks
from service.connectors.odata.batch import Reply, Request, said_of, send_all
from service.connectors.odata.failures import Context, Refused, failure_of
from service.connectors.odata.options import option
from service.connectors.odata.service import Service
from service.core.compare import Unconvertible, coerce
from service.core.failures import Failure, SideFailed
from service.core.records import Field, FieldType, Page, Record, Scalar, Selection, Table

VALUE, LABEL, STAMP = "value", "label", "modifiedon"

_FIELDS = {
    VALUE: Field(VALUE, FieldType.INTEGER, precision=32, nullable=False, read_only=True),
    LABEL: Field(LABEL, FieldType.STRING, length=200, required=True, nullable=False),
    STAMP: Field(STAMP, FieldType.DATETIME, read_only=True),
}
_ENGLISH = 1033


def is_option_table(name: str) -> bool:
    """Whether a name is that of a choice: no entity set has a dot in its name."""
    return "." in name


class OptionTable:
    """The options of one choice. Insertions and changes are published at the end of each call that made one."""

    def __init__(self, service: Service, name: str) -> None:
        """SideFailed(`table_not_found`)."""
        self._service = service
        self._name = name
        entity_set, _, self._attribute = name.partition(".")
        table = service.table(entity_set)
        if not table.properties.get(self._attribute) or not table.properties[self._attribute].field.options:
            raise SideFailed(Failure("table_not_found", {"table": name}, (name,)))
        self._entity = table.type_name
        self._language = _ENGLISH

    def describe(self) -> Table:
        return Table(self._name, _FIELDS, VALUE, STAMP, self._name, generates_keys=True)

    def read(self, selection: Selection, cursor: str | None, limit: int) -> Page:
        after = int(cursor) if cursor else None
        records = [one for one in self._records(selection, filtered=True) if after is None or int(one.key) > after]
        return Page(records[:limit], records[limit - 1].key if len(records) > limit else None)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        wanted = set(keys)
        return {one.key: one for one in self._records(selection, filtered=filtered) if one.key in wanted}

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        places = [selection.fields.index(name) for name in fields]
        looked = {tuple(map(without_blanks, one)) for one in wanted}
        return [
            one
            for one in self._records(selection, filtered=True)
            if tuple(without_blanks(one.values[place]) for place in places) in looked
        ]

    def insert(self, selection: Selection, items: Sequence[Insert]) -> list[Result]:
        results, requests = self._fitted([item.values for item in items], "InsertOptionValue", [None] * len(items))
        made: dict[int, str] = {}
        for place, reply in self._sent(requests).items():
            number = reply.body.get("NewOptionValue") if reply.ok and isinstance(reply.body, dict) else None
            if isinstance(number, int):
                made[place] = str(number)
            else:
                results[place] = self._refused(reply, "insert")
        return self._answers(selection, len(items), results, made)

    def update(self, selection: Selection, items: Sequence[Update]) -> list[Result]:
        results, ready = self._unmoved(selection, items, missing=True)
        given, requests = self._fitted(
            [item.values for item in items], "UpdateOptionValue", [int(item.record.key) for item in items]
        )
        results |= {place: failure for place, failure in given.items() if place in ready}
        done: dict[int, str] = {}
        for place, reply in self._sent({place: one for place, one in requests.items() if place in ready}).items():
            if reply.ok:
                done[place] = items[place].record.key
            else:
                results[place] = self._refused(reply, "update")
        return self._answers(selection, len(items), results, done)

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> list[Failure | None]:
        results, ready = self._unmoved(selection, items, missing=False)
        requests = {
            place: self._request("DeleteOptionValue", {"Value": int(items[place].record.key)}) for place in ready
        }
        for place, reply in self._sent(requests).items():
            results[place] = None if reply.ok else self._refused(reply, "delete")
        return [results.get(place) for place in range(len(items))]

    # Reading

    def _records(self, selection: Selection, *, filtered: bool) -> list[Record]:
        kind = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
        sets = "OptionSet($select=Options),GlobalOptionSet($select=Options)"
        target = f"EntityDefinitions(LogicalName='{self._entity}')/Attributes/{kind}"
        page = self._service.ask(f"{target}?$select=LogicalName&$expand={sets}")
        found = [one for one in page.get("value", []) if one.get("LogicalName") == self._attribute]
        row: Mapping[str, Any] = found[0] if found else {}
        told = (row.get("OptionSet") or row.get("GlobalOptionSet") or {}).get("Options") or []
        rows = []
        for one in told:
            label = (one.get("Label") or {}).get("UserLocalizedLabel") or {}
            self._language = label.get("LanguageCode") or self._language
            rows.append({VALUE: one["Value"], LABEL: option(one).label, STAMP: None})
        rows = [one for one in rows if not filtered or passes(one, selection.filter)]
        for name in selection.fields:
            if name not in _FIELDS:
                raise SideFailed(Failure("field_not_found", {"table": self._name, "field": name}, (self._name, name)))
        return [
            Record(str(one[VALUE]), None, tuple(one[name] for name in selection.fields))
            for one in sorted(rows, key=lambda one: one[VALUE])
        ]

    # Writing

    def _unmoved(self, selection: Selection, items: Sequence[Any], *, missing: bool) -> tuple[dict[int, Any], set[int]]:
        """Results for options that are gone or are not as they were read; and the places of the others."""
        now = self.fetch(selection, [item.record.key for item in items], filtered=False)
        results: dict[int, Any] = {}
        for place, item in enumerate(items):
            params = {"table": self._name, "key": item.record.key}
            if item.record.key not in now:
                results[place] = Failure("partner_deleted", params, (self._name,)) if missing else None
            elif item.guarded and now[item.record.key] != item.record:
                results[place] = Failure("record_moved", params)
        return results, set(range(len(items))) - results.keys()

    def _fitted(
        self, given: Sequence[Mapping[str, Scalar]], action: str, numbers: Sequence[int | None]
    ) -> tuple[dict[int, Any], dict[int, Request]]:
        """Requests that write labels, and failures for those that fit no label."""
        failures: dict[int, Any] = {}
        requests: dict[int, Request] = {}
        for place, (values, number) in enumerate(zip(given, numbers, strict=True)):
            try:
                text = coerce(values.get(LABEL), FieldType.STRING, _FIELDS[LABEL])
            except Unconvertible as misfit:
                failures[place] = misfit.failure
                continue
            if not text:
                failures[place] = Failure("value_rejected", {"field": LABEL, "rule": "not_null"}, (LABEL, "not_null"))
                continue
            told = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text}
            label = {"LocalizedLabels": [{**told, "LanguageCode": self._language}]}
            body: dict[str, Any] = {"Label": {"@odata.type": "Microsoft.Dynamics.CRM.Label", **label}}
            if number is not None:
                body |= {"Value": number, "MergeLabels": True}
            requests[place] = self._request(action, body)
        return failures, requests

    def _request(self, action: str, body: Mapping[str, Any]) -> Request:
        about = {"EntityLogicalName": self._entity, "AttributeLogicalName": self._attribute}
        return Request("POST", action, {}, orjson.dumps({**about, **body}))

    def _sent(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """The replies by place; what was done is published with one request more."""
        if not requests:
            return {}
        try:
            replies = send_all(self._service, list(requests.values()), self._service.permit)
            if any(one.ok for one in replies):
                entity = f"<importexportxml><entities><entity>{self._entity}</entity></entities></importexportxml>"
                publish = Request("POST", "PublishXml", {}, json.dumps({"ParameterXml": entity}).encode())
                send_all(self._service, [publish], self._service.permit)
        except Refused as refused:
            raise SideFailed(refused.failure) from None
        self._service.shared.forget(f"options of {self._name.partition('.')[0]}")
        return dict(zip(requests, replies, strict=True))

    def _refused(self, reply: Reply, privilege: str) -> Failure:
        failure = failure_of(said_of(reply), Context(self._name, privilege, list(_FIELDS)))
        if failure.stops_run:
            raise SideFailed(failure)
        return failure

    def _answers(
        self, selection: Selection, length: int, results: dict[int, Any], written: Mapping[int, str]
    ) -> list[Result]:
        now = self.fetch(selection, list(written.values()), filtered=False) if written else {}
        gone = Failure("value_rejected", {"rule": "not_stored"}, ("not_stored",))
        return [now.get(written[place], gone) if place in written else results[place] for place in range(length)]
