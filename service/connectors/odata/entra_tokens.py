"""Tokens of Microsoft Entra for an application: Microsoft's own library (MSAL) asks for them, through our own client.

MSAL comes with the extra `entra`. Its requests go to the authority that the connection names and nowhere else, keep to
the time-outs, and follow no redirect, as all of ours do. The proof is a client secret or a certificate and its RSA key.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from service.connectors.http import Answer, HttpClient, NoAuth, Reach, Timeouts, shared, shorten
from service.core.failures import Failure, SideFailed

_TIMEOUTS = Timeouts(connect=10.0, read=30.0, total=60.0)

_EXPIRED = (7000222,)
"""Entra's code for a client secret that has expired (AADSTS7000222)."""

_BAD_ASSERTION = (700027,)
"""Its code for a certificate that it does not accept; the text says whether it has expired."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class NoCertificate(ValueError):
    """A text that is no certificate with its key."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, each as PEM. `expires`: the last moment at which it is good."""

    certificate: str
    key: str
    expires: datetime

    @classmethod
    def read(cls, pem: str) -> Certificate:
        """From one text with both, in any order, the key without a password. Raises NoCertificate."""
        blocks: dict[str, str] = {}
        for block in _BLOCK.finditer(pem):
            blocks.setdefault(block[1], block[0])  # Of a chain, the first certificate is the application's.
        key_name = next((name for name in blocks if name.endswith("PRIVATE KEY")), None)
        if key_name is None or "CERTIFICATE" not in blocks:
            raise NoCertificate("a certificate and its private key are needed")
        try:
            found = x509.load_pem_x509_certificate(blocks["CERTIFICATE"].encode())
            key = load_pem_private_key(blocks[key_name].encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise NoCertificate("what is there cannot be read") from error
        if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != found.public_key():
            raise NoCertificate("the key is not that of the certificate, or no RSA key")
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return cls(blocks["CERTIFICATE"], text, found.not_valid_after_utc)


@dataclass(frozen=True, slots=True, repr=False)
class EntraCredentials:
    """A token for a scope, kept until shortly before it expires, fetched anew when it is refused, and shared by all
    connectors of one client. `authority` is the address of the tenant; exactly one of `secret` and `certificate`."""

    authority: str
    client_id: str
    scope: str
    secret: str = ""
    certificate: Certificate | None = None

    @property
    def identity(self) -> str:
        proof = self.certificate.key if self.certificate else self.secret
        return f"{self.authority}\0{self.client_id}\0{proof}\0{self.scope}"

    def headers(self, reach: Reach) -> Mapping[str, str]:
        token: str = shared(self.identity).keep("token", lambda: self._fetch(reach))
        return {"Authorization": f"Bearer {token}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        shared(self.identity).forget("token", refused.get("Authorization", "").removeprefix("Bearer "))
        return True

    def _fetch(self, reach: Reach) -> tuple[str, float]:
        """A new token, and for how many seconds it is used. SideFailed."""
        if self.certificate is not None and self.certificate.expires < datetime.now(UTC):
            detail = f"the certificate expired on {self.certificate.expires:%Y-%m-%d}"
            raise SideFailed(Failure("password_change_required", {"detail": detail}))
        session = _Session(self.authority, self.identity, reach)
        try:
            application = load_msal().ConfidentialClientApplication(
                self.client_id,
                client_credential=self._proof(),
                authority=self.authority,
                http_client=session,
                validate_authority=False,
                instance_discovery=False,  # Nobody else is asked whether this authority is one.
            )
            said = application.acquire_token_for_client([self.scope])
        except ValueError as error:  # So MSAL says that there is no such tenant.
            raise SideFailed(Failure("credentials_rejected", {"detail": shorten(str(error))})) from None
        finally:
            session.close()
        return _token(said)

    def _proof(self) -> Any:
        if self.certificate is None:
            return self.secret
        return {"private_key": self.certificate.key, "public_certificate": self.certificate.certificate}


def load_msal() -> Any:
    """MSAL. Raises ImportError where it is not installed."""
    return importlib.import_module("msal")


def _token(said: Mapping[str, Any]) -> tuple[str, float]:
    """The token and its life, less a tenth of it or a minute; or why there is none."""
    token = said.get("access_token")
    if isinstance(token, str) and token.isascii() and token.isprintable():
        seconds = float(said.get("expires_in") or 300)
        return token, seconds - min(seconds / 10, 60.0)
    description = str(said.get("error_description") or "no token")
    codes = said.get("error_codes") or [int(code) for code in re.findall(r"AADSTS(\d+)", description)[:1]]
    expired = any(code in _EXPIRED for code in codes) or (
        any(code in _BAD_ASSERTION for code in codes) and "expired" in description
    )
    detail = shorten(f"{said.get('error')}: {description}")
    if said.get("error") == "temporarily_unavailable":
        raise SideFailed(Failure("connection_failed", {"detail": detail}))
    raise SideFailed(Failure("password_change_required" if expired else "credentials_rejected", {"detail": detail}))


class _Said:
    """An answer in the form in which MSAL reads it."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.text = answer.body.decode("utf-8", "replace")
        self.headers = dict(answer.headers)

    def raise_for_status(self) -> None:
        """Nothing is left to be raised: what no caller can do anything about was raised before."""


class _Session:
    """What MSAL sends its requests with: our own client, which keeps to the origin of the authority."""

    def __init__(self, authority: str, identity: str, reach: Reach) -> None:
        # What is shared is another's than the token's, whose lock is held here.
        self._client = HttpClient(
            authority, shared=shared("token", identity), auth=NoAuth(), reach=reach, timeouts=_TIMEOUTS, refuses=False
        )

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> _Said:
        query = f"?{urlencode(params)}" if params else ""
        return self._checked(self._client.send("GET", url + query, headers=headers))

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> _Said:
        query = f"?{urlencode(params)}" if params else ""
        named = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **(headers or {})}
        return self._checked(self._client.send("POST", url + query, headers=named, body=urlencode(data or {}).encode()))

    def close(self) -> None:
        self._client.close()

    def _checked(self, answer: Answer) -> _Said:
        """SideFailed for what only time or an administrator mends; MSAL reads why a client was refused."""
        if answer.status not in (400, 401):
            self._client.refuse(answer)
        if answer.status >= 500:
            raise SideFailed(Failure("connection_failed", {"detail": f"Microsoft Entra answered {answer.status}"}))
        return _Said(answer)
