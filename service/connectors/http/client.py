"""The HTTP client: one origin, one request at a time over a kept connection, bounded in time and size."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urljoin

import orjson
import urllib3
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError
from urllib3.util import Timeout, Url, parse_url

from service.connectors.http.addresses import Reach
from service.connectors.http.pools import Bound, open_pool
from service.connectors.http.sharing import Shared
from service.core.failures import Failure, SideFailed

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes, counted after decompression. A page of 500 wide records has about one million."""

_CHUNK = 64 * 1024
_DETAIL_LENGTH = 200
_UNAVAILABLE = (502, 503)
_TOO_SLOW = (408, 504)


class Auth(Protocol):
    """How requests say who sends them."""

    @property
    def identity(self) -> str:
        """Who that is, for what is shared: the same for the same user and secret."""

    def headers(self, reach: Reach) -> Mapping[str, str]:
        """The headers that go with every request. May ask a token endpoint."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After a 401 for these headers: whether another attempt may help."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two parts of an answer, and for an exchange as a whole, from its request to the last
    byte of its answer, headers included."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. SideFailed(`connection_failed`) where it is none: a login page, half an answer."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            kind = self.headers.get("content-type", "").partition(";")[0].strip() or "no content type"
            detail = f"an answer that is no JSON ({self.status}, {kind[:60]}, {len(self.body)} bytes)"
            raise SideFailed(Failure("connection_failed", {"detail": detail})) from None

    @property
    def retry_after(self) -> float | None:
        """The seconds that the application asks to wait: `Retry-After` in seconds or as a date of its own clock."""
        text = self.headers.get("retry-after", "").strip()
        try:
            return float(text)
        except ValueError:
            pass
        try:
            until = email.utils.parsedate_to_datetime(text).timestamp()
            now = self.headers.get("date")
            return max(until - (email.utils.parsedate_to_datetime(now).timestamp() if now else time.time()), 0.0)
        except (ValueError, TypeError):
            return None


class HttpClient:
    """Requests to one origin. Used by one thread at a time; proxies of the environment are ignored."""

    def __init__(
        self,
        url: str,
        *,
        shared: Shared,
        auth: Auth,
        reach: Reach,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),
        csrf: bool = False,
        refuses: bool = True,
        largest: int | None = None,
    ) -> None:
        """`url` is where relative targets start from. `csrf`: a 403 that requires a CSRF token is met with one, as SAP
        systems want it. `refuses` False: every answer is returned, also one that says no or points elsewhere.
        `largest`: bytes of an answer. Does not connect."""
        self.base = url
        self.shared = shared
        parsed = parse_url(url)
        self._origin = _origin(parsed)
        self._root = f"{parsed.scheme}://{parsed.netloc}/" if parsed.auth is None else None
        self._auth = auth
        self._reach = reach
        self._headers = {"Accept-Encoding": "gzip, deflate", "User-Agent": "Accord", **(headers or {})}
        self._timeouts = timeouts
        self._csrf = csrf
        self._refuses = refuses
        self._largest = largest or LARGEST_ANSWER
        self._csrf_headers: dict[str, str] = {}
        self._pool: HTTPConnectionPool | None = None
        self._bound = Bound()

    def close(self) -> None:
        """Give back the connection. May be called twice; the next request opens a new one."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def send(
        self, method: str, target: str = "", *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send a request and return its answer. `target` is relative to the base or a URL of the same origin.

        A refused token or CSRF token is renewed once; such a request was not carried out, so it is safe to repeat.
        SideFailed: `connection_failed`, `timeout`, `rate_limited` (with `retryAfter`), `credentials_rejected`,
        `address_refused`.
        """
        url = self.locate(target)
        answer, sent = self._once(method, url, headers, body)
        if answer.status == 401 and self._auth.renew(sent):
            answer, _ = self._once(method, url, headers, body)
        if self._csrf and answer.status == 403 and answer.headers.get("x-csrf-token", "").lower() == "required":
            self._fetch_csrf_token()
            answer, _ = self._once(method, url, headers, body)
        if self._refuses:
            self.refuse(answer)
        self.shared.passed()
        return answer

    def locate(self, target: str) -> str:
        """The URL of a target. SideFailed(`address_refused`) where it leads to another origin."""
        try:
            url = urljoin(self.base, target)
            # What begins like this has no other origin; to take a long address apart costs more than to send it.
            if self._root is not None and url.startswith(self._root):
                return url
            parsed = parse_url(url)
        except (ValueError, HTTPError):
            raise _elsewhere(target) from None
        if _origin(parsed) != self._origin or parsed.auth:
            raise _elsewhere(target)
        return url

    def _once(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> tuple[Answer, Mapping[str, str]]:
        """One exchange; the answer, and the headers that said who asked."""
        self.shared.wait()
        proof = self._auth.headers(self._reach)
        merged = {**self._headers, **(self._csrf_headers if method != "GET" else {}), **(headers or {}), **proof}
        try:
            with self.shared.flight.slot(method, self._timeouts.total):
                return self._exchange(method, url, merged, body), proof
        except (HTTPError, OSError) as error:
            self.close()
            # urllib3 counts a refused connection among the time-outs.
            slow = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
            raise SideFailed(Failure("timeout" if slow else "connection_failed", {"detail": _reason(error)})) from None
        except SideFailed:
            self.close()
            raise

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        deadline = time.monotonic() + self._timeouts.total
        pool = self._opened()
        target = self._request_uri(url)
        self._bound.deadline, self._bound.target = deadline, target if _SENDABLE.fullmatch(target) else None
        response = pool.urlopen(
            method,
            "/" if self._bound.target else target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=True,
        )
        try:
            content = self._read(response, deadline)
        except BaseException:
            response.close()  # What is left of the answer must not be taken for the next one.
            raise
        response.release_conn()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, names, content, url)

    def _request_uri(self, url: str) -> str:
        """A URL as the line of a request has it; the pool encodes what is not allowed there, and leaves out a
        fragment."""
        if self._root is not None and url.startswith(self._root):
            return url[len(self._root) - 1 :]
        return parse_url(url).request_uri

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        parts, size = [], 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self._largest:
                raise SideFailed(Failure("connection_failed", {"detail": f"an answer of over {self._largest} bytes"}))
            if time.monotonic() > deadline:
                raise TimeoutError(f"no complete answer within {self._timeouts.total:g} seconds")
        return b"".join(parts)

    def _opened(self) -> HTTPConnectionPool:
        if self._pool is None:
            timeout = Timeout(connect=self._timeouts.connect, read=self._timeouts.read)
            self._pool = open_pool(*self._origin, timeout, self._reach, self._bound)
        return self._pool

    def refuse(self, answer: Answer) -> None:
        """SideFailed for what no caller can do anything about."""
        if answer.ok:
            return
        detail = _first_words(answer)
        if answer.status == 401:
            code = "password_change_required" if PASSWORD_ENDED.search(detail) else "credentials_rejected"
            raise SideFailed(Failure(code, {"detail": detail}))
        if 300 <= answer.status < 400 and answer.status != 304:
            raise _elsewhere(answer.headers.get("location", ""))
        if answer.status in _TOO_SLOW:
            raise SideFailed(Failure("timeout", {"detail": detail}))
        if answer.status == 429 or answer.status in _UNAVAILABLE:
            seconds = self.shared.pause(answer.retry_after)
            code = "rate_limited" if answer.status == 429 else "connection_failed"
            raise SideFailed(Failure(code, {"detail": detail, "retryAfter": round(seconds, 3)}))

    def _fetch_csrf_token(self) -> None:
        """A token and the session that it belongs to, for the writes from now on."""
        self._csrf_headers = {}
        answer, _ = self._once("GET", self.base, {"X-CSRF-Token": "Fetch", "Accept": "application/json"}, None)
        token = answer.headers.get("x-csrf-token")
        if token and token.lower() != "required":
            self._csrf_headers = {"X-CSRF-Token": token}
            cookies = answer.headers.get("set-cookie", "")
            pairs = [part.partition(";")[0].strip() for part in _split_cookies(cookies)]
            if any(pairs):
                self._csrf_headers["Cookie"] = "; ".join(pair for pair in pairs if pair)


def encode_query(parameters: Mapping[str, str]) -> str:
    """A query with blanks as %20, which every server reads; "+" is a plus to some and a blank to others. Raises
    UnicodeEncodeError for half a surrogate pair."""
    return "&".join(f"{quote(name, safe='$@')}={_UNSAFE.sub(_quoted, value)}" for name, value in parameters.items())


_SENDABLE = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*)*")
"""What the line of a request can say as it is. Each character fits in one way only: a link that a service sends may be
long, and end in something else, and must not be gone through again and again for that."""

_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$'()*,:@/]+")
"""What has to be encoded: little of a long condition."""


def _quoted(found: re.Match[str]) -> str:
    return quote(found[0], safe="")


PASSWORD_ENDED = re.compile(
    "password (has |is )?expired|must change.{0,20}password|password must be changed|password change (is )?required",
    re.IGNORECASE,
)
"""How services say that a password is right and must be changed first."""


def shorten(text: str) -> str:
    """A foreign sentence on one line, cut to 200 characters: it may quote the whole value that was rejected."""
    kept = " ".join(text.split())
    return kept if len(kept) <= _DETAIL_LENGTH else kept[: _DETAIL_LENGTH - 1] + "…"


def _first_words(answer: Answer) -> str:
    kind = answer.headers.get("content-type", "")
    said = answer.body[:1000].decode("utf-8", "replace") if "html" not in kind else ""
    return shorten(f"status {answer.status} {said}")


def _split_cookies(header: str) -> list[str]:
    """Several cookies in one header; a comma inside a date is no separator, for no name stands before its "="."""
    parts: list[str] = []
    for part in header.split(","):
        if "=" in part.partition(";")[0] or not parts:
            parts.append(part)
        else:
            parts[-1] += "," + part
    return parts


def _origin(url: Url) -> tuple[str, str, int]:
    scheme = (url.scheme or "").lower()
    return scheme, (url.host or "").lower(), url.port or (443 if scheme == "https" else 80)


def _elsewhere(target: str) -> SideFailed:
    """Neither a link nor a redirect leads out of the origin that the connection names: its credentials stay there."""
    try:
        host = parse_url(target).host or ""
    except HTTPError:
        host = ""
    return SideFailed(
        Failure("address_refused", {"rule": "elsewhere", "address": shorten(target), "host": host}, (host,))
    )


def _reason(error: Exception) -> str:
    """What went wrong, without the addresses of objects that urllib3 puts before it."""
    text = str(error.args[-1] if error.args else error) or type(error).__name__
    return shorten(text.rpartition(">: ")[2] if ">: " in text else text)
