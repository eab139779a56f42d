"""How a client says who it is: not at all, with a password, with a token, or with tokens that it fetches."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.connectors.http.addresses import Reach
from service.connectors.http.client import Answer, HttpClient, Timeouts, encode_query, shorten
from service.connectors.http.sharing import shared
from service.core.failures import Failure, SideFailed

_DEFAULT_LIFE = 300.0
"""Seconds that a token is used for where its endpoint does not say how long it is good."""

_TOKEN_TIMEOUTS = Timeouts(connect=10.0, read=30.0, total=60.0)


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Anybody may ask."""

    identity: str = ""

    def headers(self, reach: Reach) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True, repr=False)
class Basic:
    """A user name and a password with every request."""

    username: str
    password: str

    @property
    def identity(self) -> str:
        return f"{self.username}\0{self.password}"

    def headers(self, reach: Reach) -> Mapping[str, str]:  # noqa: ARG002
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True, repr=False)
class Bearer:
    """A token that somebody else made."""

    token: str

    @property
    def identity(self) -> str:
        return self.token

    def headers(self, reach: Reach) -> Mapping[str, str]:  # noqa: ARG002
        return {"Authorization": f"Bearer {self.token}"}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True, repr=False)
class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749, 4.4): a token from `token_url`, kept until shortly before it expires, and
    fetched anew when it is refused. All connectors of one client share it.

    The client's secret is sent by HTTP Basic (which every server must know), or in the body where `in_body`.
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    in_body: bool = False

    @property
    def identity(self) -> str:
        return "\0".join((self.token_url, self.client_id, self.client_secret, self.scope or ""))

    def headers(self, reach: Reach) -> Mapping[str, str]:
        token: str = shared(self.identity).keep("token", lambda: self._fetch(reach))
        return {"Authorization": f"Bearer {token}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        shared(self.identity).forget("token", refused.get("Authorization", "").removeprefix("Bearer "))
        return True

    def _fetch(self, reach: Reach) -> tuple[str, float]:
        """A new token, and for how many seconds it is used: a tenth of its life, at most a minute, less than it has."""
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        auth: NoAuth | Basic = NoAuth()
        if self.in_body:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            auth = Basic(self.client_id, self.client_secret)
        # What is shared is another's than the token's, whose lock is held here.
        client = HttpClient(
            self.token_url, shared=shared("token", self.identity), auth=auth, reach=reach, timeouts=_TOKEN_TIMEOUTS
        )
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            answer = client.send("POST", headers=kind, body=encode_query(form).encode())
        finally:
            client.close()
        return _token(answer)


def _token(answer: Answer) -> tuple[str, float]:
    """The token of an answer, or why there is none: a client that is not known, or a scope that it may not ask for."""
    if not answer.ok and answer.status not in (400, 403):
        raise SideFailed(Failure("connection_failed", {"detail": f"the token endpoint answered {answer.status}"}))
    said: Any = answer.json()
    said = said if isinstance(said, dict) else {}
    token = said.get("access_token")
    if answer.ok and isinstance(token, str) and token.isascii() and token.isprintable():
        life = said.get("expires_in")
        seconds = float(life) if str(life or "").isdigit() else _DEFAULT_LIFE
        return token, seconds - min(seconds / 10, 60.0)
    detail = shorten(f"{said.get('error', answer.status)}: {said.get('error_description', 'no token')}")
    raise SideFailed(Failure("credentials_rejected", {"detail": detail}))
