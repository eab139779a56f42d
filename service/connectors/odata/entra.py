"""Tokens of Microsoft Entra for the dialects of Microsoft's services: a tenant instead of a token address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from service.connectors.http import Auth
from service.connectors.odata.dialect import Dialect, Problem
from service.connectors.odata.entra_tokens import Certificate, EntraCredentials, NoCertificate, load_msal

AUTHORITY = "https://login.microsoftonline.com"

ENTRA_SETTINGS: Mapping[str, str] = {
    "tenant": "With clientCredentials: the tenant of Microsoft Entra, instead of tokenUrl.",
    "authority": f"Where Microsoft Entra is ({AUTHORITY}).",
}


def _by_tenant(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("tenant")) and not settings.get("tokenUrl")


def _problems(settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        load_msal()
    except ImportError:
        yield "tenant", "driver_missing", {"package": "msal"}
    if not str(settings.get("authority", AUTHORITY)).startswith("https:"):
        yield "authority", "not_a_web_address", {"name": "authority"}
    if "certificate" in credentials:
        try:
            Certificate.read(str(credentials["certificate"]))
        except NoCertificate:
            yield "certificate", "not_a_certificate", {}


class EntraDialect(Dialect):
    """A dialect whose tokens come from a tenant."""

    SETTINGS: ClassVar[Mapping[str, str]] = ENTRA_SETTINGS

    def required(self, settings: Mapping[str, Any]) -> Sequence[str]:
        if settings.get("auth") != "clientCredentials" or settings.get("tokenUrl"):
            return ()
        return ("tenant",)

    def filled(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the token address and the scope that follow from the tenant and the service's address."""
        if not settings.get("tenant") or settings.get("tokenUrl"):
            return settings
        authority = settings.get("authority", AUTHORITY).rstrip("/")
        return {
            "tokenUrl": f"{authority}/{settings['tenant']}/oauth2/v2.0/token",
            "scope": self.scope(settings["url"]),
            "tokenAuth": "post",
            **settings,
        }

    def auth(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | None:
        """Tokens of the tenant by Microsoft's own library; of a token address that was said, as everywhere."""
        if not _by_tenant(settings):
            return None
        place = f"{settings.get('authority', AUTHORITY).rstrip('/')}/{settings['tenant']}"
        scope = settings.get("scope") or self.scope(settings["url"])
        pem = credentials.get("certificate")
        certificate = None if pem is None else Certificate.read(pem)
        return EntraCredentials(place, credentials["clientId"], scope, credentials.get("clientSecret", ""), certificate)

    def proofs(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Sequence[str]:
        certified = _by_tenant(settings) and "certificate" in credentials
        return ("clientId", "certificate") if certified else super().proofs(settings, credentials)

    def problems(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Sequence[Problem]:
        if not _by_tenant(settings) or settings.get("auth") != "clientCredentials":
            return ()
        return list(_problems(settings, credentials))

    def scope(self, url: str) -> str:
        """The scope of all that the application was given: by Entra's rule, that of the service's own address."""
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}/.default"
