"""`/tokens` and `/audit`: who may ask for what, and who changed what."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from service.api.access import actor, context, principal
from service.api.fields import PLAIN, Answer, Body, Choice, Id, Int, Items, Json, Listed, Moment, QueryId, Said, Text
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.operations import audit, tokens
from service.operations.tokens import Scope

blp = Blueprint("access", __name__, description="Tokens, and the audit of changes.")


class NewToken(Body):
    """A token to be made. A scope includes those before it: read, operate, admin."""

    name = Text(min=1, max=200, pattern=PLAIN, required=True)
    scopes = Items(Choice(Scope), min=1, max=3, required=True)
    expires_at = Moment(allow_none=True, load_default=None)


class TokenAnswer(Answer):
    """A token, without the token itself."""

    id = Id()
    name = Said()
    scopes = Listed(Choice(Scope))
    created_at = Moment()
    expires_at = Moment(allow_none=True)
    last_used_at = Moment(allow_none=True)


class MadeTokenAnswer(TokenAnswer):
    """A new token, shown this once."""

    token = Said()


class AuditQuery(PageQuery):
    """Which entries."""

    noun = Text(min=1, max=50)
    item_id = QueryId()
    actor = Text(min=1, max=200)


class AuditAnswer(Answer):
    """One change."""

    id = Id()
    at = Moment()
    actor = Said()
    action = Said()
    noun = Said()
    item_id = Int(allow_none=True)
    before = Json(metadata={"type": "object"})
    after = Json(metadata={"type": "object"})
    request_id = Said(allow_none=True)
    token_id = Int(allow_none=True)


@blp.route("/tokens")
class Tokens(MethodView):
    @operation("listTokens", Scope.ADMIN, links={"revokeToken": {"tokenId": "$response.body#/items/0/id"}})
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(TokenAnswer, "Token"))
    def get(self, query: dict[str, Any]) -> Any:
        """List tokens that are not revoked, newest first."""
        return page(tokens.list_tokens(**query), query["limit"])

    @operation("createToken", Scope.ADMIN, at_once=True, links={"revokeToken": {"tokenId": "$response.body#/id"}})
    @blp.arguments(NewToken, example={"name": "monitoring", "scopes": ["read"]})
    @blp.response(201, MadeTokenAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Make a token; this answer is the only one that shows it."""
        token, text = tokens.create(context(), **body, actor=actor())
        return {**{name: getattr(token, name) for name in TokenAnswer._declared_fields}, "token": text}


@blp.route("/tokens/<id:token_id>")
class Token(MethodView):
    @operation("revokeToken", Scope.ADMIN, refuses=(404, 409))
    @blp.response(204)
    def delete(self, token_id: int) -> Any:
        """Revoke a token at once."""
        tokens.revoke(context(), token_id, principal())


@blp.route("/audit")
class Audit(MethodView):
    @operation("listAudit", Scope.ADMIN)
    @blp.arguments(AuditQuery, location="query")
    @blp.response(200, page_of(AuditAnswer, "AuditEntry"))
    def get(self, query: dict[str, Any]) -> Any:
        """List who changed what, newest first."""
        return page(audit.list_entries(**query), query["limit"])
