"""`/webhooks`: whom we tell what happened, and what came of it."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from service import wording
from service.api.access import actor, context
from service.api.conditions import expected_version, tagged
from service.api.errors import language
from service.api.fields import PLAIN, Answer, Body, Choice, Flag, Id, Int, Items, Listed, Moment, Said, Text
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.operations import webhooks
from service.operations.announcements import Event
from service.operations.tokens import Scope

blp = Blueprint("webhooks", __name__, description="Outgoing notifications, by the Standard Webhooks specification.")

EXAMPLE = {"url": "https://example.com/accord", "events": ["record.skipped", "guard.tripped"], "description": "On call"}
_URL = r"^https?://[^\x00-\x20\x7f]+$"


class NewWebhook(Body):
    """A webhook to be made."""

    url = Text(min=8, max=2000, pattern=_URL, required=True)
    description = Text(max=200, pattern=PLAIN, load_default="")
    events = Items(Choice(Event), min=1, max=len(Event), load_default=lambda: [event.value for event in Event])
    enabled = Flag(load_default=True)


class WebhookChanges(Body):
    """What is to change of a webhook."""

    url = Text(min=8, max=2000, pattern=_URL)
    description = Text(max=200, pattern=PLAIN)
    events = Items(Choice(Event), min=1, max=len(Event))
    enabled = Flag()


class WebhookAnswer(Answer):
    """A webhook, without its secret. `disabledCode` says why we stopped telling it: `gone` (it answered 410), or
    `failing` (nothing arrived there for days)."""

    id = Id()
    url = Said()
    description = Said()
    events = Listed(Choice(Event))
    enabled = Flag()
    disabled_code = Choice(("gone", "failing"), allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class MadeWebhookAnswer(WebhookAnswer):
    """A webhook with its new secret, which its messages are signed with and which is shown this once."""

    secret = Said()


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    status = Choice(webhooks.DELIVERY_STATUSES)


class WebhookDeliveryAnswer(Answer):
    """An event on its way. `lastStatus` is that of the last answer, `lastCode` says why there was none."""

    id = Id()
    message_id = Said()
    type = Choice(Event)
    status = Choice(webhooks.DELIVERY_STATUSES)
    attempts = Int(min=0)
    next_attempt_at = Moment(allow_none=True)
    last_attempt_at = Moment(allow_none=True)
    last_status = Int(allow_none=True)
    last_code = Said(allow_none=True)
    message = Said(allow_none=True, metadata={"description": "`lastCode` in words."})
    created_at = Moment()


_ONE = {"webhookId": "$response.body#/id"}
_FIRST = {"webhookId": "$response.body#/items/0/id"}
_LINKS = {"getWebhook": _ONE, "updateWebhook": _ONE, "deleteWebhook": _ONE, "listWebhookDeliveries": _ONE}
_LINKS |= {"renewWebhookSecret": _ONE}
_SHOWN = tuple(WebhookAnswer._declared_fields)


@blp.route("/webhooks")
class Webhooks(MethodView):
    @operation("listWebhooks", Scope.ADMIN, links={"getWebhook": _FIRST, "listWebhookDeliveries": _FIRST})
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(WebhookAnswer, "Webhook"))
    def get(self, query: dict[str, Any]) -> Any:
        """List webhooks, newest first."""
        return page(webhooks.list_webhooks(**query), query["limit"])

    @operation("createWebhook", Scope.ADMIN, etag="version", location=True, at_once=True, links=_LINKS)
    @blp.arguments(NewWebhook, example=EXAMPLE)
    @blp.response(201, MadeWebhookAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Make a webhook; this answer is the only one that shows its secret."""
        row, secret = webhooks.create(context(), body, actor())
        shown, headers = tagged({**_shown(row), "secret": secret}, row.version)
        return shown, {**headers, "Location": f"/webhooks/{row.id}"}


@blp.route("/webhooks/<id:webhook_id>")
class Webhook(MethodView):
    @operation("getWebhook", Scope.ADMIN, etag="version", refuses=(404,), links=_LINKS)
    @blp.response(200, WebhookAnswer)
    def get(self, webhook_id: int) -> Any:
        """Show a webhook."""
        row = webhooks.get(webhook_id)
        return tagged(_shown(row), row.version)

    @operation("updateWebhook", Scope.ADMIN, if_match="optional", etag="version", refuses=(404,))
    @blp.arguments(WebhookChanges, example={"enabled": False})
    @blp.response(200, WebhookAnswer)
    def patch(self, body: dict[str, Any], webhook_id: int) -> Any:
        """Change some of a webhook; one that was disabled is told again from when it is enabled."""
        row = webhooks.change(context(), webhook_id, body, _expected(webhook_id), actor())
        return tagged(_shown(row), row.version)

    @operation("deleteWebhook", Scope.ADMIN, if_match="optional", refuses=(404,))
    @blp.response(204)
    def delete(self, webhook_id: int) -> Any:
        """Delete a webhook with what waits for it."""
        webhooks.delete(context(), webhook_id, _expected(webhook_id), actor())


@blp.route("/webhooks/<id:webhook_id>/secret")
class Secret(MethodView):
    @operation("renewWebhookSecret", Scope.ADMIN, if_match="optional", etag="version", at_once=True, refuses=(404,))
    @blp.response(200, MadeWebhookAnswer)
    def post(self, webhook_id: int) -> Any:
        """Make a new secret; this answer is the only one that shows it. For a day messages are signed with the one
        before, too."""
        row, secret = webhooks.renew_secret(context(), webhook_id, _expected(webhook_id), actor())
        return tagged({**_shown(row), "secret": secret}, row.version)


@blp.route("/webhooks/<id:webhook_id>/deliveries")
class Deliveries(MethodView):
    @operation("listWebhookDeliveries", Scope.ADMIN, refuses=(404,))
    @blp.arguments(DeliveryQuery, location="query")
    @blp.response(200, page_of(WebhookDeliveryAnswer, "WebhookDelivery"))
    def get(self, query: dict[str, Any], webhook_id: int) -> Any:
        """List what a webhook was told or is to be told, newest first, for two weeks."""
        found = webhooks.list_deliveries(webhook_id, **query)
        return page([_delivery(row) for row in found], query["limit"], lambda row: row["id"])


def _shown(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHOWN}


def _delivery(row: dict[str, Any]) -> dict[str, Any]:
    waits = row["status"] == "waiting"
    code = row["last_code"]
    message = None if code is None else wording.say(code, {}, language()).title
    return {**row, "next_attempt_at": row["next_due"] if waits else None, "message": message}


def _expected(webhook_id: int) -> int | None:
    return expected_version("webhook", webhook_id, lambda: webhooks.get(webhook_id).version)
