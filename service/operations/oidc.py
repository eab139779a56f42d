"""Bearer tokens of an OpenID Connect provider: signed JWTs, held against its published keys, and what they allow.

Only asymmetric signatures are taken, so that nothing public can be used as a secret. The keys are fetched when they are
needed, kept for an hour, and fetched anew for a key that is not known yet, but never more often than twice a minute:
tokens with made-up key ids must not become requests to the provider.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from urllib.parse import urlsplit

import structlog
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from service.connectors.http import Answer, HttpClient, NoAuth, Reach, Shared, Timeouts
from service.core.errors import AccordError
from service.core.failures import SideFailed
from service.operations.tokens import Principal, Scope

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that are taken. None of them has a secret that could be public, and `none` is no signature."""

KEYS_LIVE = 3_600.0
"""Seconds after which keys are fetched anew, so that one that was withdrawn is good no longer than that."""

PAUSE = 30.0
"""Seconds at least between two fetches."""

LEEWAY = 30
"""Seconds that the provider's clock may differ from ours."""

_TIMEOUTS = Timeouts(connect=5.0, read=5.0, total=10.0)
_KEY_TYPES = ("RSA", "EC")
log = structlog.get_logger()


class ProviderUnreachable(AccordError):
    """The provider's keys are not known and cannot be fetched now."""

    def __init__(self) -> None:
        super().__init__("identity_provider_unreachable")


@dataclass(frozen=True, slots=True)
class Provider:
    """Who issues tokens, for whom, and what their scopes are called there. `claim` may go into objects: `a.roles`."""

    issuer: str
    audience: str
    claim: str
    scopes: Mapping[Scope, str]


class Oidc:
    """Tokens of one provider. Safe for threads."""

    def __init__(
        self,
        provider: Provider,
        networks: tuple[IPv4Network | IPv6Network, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`networks`: private ones that the provider may be in under a name. Fetches nothing yet."""
        self.provider = provider
        self._configuration: Mapping[str, Any] = {}
        self._reach = Reach(networks)
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: dict[str, jwk.Key] = {}
        self._fetched = self._tried = float("-inf")
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": provider.issuer},
            aud={"essential": True, "value": provider.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def authenticate(self, text: str) -> Principal | None:
        """Whose token this is, None when it is not good. Raises ProviderUnreachable."""
        claims = self.verified(text, self._claims)
        return None if claims is None else self.principal(claims)

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Whom the claims of a verified token are about, and what they may do."""
        return _principal(self.provider, claims)

    def configuration(self) -> Mapping[str, Any]:
        """What the provider has published about itself. Raises ProviderUnreachable."""
        if not self._configuration:
            with self._fetching:
                self._fetch("")
        if not self._configuration:
            raise ProviderUnreachable
        return self._configuration

    def verified(self, text: str, checks: jwt.JWTClaimsRegistry) -> Mapping[str, Any] | None:
        """The claims of a token that the provider has signed and that pass the checks. Raises ProviderUnreachable."""
        try:
            header = jws.extract_compact(text.encode()).headers()
            key = self._key(str(header.get("kid", "")), str(header.get("alg", "")))
            if key is None:
                return None
            token = jwt.decode(text, key, algorithms=list(ALGORITHMS))
            checks.validate(token.claims)
        except (JoseError, ValueError):
            return None
        return token.claims

    def _key(self, id: str, algorithm: str) -> jwk.Key | None:
        """The key with this id, if it is one for this algorithm."""
        if algorithm not in ALGORITHMS:
            return None
        known = id in self._keys
        # Whoever's key is known need not wait for another's fetch.
        if (not known or self._clock() - self._fetched >= KEYS_LIVE) and self._fetching.acquire(blocking=not known):
            try:
                self._fetch(id)
            finally:
                self._fetching.release()
        if self._fetched == float("-inf"):
            raise ProviderUnreachable
        key = self._keys.get(id)
        return key if key is not None and key.alg in (None, algorithm) else None

    def _fetch(self, id: str) -> None:
        """Learn the keys, unless that was just done; while the provider does not answer, known ones are still good."""
        now = self._clock()
        if now - self._tried < PAUSE or (id in self._keys and now - self._fetched < KEYS_LIVE):
            return
        self._tried = now
        try:
            said = self._get(self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if said.get("issuer") != self.provider.issuer:
                raise ValueError("its configuration names another issuer")
            self._keys = dict(_usable(self._get(own_address(str(said["jwks_uri"]), self.provider.issuer))))
            self._configuration = said
            self._fetched = now
        except (SideFailed, JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("identity_provider_unreachable", error=type(error).__name__, detail=str(error)[:200])

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """One request to the provider, kept to addresses that may be reached. Raises SideFailed."""
        client = HttpClient(url, shared=Shared(), auth=NoAuth(), reach=self._reach, timeouts=_TIMEOUTS)
        try:
            return client.send(method, headers=headers, body=body)
        finally:
            client.close()

    def _get(self, url: str) -> Mapping[str, Any]:
        answer = self.ask("GET", url, {"Accept": "application/json"})
        if not answer.ok:
            raise ValueError(f"it answered {answer.status}")
        said: Mapping[str, Any] = answer.json()
        return said


def own_address(url: str, issuer: str) -> str:
    """An address that the provider has published: over TLS wherever the issuer is. Raises ValueError."""
    if urlsplit(url).scheme not in ("https", urlsplit(issuer).scheme):
        raise ValueError("one of its addresses is not over https")
    return url


def _usable(said: Mapping[str, Any]) -> list[tuple[str, jwk.Key]]:
    """The keys for signatures, by id; a kind of key that is not known is left out."""
    found = []
    for item in said["keys"]:
        if item.get("kty") in _KEY_TYPES and item.get("use", "sig") == "sig" and isinstance(item.get("kid"), str):
            try:
                found.append((item["kid"], jwk.import_key(item)))
            except (JoseError, ValueError):
                log.warning("identity_provider_key_unusable", kid=item["kid"][:100])
    return found


def _principal(provider: Provider, claims: Mapping[str, Any]) -> Principal:
    held = _words(claims, provider.claim)
    scopes = tuple(scope.value for scope in Scope if provider.scopes.get(scope) in held)
    name = next((str(claims[name]) for name in ("preferred_username", "client_id", "azp") if claims.get(name)), "")
    subject = str(claims["sub"])
    return Principal(f"oidc:{subject}", f"oidc:{name or subject}"[:200], scopes)


def _words(claims: Mapping[str, Any], path: str) -> set[str]:
    """The words of a claim: a list, or a text with blanks between them; the claim's own name may have dots."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return set(found.split())
    return {word for word in found if isinstance(word, str)} if isinstance(found, list) else set()
