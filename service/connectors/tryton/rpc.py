"""Calls to a Tryton server: JSON over HTTP, a session that is renewed, and errors that say what they are by a name."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from service.connectors.http import HttpClient, NoAuth, Reach, Timeouts, shared, shorten
from service.connectors.tryton.settings import Settings
from service.core.failures import Failure, SideFailed

_SESSION_SECONDS = 3_600.0
"""How long a session is used without asking; the server ends an idle one sooner, and says so by a 401."""

_CONTEXT: Mapping[str, Any] = {"active_test": False}
"""With every call: a record that is not active any more is still there."""

_KINDS = {"Accept": "application/json", "Content-Type": "application/json"}


TOO_LARGE = "RequestEntityTooLarge"
"""The name of a refusal of the server, or of what stands before it, that looks at the size of a request alone."""


class Refused(Exception):
    """A call that the server carried out and answered with an error; `name` is the error's."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name)
        self.name = name
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks: a session that is fetched with the password, and again when the server has ended it."""

    settings: Settings

    @property
    def identity(self) -> str:
        one = self.settings
        return f"tryton\0{one.url}\0{one.database}\0{one.username}\0{one.password}"

    def headers(self, reach: Reach) -> Mapping[str, str]:
        token: str = shared(self.identity).keep("session", lambda: (self._log_in(reach), _SESSION_SECONDS))
        return {"Authorization": f"Session {token}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        shared(self.identity).forget("session", refused.get("Authorization", "").removeprefix("Session "))
        return True

    def _log_in(self, reach: Reach) -> str:
        one = self.settings
        client = _client(one, NoAuth(), reach, shared("login", self.identity))
        try:
            found = _call(client, "common.db.login", [one.username, {"password": one.password}, "en"])
        except Refused as refused:  # A server that asks for more than a password.
            raise SideFailed(Failure("credentials_rejected", {"detail": shorten(refused.name)})) from None
        finally:
            client.close()
        if not isinstance(found, list) or len(found) < 2:
            raise SideFailed(Failure("credentials_rejected", {"detail": "no session"}))
        return base64.b64encode(f"{one.username}:{found[0]}:{found[1]}".encode()).decode()


class Rpc:
    """The methods of a server's models. Used by one thread at a time."""

    def __init__(self, settings: Settings, reach: Reach) -> None:
        self._settings = settings
        self._session = Session(settings)
        self._reach = reach
        self._client = _client(settings, self._session, reach, shared(self._session.identity))
        self.date: float | None = None
        """The server's clock when it last answered, in seconds."""

    def close(self) -> None:
        self._client.close()

    def user(self) -> int:
        """The id of the user of the session."""
        token = self._session.headers(self._reach)["Authorization"].removeprefix("Session ")
        return int(base64.b64decode(token).decode().split(":")[-2])

    def call(self, model: str, method: str, *params: Any, context: Mapping[str, Any] | None = None) -> Any:
        """What a method of a model answers. Raises Refused, SideFailed."""
        return _call(self._client, f"model.{model}.{method}", [*params, {**_CONTEXT, **(context or {})}], self._seen)

    def _seen(self, date: float | None) -> None:
        self.date = date


def _client(settings: Settings, auth: Any, reach: Reach, share: Any) -> HttpClient:
    base = f"{settings.url}/{settings.database}/rpc/"
    return HttpClient(base, shared=share, auth=auth, reach=reach, headers=_KINDS, timeouts=Timeouts())


def _call(
    client: HttpClient, method: str, params: list[Any], seen: Callable[[float | None], None] | None = None
) -> Any:
    answer = client.send("POST", body=orjson.dumps({"id": 1, "method": method, "params": params}))
    if seen is not None:
        seen(_date(answer.headers.get("date", "")))
    if answer.status == 404:
        raise SideFailed(Failure("connection_failed", {"detail": "the server has no such database"}))
    if answer.status == 403:
        raise Refused("Forbidden", "the server forbids it")
    if answer.status == 413:
        raise Refused(TOO_LARGE, "the server refuses so much at once")
    if not answer.ok:
        raise SideFailed(Failure("connection_failed", {"detail": f"the server answered {answer.status}"}))
    said = answer.json()
    if not isinstance(said, dict) or ("result" not in said and "error" not in said):
        raise SideFailed(Failure("connection_failed", {"detail": "an answer that is no JSON-RPC"}))
    if "error" not in said:
        return said["result"]
    raise _refused(said["error"])


_MEANT: Mapping[str, int] = {"UserError": 0, "UserWarning": 1, "LoginException": 1, "ConcurrencyException": 0}
"""Errors that are meant for a person, by their names, and where among what they say the sentence is: a warning and a
question begin with a name of their own."""


def _refused(error: Any) -> Refused:
    """The error of an answer: a name and what it says. Of any other, the first is its text, and where in the server's
    program it came up follows, which is of no use to anybody here."""
    parts = error if isinstance(error, list) and error else [str(error)]
    name = str(parts[0])
    if name not in _MEANT:
        return Refused(name, without_values(name.partition("\n")[0]))
    said = parts[1] if len(parts) > 1 else ""
    words = said if isinstance(said, list) else [said]
    text = words[min(_MEANT[name], len(words) - 1)] if words else ""
    return Refused(name, without_values(str(text or "")))


def without_values(text: str) -> str:
    """A sentence of the server without what it quotes, which may be a value."""
    return shorten(re.sub(r'"[^"]*"|“[^”]*”|\'[^\']*\'', "…", text))


def _date(header: str) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError):
        return None
