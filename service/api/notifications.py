"""`/connections/{id}/notifications/...`: business applications that say themselves that something changed.

They cannot carry our tokens: a secret of the connection stands in what they can send.
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request
from flask.views import MethodView

from service.api.access import actor, context
from service.api.fields import Answer, Body, Items, Part, Query, Said, Text
from service.api.limiting import counters
from service.api.operation import Blueprint, operation
from service.operations import notifications
from service.operations.tokens import Scope
from service.store.database import connection

blp = Blueprint("notifications", __name__, description="Change notifications of business applications: hints.")

TEXT = "text/plain; charset=utf-8"
_KEY_HEADER = "X-Accord-Key"


class Foreign(Body):
    """What an application sends: more than we read, and more with every version."""

    class Meta:
        unknown = ma.EXCLUDE


class DataverseMessage(Foreign):
    """The execution context that Dataverse sends."""

    primary_entity_name = Text(min=1, max=200, data_key="PrimaryEntityName", required=True)


class BusinessCentralItem(Foreign):
    """One change."""

    client_state = Text(max=2048, load_default="")
    resource = Text(min=1, max=1000, required=True)


class BusinessCentralMessage(Foreign):
    """What Business Central sends, or nothing when it asks whether this address is meant."""

    value = Items(Part(BusinessCentralItem), max=1000, load_default=())


class DataverseQuery(Query):
    """The key of Dataverse's own kind of authentication."""

    code = Text(max=200, load_default="", metadata={"example": "the secret"})


class HandshakeQuery(Query):
    """The handshake of Business Central."""

    validation_token = Text(min=1, max=500, pattern=r"^[!-~]*$")


class NotificationSecretAnswer(Answer):
    """A new secret, shown this once, and where notifications go."""

    secret = Said()
    dataverse = Said()
    business_central = Said()


@blp.route("/connections/<id:connection_id>/notification-secret")
class NotificationSecret(MethodView):
    @operation("makeNotificationSecret", Scope.ADMIN, at_once=True, refuses=(404,))
    @blp.response(201, NotificationSecretAnswer)
    def post(self, connection_id: int) -> Any:
        """Make a secret for notifications of a connection; the one before is no good any more."""
        base = f"/connections/{connection_id}/notifications"
        return {
            "secret": notifications.make_secret(context(), connection_id, actor()),
            "dataverse": f"{base}/dataverse",
            "business_central": f"{base}/business-central",
        }


@blp.route("/connections/<id:connection_id>/notifications/dataverse")
class Dataverse(MethodView):
    @operation("notifyFromDataverse", None, refuses=(403, 404, 429))
    @blp.arguments(DataverseQuery, location="query")
    @blp.arguments(DataverseMessage, example={"PrimaryEntityName": "account", "MessageName": "Update"})
    @blp.response(204)
    def post(self, query: dict[str, Any], body: dict[str, Any], connection_id: int) -> Any:
        """Take a message of a webhook of Dataverse. The secret is `code` in the query or the header `X-Accord-Key`."""
        counters().count_notification(connection_id)
        given = [text for text in (query["code"], request.headers.get(_KEY_HEADER, "")) if text]
        with connection():
            notifications.notify(context(), connection_id, given, [body["primary_entity_name"]])


@blp.route("/connections/<id:connection_id>/notifications/business-central")
class BusinessCentral(MethodView):
    @operation(
        "notifyFromBusinessCentral",
        None,
        body_optional=True,
        produces="application/json text/plain",
        refuses=(403, 404, 429),
    )
    @blp.arguments(HandshakeQuery, location="query")
    @blp.arguments(
        BusinessCentralMessage,
        example={"value": [{"clientState": "the secret", "resource": "api/v2.0/companies(1)/customers(2)"}]},
    )
    @blp.alt_response(204, description="Taken.")
    @blp.response(200, {"type": "string"}, content_type=TEXT, description="The token, when it asks for it.")
    def post(self, query: dict[str, Any], body: dict[str, Any], connection_id: int) -> Any:
        """Take notifications of a subscription of Business Central, or answer its handshake.

        The secret is the `clientState` of every item.
        """
        counters().count_notification(connection_id)
        with connection():
            if "validation_token" in query:
                notifications.assert_takes(connection_id)
                return Response(query["validation_token"], 200, content_type=TEXT)
            items = body["value"]
            given, resources = [item["client_state"] for item in items], [item["resource"] for item in items]
            notifications.notify(context(), connection_id, given, resources)
        return Response(status=204)
