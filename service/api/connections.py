"""`/connections`: links to business applications, what they lead to, and hints that something changed there."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from flask.views import MethodView
from marshmallow import fields

from service import wording
from service.api.access import actor, context
from service.api.conditions import expected_version, tagged
from service.api.errors import language
from service.api.fields import (
    PLAIN,
    Answer,
    Body,
    Choice,
    Flag,
    Id,
    Int,
    Items,
    Listed,
    Moment,
    Part,
    Said,
    Scalar,
    Settings,
    Text,
)
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.connectors.base import Check
from service.core.failures import Responsibility
from service.core.records import AlternateKey, Field, FieldType, KeyStatus
from service.operations import changes, checks, connections
from service.operations.tokens import Scope

blp = Blueprint("connections", __name__, description="Links to business applications.")

EXAMPLE = {
    "name": "billing",
    "kind": "sql",
    "settings": {"url": "postgresql://db.example.com/erp", "linkTemplate": "https://erp.example.com/{table}/{key}"},
    "credentials": {"username": "accord", "password": "secret"},
    "enabled": True,
}


class NewConnection(Body):
    """A connection to be made."""

    name = Text(min=1, max=200, pattern=PLAIN, required=True)
    kind = Text(min=1, max=50, required=True, metadata={"description": "`sql`, or another kind that is installed."})
    settings = Settings(required=True, metadata={"description": "What the kind needs, such as `url`."})
    credentials = Settings(allow_none=True, load_default=None, load_only=True)
    enabled = Flag(load_default=True)


class ConnectionChanges(Body):
    """What is to change of a connection."""

    name = Text(min=1, max=200, pattern=PLAIN)
    settings = Settings(metadata={"description": "Merged with what is there; null removes a setting."})
    credentials = Settings(
        allow_none=True, load_only=True, metadata={"description": "Replace those that are there; null removes them."}
    )
    enabled = Flag()


class ConnectionAnswer(Answer):
    """A connection. Credentials are never shown; a password in an address is shown as `***`."""

    id = Id()
    name = Said()
    kind = Said()
    settings = Settings()
    has_credentials = Flag()
    enabled = Flag()
    created_at = Moment()
    updated_at = Moment()


class CheckItemAnswer(Answer):
    """One finding."""

    code = Said()
    status = Choice(("pass", "warn", "fail", "unknown"))
    responsibility = Choice(Responsibility)
    error_code = Said(
        allow_none=True,
        metadata={"description": "The code that a run's error would have for this cause; null where nothing is wrong."},
    )
    message = Said()
    advice = Said()


class CheckAnswer(Answer):
    """What would keep the connection from working."""

    status = Choice(("pass", "warn", "fail"))
    checks = Listed(Part(CheckItemAnswer))


class TableNameAnswer(Answer):
    """A table that can be mapped."""

    name = Said()
    caption = Said()
    read_only = Flag()


class OptionAnswer(Answer):
    """One of the values that a field may hold. `labels` are by language, where the application tells several."""

    value = Scalar()
    label = Said()
    labels = fields.Dict(keys=fields.String(), values=fields.String())


class FieldAnswer(Answer):
    """A field as its application declares it. `options` is null where it may hold any value of its type."""

    name = Said()
    type = Choice([type for type in FieldType if type is not FieldType.LIST])
    length = Int(allow_none=True)
    precision = Int(allow_none=True)
    scale = Int(allow_none=True)
    required = Flag()
    nullable = Flag()
    read_only = Flag()
    options = Listed(Part(OptionAnswer), allow_none=True)


class AlternateKeyAnswer(Answer):
    """Fields whose values together tell each record from all others, besides its key. One that is not `active` is still
    being made, or could not be made, by the application, and is not used."""

    name = Said()
    fields_ = Listed(Said(), data_key="fields", attribute="fields")
    status = Choice(KeyStatus)


class TableAnswer(Answer):
    """A table with its fields. `key` and `modifiedOn` are null where the application cannot tell."""

    name = Said()
    caption = Said()
    key = Said(allow_none=True)
    modified_on = Said(allow_none=True)
    generates_keys = Flag()
    tells_changes = Flag()
    alternate_keys = Listed(Part(AlternateKeyAnswer))
    fields_ = Listed(Part(FieldAnswer), data_key="fields", attribute="fields")


class ChangedTables(Body):
    """The tables that changed."""

    tables = Items(Text(min=1, max=500), min=1, max=100, required=True)


class WokenAnswer(Answer):
    """The runs that were started, or were waiting already."""

    run_ids = Listed(Id())


_FIRST = {"connectionId": "$response.body#/items/0/id"}
_ONE = {"connectionId": "$response.body#/id"}
_VERSIONED = {**_ONE, "header.If-Match": "$response.header.ETag"}
_TABLE_PARAMETER = {"in": "path", "name": "table", "example": "customer", "schema": {"type": "string", "minLength": 1}}
_LINKS = {
    "getConnection": _ONE,
    "updateConnection": _VERSIONED,
    "deleteConnection": _ONE,
    "checkConnection": _ONE,
    "listTables": _ONE,
    "announceChanges": _ONE,
}


@blp.route("/connections")
class Connections(MethodView):
    @operation("listConnections", Scope.READ, links={"getConnection": _FIRST, "deleteConnection": _FIRST})
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(ConnectionAnswer, "Connection"))
    def get(self, query: dict[str, Any]) -> Any:
        """List connections, newest first."""
        return page([_shown(row) for row in connections.list_connections(**query)], query["limit"], _id)

    @operation("createConnection", Scope.ADMIN, etag="version", location=True, at_once=True, links=_LINKS)
    @blp.arguments(NewConnection, example=EXAMPLE)
    @blp.response(201, ConnectionAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Make a connection.

        Its settings are checked, but nothing is connected: `POST /connections/{id}/check` does that.
        """
        row = connections.create(context(), **body, actor=actor())
        shown, headers = tagged(_shown(row), row.version)
        return shown, {**headers, "Location": f"/connections/{row.id}"}


@blp.route("/connections/<id:connection_id>")
class Connection(MethodView):
    @operation("getConnection", Scope.READ, etag="version", refuses=(404,), links=_LINKS)
    @blp.response(200, ConnectionAnswer)
    def get(self, connection_id: int) -> Any:
        """Show a connection."""
        row = connections.get(connection_id)
        return tagged(_shown(row), row.version)

    @operation("updateConnection", Scope.ADMIN, if_match="required", etag="version", refuses=(404, 409))
    @blp.arguments(ConnectionChanges, example={"enabled": False})
    @blp.response(200, ConnectionAnswer)
    def patch(self, body: dict[str, Any], connection_id: int) -> Any:
        """Change some of a connection."""
        row = connections.change(context(), connection_id, body, _expected(connection_id), actor())
        return tagged(_shown(row), row.version)

    @operation("deleteConnection", Scope.ADMIN, if_match="optional", refuses=(404, 409))
    @blp.response(204)
    def delete(self, connection_id: int) -> Any:
        """Delete a connection that no mapping uses."""
        connections.delete(context(), connection_id, _expected(connection_id), actor())


@blp.route("/connections/<id:connection_id>/check")
class ConnectionCheck(MethodView):
    @operation("checkConnection", Scope.OPERATE, refuses=(404,))
    @blp.response(200, CheckAnswer)
    def post(self, connection_id: int) -> Any:
        """Ask the business application what would keep the mapped tables from synchronizing."""
        status, findings = checks.check(context(), connection_id)
        return {"status": status, "checks": [_finding(item) for item in findings]}


@blp.route("/connections/<id:connection_id>/tables")
class Tables(MethodView):
    @operation(
        "listTables",
        Scope.READ,
        refuses=(404, 424),
        links={"getTable": {"connectionId": "$request.path.connectionId", "table": "$response.body#/items/0/name"}},
    )
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(TableNameAnswer, "Table"))
    def get(self, query: dict[str, Any], connection_id: int) -> Any:
        """List the tables that can be mapped, by name."""
        return page(connections.list_tables(context(), connection_id, **query), query["limit"], attrgetter("name"))


@blp.route("/connections/<id:connection_id>/tables/<table>", parameters=[_TABLE_PARAMETER])
class Table(MethodView):
    @operation("getTable", Scope.READ, refuses=(404, 424))
    @blp.response(200, TableAnswer)
    def get(self, connection_id: int, table: str) -> Any:
        """Show a table: its key, its modified-on stamp, its fields."""
        found = connections.get_table(context(), connection_id, table)
        return {
            **{name: getattr(found, name) for name in _TABLE},
            "alternate_keys": [_alternate_key(one) for one in found.alternate_keys],
            "fields": [_field(one) for one in found.fields.values()],
        }


@blp.route("/connections/<id:connection_id>/changes")
class Changes(MethodView):
    @operation("announceChanges", Scope.OPERATE, at_once=True, refuses=(404,))
    @blp.arguments(ChangedTables, example={"tables": ["customer"]})
    @blp.response(202, WokenAnswer)
    def post(self, body: dict[str, Any], connection_id: int) -> Any:
        """Say that tables changed: their enabled mappings are synchronized at once."""
        return {"run_ids": [run.id for run in changes.announce(context(), connection_id, body["tables"], actor())]}


_TABLE = ("name", "caption", "key", "modified_on", "generates_keys", "tells_changes")
_FIELD = ("name", "type", "length", "precision", "scale", "required", "nullable", "read_only")
_SHOWN = ("id", "name", "kind", "settings", "enabled", "created_at", "updated_at")


def _id(item: dict[str, Any]) -> int:
    id: int = item["id"]
    return id


def _shown(row: Any) -> dict[str, Any]:
    return {**{name: getattr(row, name) for name in _SHOWN}, "has_credentials": row.credentials is not None}


def _alternate_key(key: AlternateKey) -> dict[str, Any]:
    return {"name": key.name, "fields": list(key.fields), "status": key.status}


def _field(field: Field) -> dict[str, Any]:
    options = [{"value": one.value, "label": one.label, "labels": dict(one.labels)} for one in field.options]
    return {**{name: getattr(field, name) for name in _FIELD}, "options": options or None}


def _expected(connection_id: int) -> int | None:
    return expected_version("connection", connection_id, lambda: connections.get(connection_id).version)


def _finding(item: Check) -> dict[str, str | None]:
    words = _words(item)
    return {
        "code": item.code,
        "status": item.status,
        "responsibility": item.responsibility,
        "error_code": checks.error_code(item),
        "message": words.message,
        "advice": words.advice,
    }


def _words(item: Check) -> wording.Said:
    said = wording.say(item.code, {**item.params, "rule": item.status}, language())
    if item.status == "unknown":
        return wording.say("check_not_made", {"check": said.title, "rule": item.params.get("why")}, language())
    if item.status == "fail" and "code" in item.params:
        return wording.say(item.params["code"], item.params, language())
    return said
