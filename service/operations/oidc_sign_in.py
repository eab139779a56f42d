"""Signing in with an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

RFC 6749, RFC 7636, RFC 9207, and OpenID Connect Core 1.0, section 3.1. Who signed in is what a verified ID token says.
What they may do is in the access token where that is one for us, else in the ID token, or in the granted scope.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from joserfc import jwt

from service.core.errors import AccordError
from service.core.failures import SideFailed
from service.operations.oidc import LEEWAY, Oidc, ProviderUnreachable, own_address
from service.operations.tokens import Principal


class SignInRefused(AccordError):
    """The provider, or what it sent, lets nobody in. `sign_in_refused` says its word on it in `detail`;
    `sign_in_expired` is for an answer to a question that this browser did not ask, or asked long ago."""


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows this service as. `secret`: None for a public client. `scope`: what is asked for.
    `redirect_url`: where people are sent back to; None: as the request came."""

    id: str
    secret: str | None
    scope: str
    redirect_url: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a browser has to remember while somebody is at the provider: all of it is random, none of it is shown."""

    state: str
    nonce: str
    verifier: str


class SignIn:
    """Signing in with one provider as one client. Safe for threads."""

    def __init__(self, oidc: Oidc, client: Client) -> None:
        self._oidc = oidc
        self.client = client

    @property
    def provider(self) -> str:
        """The issuer, to be named on the page."""
        return self._oidc.provider.issuer

    def begin(self, redirect_url: str) -> tuple[str, Attempt]:
        """Where to send somebody, and what to remember. Raises ProviderUnreachable."""
        attempt = Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": redirect_url,
            "scope": self.client.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = self._endpoint("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(question)}", attempt

    def finish(self, attempt: Attempt, code: str, redirect_url: str) -> Principal:
        """Who signed in. Raises SignInRefused and ProviderUnreachable."""
        told = self._exchange(attempt, code, redirect_url)
        claims = self._identity(str(told.get("id_token", "")), attempt.nonce)
        granted = {**({"scope": told["scope"]} if "scope" in told else {}), **claims}
        found = self._oidc.principal(granted)
        # An access token that is one for us says what its holder may do; one for others says nothing.
        access = str(told.get("access_token", ""))
        holder = self._oidc.authenticate(access) if access.count(".") == 2 else None
        if holder is not None and holder.identity == found.identity:
            found = Principal(found.identity, found.name, holder.scopes)
        if not found.scopes:
            raise SignInRefused("sign_in_without_scopes", name=found.name)
        return found

    def _endpoint(self, name: str) -> str:
        try:
            return own_address(str(self._oidc.configuration()[name]), self.provider)
        except (KeyError, ValueError):
            raise ProviderUnreachable from None

    def _exchange(self, attempt: Attempt, code: str, redirect_url: str) -> Mapping[str, Any]:
        """What the provider gives for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": attempt.verifier,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self.client.secret is None:
            form["client_id"] = self.client.id
        elif "client_secret_basic" in self._oidc.configuration().get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            # Both parts are encoded before they are joined (RFC 6749, section 2.3.1).
            pair = f"{quote(self.client.id, safe='')}:{quote(self.client.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.client.id, "client_secret": self.client.secret}
        address = self._endpoint("token_endpoint")
        try:
            answer = self._oidc.ask("POST", address, headers, urlencode(form).encode())
            told = answer.json()
        except SideFailed as error:
            if error.failure.code == "credentials_rejected":
                raise SignInRefused("sign_in_refused", detail="invalid_client") from error
            raise ProviderUnreachable from error
        except ValueError:
            raise ProviderUnreachable from None
        if not isinstance(told, Mapping):
            raise ProviderUnreachable
        if not answer.ok:
            raise SignInRefused("sign_in_refused", detail=str(told.get("error", answer.status))[:200])
        return told

    def _identity(self, text: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that is signed by the provider, for this client, and answers this question."""
        checks = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self.provider},
            aud={"essential": True, "value": self.client.id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        claims = self._oidc.verified(text, checks)
        if claims is None or claims.get("azp", self.client.id) != self.client.id:
            raise SignInRefused("sign_in_refused", detail="id_token")
        return claims
