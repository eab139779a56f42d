"""For each operation of the document, a request that succeeds in the lively world, made of the document's examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.api.world import World

FITTING: Mapping[str, Mapping[str, Any]] = {
    "deleteConnection": {"connectionId": 3},
    "revokeToken": {"tokenId": 2},
    "cleanUpErrors": {"?": "all=true&includeOpen=true"},
    "getTable": {"table": "customer"},
    "getMappingSet": {"name": "sql-customers"},
    "applyMappingSet": {"name": "sql-customers"},
}
"""What an operation needs where the first item of its kind, or the example alone, would not do: by its id."""

SECRET = "/connections/1/notification-secret"
_HOOK = {"url": "https://example.com/accord"}

FIRST: Mapping[str, Callable[[World], Mapping[str, Any]]] = {
    **dict.fromkeys(
        ("getWebhook", "updateWebhook", "deleteWebhook", "renewWebhookSecret", "listWebhookDeliveries"),
        lambda world: {"webhookId": world.ask("POST", "/webhooks", _HOOK).json["id"]},
    ),
    "notifyFromDataverse": lambda world: {
        "?": f"code={world.ask('POST', SECRET).json['secret']}",
        "body": {"PrimaryEntityName": "customer", "MessageName": "Update", "Depth": 1},
    },
    "notifyFromBusinessCentral": lambda world: {
        "body": {"value": [{"clientState": world.ask("POST", SECRET).json["secret"], "resource": "customer"}]}
    },
    "cancelRun": lambda world: {"runId": world.ask("POST", "/sync-runs", {"mappingId": 1}).json["id"]},
}
"""What has to be there before, and gives what fits: by the id of the operation."""


def data_of(path: str, described: Mapping[str, Any], made: Mapping[str, Any]) -> tuple[dict[str, Any], str, Any]:
    """What the path names, the query, and the body, None where there is none."""
    own = {**FITTING.get(described["operationId"], {}), **made}
    examples = {item["name"]: item.get("example") for item in described.get("parameters", []) if item["in"] == "path"}
    content = described.get("requestBody", {}).get("content", {})
    body = next((one["example"] for one in content.values()), None)
    named = {name: own.get(name, examples.get(name, 1)) for name in re.findall(r"\{(\w+)\}", path)}
    return named, own.get("?", ""), own.get("body", body)


def request_of(
    method: str, path: str, described: Mapping[str, Any], made: Mapping[str, Any]
) -> tuple[str, str, Any, dict[str, str]]:
    """Method, address, body and headers."""
    named, query, body = data_of(path, described, made)
    address = path.format_map(named) + (f"?{query}" if query else "")
    return method, address, body, {"If_Match": "*"} if method in ("PUT", "PATCH", "DELETE") else {}


def prepared(world: World, operation: tuple[str, str, Any]) -> Callable[..., Any]:
    """Everything is there; what is given sends the request, with more headers, and gives the answer."""
    first = FIRST.get(operation[2]["operationId"])
    method, address, body, own = request_of(*operation, made={} if first is None else first(world))
    return lambda **headers: world.ask(method, address, body, **own, **headers)
