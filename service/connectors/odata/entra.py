"""Tokens of Microsoft Entra for the dialects of Microsoft's services: a tenant instead of a token address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from service.connectors.odata.dialect import Dialect

AUTHORITY = "https://login.microsoftonline.com"

ENTRA_SETTINGS: Mapping[str, str] = {
    "tenant": "With clientCredentials: the tenant of Microsoft Entra, instead of tokenUrl.",
    "authority": f"Where Microsoft Entra is ({AUTHORITY}).",
}


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

    def scope(self, url: str) -> str:
        """The scope of all that the application was given: by Entra's rule, that of the service's own address."""
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}/.default"
