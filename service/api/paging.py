"""Lists in pages. A cursor says where the next one starts, and is good only for the list and filters it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import current_app, request
from marshmallow import post_load
from werkzeug.exceptions import BadRequest

from service.api.fields import Answer, Listed, Part, Query, QueryInt, Said, Text

CURSOR_KEY = "ACCORD_CURSOR_KEY"
"""Where the app's configuration keeps the key that cursors are signed with."""

_SEAL = 12


class InvalidCursor(BadRequest):
    """The cursor was not made for this list with these filters."""


class PageQuery(Query):
    """What every list takes."""

    limit = QueryInt(min=1, max=500, load_default=50, metadata={"description": "How many items at most."})
    cursor = Text(min=1, max=400, metadata={"description": "`nextCursor` of the page before, with the same filters."})

    @post_load
    def opened(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """`cursor` becomes `before`, where the page starts."""
        cursor = data.pop("cursor", None)
        return {**data, "before": None if cursor is None else _opened(cursor)}


def page_of(item: type[Answer], name: str) -> type[Answer]:
    """The schema of a page of items."""
    members = {
        "__doc__": "One page of a list.",
        "items": Listed(Part(item)),
        "next_cursor": Said(allow_none=True, metadata={"description": "null on the last page."}),
    }
    return type(f"{name}PageAnswer", (Answer,), members)


def page(
    rows: Sequence[Any], limit: int, position: Callable[[Any], int | str] = attrgetter("id")
) -> tuple[dict[str, Any], dict[str, str]]:
    """Up to `limit` of the rows, and a cursor when there is one more."""
    items = list(rows[:limit])
    if len(rows) <= limit:
        return {"items": items, "next_cursor": None}, {}
    cursor = _made(position(items[-1]))
    query = [(name, value) for name, value in request.args.items() if name != "cursor"]
    following = f"{quote(request.path)}?{urlencode([*query, ('cursor', cursor)])}"
    return {"items": items, "next_cursor": cursor}, {"Link": f'<{following}>; rel="next"'}


def _made(position: int | str) -> str:
    payload = orjson.dumps(position)
    return base64.urlsafe_b64encode(_seal(payload) + payload).decode().rstrip("=")


def _opened(cursor: str) -> int | str:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    seal, payload = raw[:_SEAL], raw[_SEAL:]
    if not hmac.compare_digest(seal, _seal(payload)):
        raise InvalidCursor
    position: int | str = orjson.loads(payload)
    return position


def _seal(payload: bytes) -> bytes:
    """Binds a position to the list and its filters; how long a page is does not matter."""
    filters = sorted((name, value) for name, value in request.args.items() if name not in ("cursor", "limit"))
    message = orjson.dumps([request.path, filters]) + payload
    return hmac.new(current_app.config[CURSOR_KEY], message, hashlib.sha256).digest()[:_SEAL]
