"""What services that speak OData differ in. `Dialect` is the standard itself; others change what is not as it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias
from urllib.parse import quote

from service.connectors.base import Check
from service.connectors.odata.tables import EntitySet
from service.core.records import Option, Selection, Stamp

Ask: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Gets the JSON object at a target of the service. Raises SideFailed, and Refused where the service refuses."""


class Dialect:
    """OData 4.0 as the standard has it."""

    SETTINGS: ClassVar[Mapping[str, str]] = {}
    """The settings of this dialect alone."""

    headers: Mapping[str, str] = {}
    """What goes with every request."""

    metadata: str = "$metadata"
    """Where the metadata is, with its annotations."""

    delta_links: str = "auto"
    """Whether delta links are followed: on, off, or auto: where the metadata says that changes are tracked."""

    row_headers: Mapping[str, str] = {}
    """What goes with requests for records."""

    batch: str = "auto"
    """The kind of `$batch`: json, multipart, none, or auto: whatever the service takes."""

    batch_size: int = 100
    """How many requests a batch has."""

    overlap: Stamp = 5_000_000
    """Microseconds behind the watermark that are read again."""

    generated_guids: bool = False
    """Whether the service makes keys that are GUIDs."""

    versions: bool = False
    """Whether an ETag is another after every change. The standard asks for it; many services make it from a stamp."""

    always_stamped: bool = False
    """Whether every record has a stamp, whatever the metadata says."""

    joins_fields: bool = True
    """Whether a condition may have an `or` between different fields."""

    lookups: bool = False
    """Whether references to one record are fields by the name of their navigation property."""

    largest_count: int | None = None
    """The number from which on the service does not count."""

    def root(self, url: str) -> str:
        """Where the service is, for the address that a person gave."""
        return url if url.endswith("/") else url + "/"

    def adapted(self, table: EntitySet) -> EntitySet:
        """A table with what this dialect knows better than its metadata."""
        return table

    def options(self, table: EntitySet, ask: Ask) -> Mapping[str, tuple[Option, ...]]:  # noqa: ARG002
        """Options of fields, by property, that the metadata does not tell."""
        return {}

    def required(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """The settings that have to be there."""
        return ("tokenUrl",) if settings.get("auth") == "clientCredentials" else ()

    def filled(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings with what follows from others."""
        return settings

    def company_path(self, company: str, ask: Ask) -> str:  # noqa: ARG002
        """The path before every entity set, for the company that the settings name."""
        return ""

    def link(self, service_url: str, table: str, key: str) -> str | None:  # noqa: ARG002
        """Where a person opens a record, as far as the address tells."""
        return None

    def checks(self, ask: Ask, tables: Sequence[Selection]) -> Sequence[Check]:  # noqa: ARG002
        """The setup checks that only this dialect can make."""
        return []


def filled(template: str, table: str, key: str) -> str:
    """A link with a table and a key put in, as parts of a URL."""
    return template.replace("{table}", quote(table, safe="")).replace("{key}", quote(key, safe=""))
