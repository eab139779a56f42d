"""Many requests in one: `$batch` as JSON or as multipart/mixed, each request an outcome of its own.

Requests of a batch are in no atomic group, so that one bad record spoils no other. A service that stops at the first
failure leaves later requests unanswered, which by the standard were not carried out: they are sent again.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import Message
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from service.connectors.http import Answer
from service.connectors.odata.failures import Context, Refused, Said, failure_of
from service.connectors.odata.service import Service, opened, said
from service.core.failures import Failure, SideFailed

LARGEST_BATCH = 1_000_000
"""Bytes of bodies in one batch; one that is too large all the same is split when the service says so (413)."""

_NOT_KNOWN = (400, 404, 405, 406, 415, 501)
"""How services refuse a kind of batch that they do not know; nothing of it was carried out."""

_PASSING = (408, 429, 502, 503, 504)


class Request(NamedTuple):
    """One request. `url` is relative to the service."""

    method: str
    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None


class Reply(NamedTuple):
    """One answer; names of headers in lower case. `body` is what JSON said, None where it was none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def send_all(
    service: Service,
    requests: Sequence[Request],
    permit: Callable[[], None] = lambda: None,
    *,
    exact: bool = True,
) -> list[Reply]:
    """The reply to every request, in order, by as few HTTP requests as the service takes. `permit` is asked before each
    of them; what it raises is passed on. `exact`: fractions stay texts, with all their digits."""
    replies: list[Reply] = []
    while len(replies) < len(requests):
        permit()
        if _kind(service) == "none":
            replies.append(_alone(service, requests[len(replies)]))
        else:
            replies += _some(service, _portion(requests[len(replies) :], service.settings.batch_size), exact)
    return replies


def _kind(service: Service) -> str:
    """The kind of batch that this service takes, as far as it is known."""
    if service.settings.batch != "auto":
        return service.settings.batch
    return service.shared.keep("batch", lambda: ("json", float("inf")))


def _portion(requests: Sequence[Request], most: int) -> Sequence[Request]:
    size = 0
    for number, one in enumerate(requests[:most]):
        size += len(one.body or b"") + len(one.url)
        if size > LARGEST_BATCH and number:
            return requests[:number]
    return requests[:most]


def _some(service: Service, requests: Sequence[Request], exact: bool) -> list[Reply]:
    """Replies to the first of some requests, at least one. Another kind of batch is tried where one is not known."""
    kind = _kind(service)
    answer = _FORMS[kind][0](service, requests)
    if answer.status == 413:
        half = requests[: len(requests) // 2]
        return _some(service, half, exact) if half else [Reply(answer.status, answer.headers, None)]
    if service.settings.batch == "auto" and answer.status in _NOT_KNOWN:
        service.shared.forget("batch")
        following = "multipart" if kind == "json" else "none"
        service.shared.keep("batch", lambda: (following, float("inf")))
        return []
    if not answer.ok:
        raise Refused(failure_of(said(answer), Context("$batch", "write")), answer.status)
    replies = _FORMS[kind][1](answer, len(requests), exact)
    for one in replies:
        _refuse_passing(service, one)
    return replies


def _refuse_passing(service: Service, reply: Reply) -> None:
    """SideFailed where a part says that the service has enough: what was written by others is found the next time."""
    if reply.status in _PASSING or reply.status == 401:
        failure = failure_of(said_of(reply), Context("$batch"))
        if reply.status in (429, 503):
            asked = Answer(reply.status, reply.headers, b"", "").retry_after
            seconds = round(service.shared.pause(asked), 3)
            failure = Failure(failure.code, {**failure.params, "retryAfter": seconds})
        raise SideFailed(failure)


def said_of(reply: Reply) -> Said:
    """What a reply says about what went wrong."""
    return Said.of(reply.status, reply.body)


def _alone(service: Service, request: Request) -> Reply:
    """A request without a batch."""
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    answer = service.client.send(request.method, request.url, headers=headers, body=request.body)
    return Reply(answer.status, answer.headers, _loose_json(answer.body))


def _loose_json(text: bytes | str) -> Any:
    """What JSON says, with all digits of its numbers; None where it is none."""
    try:
        return json.loads(text, parse_float=str)
    except ValueError:
        return None


def _in_order(found: Mapping[int, Reply], number: int) -> list[Reply]:
    """The replies to the first requests. A gap before an answered request leaves open what became of it: SideFailed,
    and whoever asked looks what is there."""
    count = min(max(found, default=-1) + 1, number)
    if not count or any(place not in found for place in range(count)):
        raise SideFailed(Failure("connection_failed", {"detail": "a batch whose answers do not fit its requests"}))
    return [found[place] for place in range(count)]


# JSON (OData 4.01, and Business Central)


def _send_json(service: Service, requests: Sequence[Request]) -> Answer:
    parts: list[dict[str, Any]] = []
    for number, (method, url, given, body) in enumerate(requests):
        part: dict[str, Any] = {"id": str(number), "method": method, "url": url, "headers": {**given}}
        if body is not None:
            part["headers"]["Content-Type"] = "application/json"
            part["body"] = orjson.Fragment(body)
        parts.append(part)
    headers = {"Content-Type": "application/json", "Prefer": "continue-on-error, odata.continue-on-error"}
    return service.client.send("POST", "$batch", headers=headers, body=orjson.dumps({"requests": parts}))


def _read_json(answer: Answer, number: int, exact: bool) -> list[Reply]:
    found: dict[int, Reply] = {}
    parts = (_plainly(answer) if not exact else opened(answer, exact=True)).get("responses")
    for one in parts if isinstance(parts, list) else []:
        place = str(one.get("id", "")) if isinstance(one, dict) else ""
        if place.isdigit() and isinstance(one.get("status"), int):
            body, headers = one.get("body"), one.get("headers") or {}
            lowered = {name.lower(): str(value) for name, value in headers.items()}
            found[int(place)] = Reply(one["status"], lowered, _loose_json(body) if isinstance(body, str) else body)
    return _in_order(found, number)


def _plainly(answer: Answer) -> dict[str, Any]:
    """An answer read the fast way, or, where one of its parts has what that refuses (half a letter), the other way: the
    other parts have been carried out, and are to be known."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return opened(answer, exact=True)
    return found if isinstance(found, dict) else opened(answer, exact=True)


# multipart/mixed (OData 4.0, and Dataverse)


def _send_multipart(service: Service, requests: Sequence[Request]) -> Answer:
    boundary = f"batch_{secrets.token_hex(8)}"
    root = urlsplit(service.client.base)
    lines: list[bytes] = []
    for number, one in enumerate(requests):
        headers = {"Host": root.netloc, "Accept": "application/json", **one.headers}
        if one.body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(one.body))}
        lines += [
            f"--{boundary}".encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            f"Content-ID: {number + 1}".encode(),
            b"",
            f"{one.method} {root.path}{one.url} HTTP/1.1".encode(),
            *(f"{name}: {value}".encode() for name, value in headers.items()),
            b"",
            one.body or b"",
        ]
    body = b"\r\n".join([*lines, f"--{boundary}--".encode(), b""])
    headers = {
        "Content-Type": f"multipart/mixed;boundary={boundary}",
        "Accept": "multipart/mixed",
        "Prefer": "odata.continue-on-error",
    }
    return service.client.send("POST", "$batch", headers=headers, body=body)


def _read_multipart(answer: Answer, number: int, _exact: bool) -> list[Reply]:
    """Parts in their order: not every service repeats the Content-ID."""
    kind = answer.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/"):
        raise SideFailed(Failure("connection_failed", {"detail": f"a batch answered with {kind[:60] or 'nothing'}"}))
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    whole = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body)
    return _in_order(dict(enumerate(_parts(whole))), number)


def _parts(message: Message) -> Iterator[Reply]:
    """The replies inside a part, those of change sets among them."""
    if message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _parts(part)
        return
    if message.get_content_type() != "application/http":
        return
    content = message.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    head, _, body = raw.lstrip().partition(b"\r\n\r\n") if b"\r\n\r\n" in raw else raw.lstrip().partition(b"\n\n")
    first, *rest = head.decode("latin-1").splitlines() or [""]
    status = first.split(" ")[1:2]
    if status and status[0].isdigit():
        pairs = (line.partition(":") for line in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        yield Reply(int(status[0]), headers, _loose_json(body.strip()))


_FORMS = {"json": (_send_json, _read_json), "multipart": (_send_multipart, _read_multipart)}
"""How each kind of batch is sent and read."""
