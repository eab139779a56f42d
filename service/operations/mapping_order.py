"""The order of all mappings, as their field mappings and `dependsOn` say."""

from __future__ import annotations

from collections.abc import Collection

from service.core.ordering import Need, Order, arrange
from service.store import mappings
from service.store.models import Mapping


def needs() -> list[Need]:
    """What every mapping needs of others."""
    said = [Need(owner, other) for owner, others in mappings.dependencies().items() for other in others]
    return said + [Need(*found) for found in mappings.references()]


def order() -> Order:
    """All mappings in the order in which they run. Mappings are refused when they are saved with a ring, so that there
    is none here."""
    found = needs()
    return arrange(mappings.names(), found)


def sequence(ids: Collection[int]) -> list[int]:
    """These mappings in the order in which they run."""
    return [id for id in order().mappings if id in set(ids)]


def is_turned(local_connection: int, integration_connection: int, other: Mapping) -> bool | None:
    """Whether another mapping joins the same connections the other way round; None: it joins others."""
    own, theirs = (
        (local_connection, integration_connection),
        (other.local_connection_id, other.integration_connection_id),
    )
    if own == theirs:
        return False
    return True if own == theirs[::-1] else None
