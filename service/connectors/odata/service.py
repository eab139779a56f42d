"""Talking to one OData service: requests, pages and their links, metadata, and the dialect that it speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from service.connectors.http import Answer, HttpClient, Reach, Timeouts, encode_query, shared
from service.connectors.odata.alternates import from_metadata, with_lookups_by_key
from service.connectors.odata.dialect import Dialect
from service.connectors.odata.failures import Context, Refused, Said, failure_of
from service.connectors.odata.metadata import NoMetadata, Schema, read_metadata
from service.connectors.odata.settings import Settings
from service.connectors.odata.tables import EntitySet, entity_set, with_keys_of_its_own, with_options
from service.core.failures import Failure, SideFailed
from service.core.records import AlternateKey, Option

METADATA_LIFE = 300.0
"""Seconds that a service's metadata is used for: it is large, and changes when somebody changes the application."""

_MOST_ROWS = 100_000
"""More rows than any collection has that is read whole, beside those of a table."""

_EMPTY_PAGES = 20
"""So many pages without a record may follow each other before a service is taken to be going round in circles."""


class Service:
    """An OData service, the user that asks it, and its dialect."""

    def __init__(self, settings: Settings, dialect: Dialect, reach: Reach, permit: Callable[[], None]) -> None:
        """`permit` is asked right before each request that writes."""
        self.permit = permit
        self.settings = settings
        self.dialect = dialect
        self.shared = shared(settings.url, settings.auth.identity, settings.company or "")
        self.client = HttpClient(
            settings.url,
            shared=self.shared,
            auth=settings.auth,
            reach=reach,
            headers={
                "Accept": "application/json",
                "OData-MaxVersion": "4.0",
                "OData-Version": "4.0",
                **dialect.headers,
            },
            timeouts=Timeouts(read=settings.timeout, total=max(300.0, settings.timeout)),
            csrf=True,
        )

    def close(self) -> None:
        self.client.close()

    # What there is

    def schema(self, *, anew: bool = False) -> Schema:
        """The service's metadata, kept for a while for all connectors of this user."""
        if anew:
            self.shared.forget("schema")
        return self.shared.keep("schema", lambda: (self._read_schema(), METADATA_LIFE))

    def table(self, name: str) -> EntitySet:
        """An entity set. SideFailed(`table_not_found`)."""
        found = self._declared(name)
        options = self.shared.keep(f"options of {name}", lambda: (self._options(found), METADATA_LIFE))
        keyed = self._with_alternate_keys(self._with_feed(found))
        adapted = self.dialect.adapted(keyed, self.schema().sets.keys())
        if self.settings.more.get("newKeys") == "service":
            adapted = with_keys_of_its_own(adapted)
        return with_options(adapted, options)

    def upserts(self, table: EntitySet) -> bool:
        """Whether a PATCH creates a record of this table under the key in its address, as far as is known by now."""
        said = self.settings.more.get("newKeys", "auto")
        may = said == "upsert" or (said == "auto" and (self.dialect.upserts or table.upsertable))
        return may and self.shared.keep(f"upserts into {table.name}", lambda: (True, METADATA_LIFE))

    def upserts_no_more(self, table: EntitySet) -> None:
        """The service has refused such a PATCH as one that it does not know; it is tried again after a while."""
        self.shared.forget(f"upserts into {table.name}")
        self.shared.keep(f"upserts into {table.name}", lambda: (False, METADATA_LIFE))

    def _declared(self, name: str) -> EntitySet:
        """An entity set as the metadata has it. SideFailed(`table_not_found`)."""
        return entity_set(
            self.schema(), name, lookups=self.dialect.lookups, generated_guids=self.dialect.generated_guids
        )

    def _with_alternate_keys(self, table: EntitySet) -> EntitySet:
        """A table with its alternate keys, and its lookups by those of what they lead to, where that has any."""
        bound = {one.bind for one in table.properties.values() if one.bind is not None}
        targets = {name: self._declared(name) for name in bound if self.schema().alternate_keys(name)}
        keyed = replace(table, table=replace(table.table, alternate_keys=self._alternate_keys(table)))
        return with_lookups_by_key(keyed, {name: (one, self._alternate_keys(one)) for name, one in targets.items()})

    def _alternate_keys(self, table: EntitySet) -> tuple[AlternateKey, ...]:
        """The alternate keys of a table; none where the user may not ask how far they are."""

        def ask() -> tuple[AlternateKey, ...]:
            try:
                known = self.dialect.alternate_keys(table, self.ask)
            except Refused:
                return ()
            declared = self.schema().alternate_keys(table.name)
            return from_metadata(table, declared) if known is None else known

        return self.shared.keep(f"alternate keys of {table.name}", lambda: (ask(), METADATA_LIFE))

    def _options(self, table: EntitySet) -> Mapping[str, tuple[Option, ...]]:
        """The options that only the dialect knows; none where the user may not ask for them."""
        try:
            return self.dialect.options(table, self.ask)
        except Refused:
            return {}

    def _with_feed(self, table: EntitySet) -> EntitySet:
        """A table that tells changes where a person says so, or (`auto`) where the metadata does."""
        said = self.settings.delta_links
        tells = table.table.tells_changes if said == "auto" else said == "on"
        return replace(table, table=replace(table.table, tells_changes=tells))

    def _read_schema(self) -> Schema:
        accepted = {"Accept": "application/xml, application/json;q=0.9"}
        answer = self.client.send("GET", self.dialect.metadata, headers=accepted)
        if not answer.ok:
            raise SideFailed(failure_of(said(answer), Context("$metadata")))
        try:
            return read_metadata(answer.body, answer.headers.get("content-type", ""))
        except NoMetadata as error:
            raise SideFailed(Failure("connection_failed", {"detail": f"$metadata is {error}"})) from error

    def place(self, name: str) -> str:
        """Where an entity set is, relative to the service."""
        return self.company_path() + name

    def company_path(self) -> str:
        """The path that comes before every entity set: Business Central's company."""
        company = self.settings.company
        if company is None:
            return ""
        return self.shared.keep("company", lambda: (self.dialect.company_path(company, self.ask), METADATA_LIFE))

    def ask(self, target: str) -> dict[str, Any]:
        """The JSON object at a target that is no table's. Raises Refused, SideFailed."""
        return self.get(target, Context(target.partition("?")[0]))

    def gather(self, target: str) -> list[dict[str, Any]]:
        """All rows of a collection that is no table of a mapping, below the company. Raises Refused, SideFailed."""
        return self.collect(self.company_path() + target, Context(target.partition("?")[0]), _MOST_ROWS)

    # Asking

    def get(
        self, target: str, context: Context, *, headers: Mapping[str, str] | None = None, exact: bool = False
    ) -> dict[str, Any]:
        """The JSON object at a target. `exact`: with all the digits of its numbers. Raises Refused, SideFailed."""
        answer = self.client.send("GET", target, headers=headers)
        if not answer.ok:
            raise Refused(failure_of(said(answer), context), answer.status)
        return opened(answer, exact=exact)

    def collect(
        self,
        target: str,
        context: Context,
        limit: int,
        *,
        headers: Mapping[str, str] | None = None,
        exact: bool = False,
        key: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> list[dict[str, Any]]:
        """Up to `limit` rows from a target, by as many links as the service insists on; no row twice by its `key`."""
        rows: list[dict[str, Any]] = []
        known: set[str] = set()
        seen: set[str] = set()
        empty = 0
        following: str | None = target
        while following is not None and len(rows) < limit:
            url = self.client.locate(following)
            if url in seen or empty > _EMPTY_PAGES:
                raise SideFailed(
                    Failure("connection_failed", {"detail": "its links to further pages go round in circles"})
                )
            seen.add(url)
            page = self.get(url, context, headers=headers, exact=exact)
            found = rows_of(page)
            keys = set() if key is None else set(map(key, found))
            if known & keys:
                raise SideFailed(Failure("connection_failed", {"detail": "its pages repeat records"}))
            known |= keys
            empty = 0 if found else empty + 1
            rows += found
            following = next_link(page)
        return rows[:limit]


def rows_of(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a collection. SideFailed where the answer is none."""
    rows = page.get("value")
    if not isinstance(rows, list):
        raise SideFailed(Failure("connection_failed", {"detail": "an answer without the records that were asked for"}))
    return rows


def next_link(page: Mapping[str, Any]) -> str | None:
    link = page.get("@odata.nextLink", page.get("@nextLink"))
    return link if isinstance(link, str) and link else None


def opened(answer: Answer, *, exact: bool) -> dict[str, Any]:
    """An answer as a JSON object. SideFailed where it is none."""
    body = _exact(answer) if exact else answer.json()
    if not isinstance(body, dict):
        raise SideFailed(Failure("connection_failed", {"detail": "an answer that is no JSON object"}))
    return body


def _exact(answer: Answer) -> Any:
    """JSON whose fractions stay texts: a float has 15 to 17 digits, an amount may have more."""
    try:
        return json.loads(answer.body, parse_float=str)
    except ValueError:
        return answer.json()


def said(answer: Answer) -> Said:
    """What an answer says about what went wrong, whatever it is."""
    try:
        return Said.of(answer.status, orjson.loads(answer.body))
    except orjson.JSONDecodeError:
        return Said(answer.status)


def address(place: str, query: Mapping[str, str]) -> str:
    """A target with a query. Raises UnicodeEncodeError, a ValueError, for a text that cannot be sent."""
    return f"{place}?{encode_query(query)}" if query else place


_KEY_IN_URL = re.compile(r"\((.*)\)\s*$")


def key_in(url: str) -> str | None:
    """What stands between the last brackets of a record's address."""
    found = _KEY_IN_URL.search(url.rpartition("/")[2])
    return found[1] if found else None


def field_names(table: EntitySet) -> Sequence[str]:
    return list(table.properties)
