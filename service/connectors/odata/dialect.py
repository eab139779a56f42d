"""What services that speak OData differ in. `Dialect` is the standard itself; others change what is not as it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias
from urllib.parse import quote

from service.connectors.base import Check
from service.connectors.http import Auth
from service.connectors.odata.tables import EntitySet, Property
from service.core.failures import Failure
from service.core.records import AlternateKey, Option, Scalar, Selection, Stamp

Ask: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Gets the JSON object at a target of the service. Raises SideFailed, and Refused where the service refuses."""

Rows: TypeAlias = Sequence[Mapping[str, Any]]
Gather: TypeAlias = Callable[[str], Rows]
"""Gets all rows of a collection of the service, below its company. Raises SideFailed, Refused."""


Problem: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""Something wrong with the settings: the name, the code of its words, their parameters."""


NEW_KEYS = "How new records get their keys: auto, upsert, post, or service where that makes them."


class Dialect:
    """OData 4.0 as the standard has it."""

    SETTINGS: ClassVar[Mapping[str, str]] = {"newKeys": NEW_KEYS}
    """The settings of this dialect alone."""

    headers: Mapping[str, str] = {}
    """What goes with every request."""

    metadata: str = "$metadata"
    """Where the metadata is, with its annotations."""

    multiple: bool = False
    """Whether there may be Dataverse's bulk messages."""

    upserts: bool = False
    """Whether every table takes a PATCH that creates a record under the key in its address."""

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

    reasons: Mapping[str, str] = {}
    """Why a setup check cannot be made, by its code, where that is not as with the standard."""

    blank_guids: bool = False
    """Whether a GUID of zeros stands for none."""

    lookups: bool = False
    """Whether references to one record are fields by the name of their navigation property."""

    largest_count: int | None = None
    """The number from which on the service does not count."""

    def root(self, url: str) -> str:
        """Where the service is, for the address that a person gave."""
        return url if url.endswith("/") else url + "/"

    def adapted(self, table: EntitySet, sets: Collection[str]) -> EntitySet:  # noqa: ARG002
        """A table with what this dialect knows better than its metadata, which has these sets."""
        return table

    def options(self, table: EntitySet, ask: Ask) -> Mapping[str, tuple[Option, ...]]:  # noqa: ARG002
        """Options of fields, by property, that the metadata does not tell."""
        return {}

    def alternate_keys(self, table: EntitySet, ask: Ask) -> tuple[AlternateKey, ...] | None:  # noqa: ARG002
        """The alternate keys of a table where the dialect knows more of them than the metadata does; else None."""
        return None

    def completed(self, rows: Rows, made: Collection[Property], gather: Gather) -> Rows:  # noqa: ARG002
        """Rows with the values that the dialect makes."""
        return rows

    def writes_begin(self) -> None:
        """A page is about to be written: what is kept for `unmade` may be too old for it."""

    def unmade(self, one: Property, value: Scalar, gather: Gather) -> tuple[str, Scalar] | None:  # noqa: ARG002
        """The value of a field that the dialect makes, as a field of the service and its value; None where no record
        can have it."""
        return None

    def refusal(self, table: str, values: Mapping[str, Scalar], *, new: bool) -> Failure | None:  # noqa: ARG002
        """Why a record should not even be sent, where the service would say it in a riddle."""
        return None

    def required(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """The settings that have to be there."""
        return ("tokenUrl",) if settings.get("auth") == "clientCredentials" else ()

    def filled(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings with what follows from others."""
        return settings

    def auth(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | None:  # noqa: ARG002
        """How tokens are got in this dialect's own way; None: as everywhere."""
        return None

    def proofs(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        """With clientCredentials: the credentials that there have to be."""
        return ("clientId", "clientSecret")

    def problems(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Sequence[Problem]:  # noqa: ARG002
        """What is wrong with settings and credentials of this dialect alone."""
        return ()

    def company_path(self, company: str, ask: Ask) -> str:  # noqa: ARG002
        """The path before every entity set, for the company that the settings name."""
        return ""

    def link(self, service_url: str, table: str, key: str, company: str | None) -> str | None:  # noqa: ARG002
        """Where a person opens a record, as far as the address and the company tell."""
        return None

    def checks(self, ask: Ask, gather: Gather, tables: Sequence[Selection]) -> Sequence[Check]:  # noqa: ARG002
        """The setup checks that only this dialect can make."""
        return []

    def table_checks(self, table: EntitySet) -> Sequence[Check]:  # noqa: ARG002
        """The checks of one table that only this dialect can make."""
        return []


def filled(template: str, table: str, key: str) -> str:
    """A link with a table and a key put in, as parts of a URL."""
    return template.replace("{table}", quote(table, safe="")).replace("{key}", quote(key, safe=""))
