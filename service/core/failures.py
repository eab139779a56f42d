"""What can go wrong with a record, a side or a run, grouped by what is to be done about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Category(StrEnum):
    """The kind of an error, as the errors list shows it."""

    COUPLED_RECORD = "coupledRecord"
    SETUP = "setup"
    CONFLICT = "conflict"
    TRANSIENT = "transient"
    DATA = "data"


class Responsibility(StrEnum):
    """Who can put an error right; nobody has to for one that passes by itself."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Kind:
    """What every failure with one code has in common."""

    category: Category
    responsibility: Responsibility


_RECORD = Kind(Category.DATA, Responsibility.USER)
_COUPLED = Kind(Category.COUPLED_RECORD, Responsibility.USER)
_SETUP = Kind(Category.SETUP, Responsibility.ADMINISTRATOR)
_TRANSIENT = Kind(Category.TRANSIENT, Responsibility.NONE)

FAILURES: Mapping[str, Kind] = {
    "destination_modified_later": Kind(Category.CONFLICT, Responsibility.USER),
    "partner_deleted": _COUPLED,
    "value_rejected": _RECORD,
    "value_too_long": _RECORD,
    "value_not_mapped": _RECORD,
    "reference_not_coupled": _COUPLED,
    "ambiguous_match": _RECORD,
    "uncertain_after_restore": _COUPLED,
    "record_not_found": _RECORD,
    "permission_denied": _SETUP,
    "credentials_rejected": _SETUP,
    "password_change_required": _SETUP,
    "integration_user_is_administrator": _SETUP,
    "exchange_rate_missing": _SETUP,
    "table_not_found": _SETUP,
    "field_not_found": _SETUP,
    "not_a_database": _SETUP,
    "connection_disabled": _SETUP,
    "mapping_disabled": _SETUP,
    "mapping_invalid": _SETUP,
    "no_field_mappings": _SETUP,
    "mass_deletion": _SETUP,
    "side_is_empty": _SETUP,
    "side_went_back": _SETUP,
    "secret_lost": _SETUP,
    "address_refused": _SETUP,
    "internal_error": _SETUP,
    "connection_failed": _TRANSIENT,
    "rate_limited": _TRANSIENT,
    "timeout": _TRANSIENT,
    "record_locked": _TRANSIENT,
    "record_moved": _TRANSIENT,
}
"""Every code an error can have, and its kind."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong, as data: a code of `FAILURES` and the parameters its sentence is made from.

    `cause` holds those parameters that make two failures the same cause (a field, a constraint: not a record's key).
    """

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    cause: tuple[str, ...] = ()

    @property
    def category(self) -> Category:
        return FAILURES[self.code].category

    @property
    def responsibility(self) -> Responsibility:
        return FAILURES[self.code].responsibility

    @property
    def transient(self) -> bool:
        return self.category is Category.TRANSIENT

    @property
    def stops_run(self) -> bool:
        """Whether every further record would fail for the same reason."""
        return self.category is Category.SETUP

    @property
    def fingerprint(self) -> str:
        """The same for two failures of one cause: 16 hexadecimal digits."""
        text = json.dumps([self.code, *self.cause], ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class SideFailed(Exception):
    """A side cannot be worked with at all: unreachable, refused, table gone. Raised by connectors."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code, dict(failure.params))
        self.failure = failure
