"""The customers of Business Central's contacts, which its API tells from the other end: each customer has its contacts.

A contact belongs to a company, which is a contact itself, and that one may be what a customer is as a contact. Contacts
tell the number of the company alone; `contactsInformation`, below each customer, tells the contacts that it has. From
all of them together comes a field of contacts, `customerId`: read by the company's number, and written as it. A person
may be a customer without a company; then the field can be read and not written.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from service.connectors.odata.dialect import Gather, Rows
from service.connectors.odata.tables import EntitySet, Property
from service.core.records import Field, FieldType

CUSTOMER = "customerId"
_NUMBER, _COMPANY = "number", "companyNumber"
_TABLES = {"customers", "contactsInformation"}
_WANTED = "customers?$select=id&$expand=contactsInformation($select=contactNumber,contactType)"

RECENT = 30.0
"""Seconds that what was read is good for: fewer than the overlap of the readings, which meet what changed meanwhile."""


def with_customer(table: EntitySet, sets: Collection[str]) -> EntitySet:
    """The table of contacts with the field, where the service can tell it, and has none of that name by itself."""
    known = table.properties
    told = {_NUMBER, _COMPANY} <= known.keys() and set(sets) >= _TABLES
    if table.name != "contacts" or CUSTOMER in known or not told:
        return table
    made = Property(Field(CUSTOMER, FieldType.UUID), CUSTOMER, "Edm.Guid", made_of=(_NUMBER, _COMPANY))
    properties = {**known, CUSTOMER: made}
    fields = {name: one.field for name, one in properties.items()}
    return replace(table, properties=properties, table=replace(table.table, fields=fields))


class CustomersOfContacts:
    """Which customer the contacts of a company belong to, as it was a moment ago; for one connector."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._fresh = False
        self._by_company: dict[str, str] = {}
        self._by_person: dict[str, str] = {}
        self._companies: dict[str, str] = {}

    def completed(self, rows: Rows, gather: Gather) -> Rows:
        """Contacts with the ids of their customers."""
        self._look(gather, RECENT)
        return [{**row, CUSTOMER: self._customer(str(row.get(_NUMBER)), str(row.get(_COMPANY)))} for row in rows]

    def writes_begin(self) -> None:
        """A customer that is not known may have been made a moment ago: the first such one is looked for once more."""
        self._fresh = False

    def company(self, customer: str, gather: Gather) -> str | None:
        """The number of the company that a customer is as a contact; None where it is none."""
        if customer not in self._companies and not self._fresh:
            self._look(gather, 0)
        return self._companies.get(customer)

    def _customer(self, number: str, company: str) -> str | None:
        return self._by_company.get(company) or self._by_person.get(number)

    def _look(self, gather: Gather, seconds: float) -> None:
        if time.monotonic() - self._read_at < seconds:
            return
        self._by_company, self._by_person, self._companies = {}, {}, {}
        for row in gather(_WANTED):
            customer = str(row["id"]).lower()
            contacts = [one for one in row.get("contactsInformation") or () if isinstance(one, dict)]
            companies = [str(one["contactNumber"]) for one in contacts if one.get("contactType") == "Company"]
            for number in companies:
                self._by_company[number] = customer
                self._companies.setdefault(customer, number)
            if not companies:
                self._by_person |= {str(one["contactNumber"]): customer for one in contacts}
        self._read_at, self._fresh = time.monotonic(), True


def unmade(customers: CustomersOfContacts, value: object, gather: Gather) -> tuple[str, str] | None:
    """A customer's id as the field of contacts that says the same; None for a customer that is no company there."""
    if value is None:
        return _COMPANY, ""
    number = customers.company(str(value), gather)
    return None if number is None else (_COMPANY, number)
