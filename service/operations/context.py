"""What every operation may need besides its arguments: the secret box and a way to wake the worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from uuid_utils import uuid7

from service.connectors import connector_class
from service.connectors.base import Connector
from service.core.records import Stamp
from service.engine.task import NewKey
from service.operations.kept_connectors import Kept
from service.operations.kept_flows import KeptFlows


class SecretBox:
    """Encrypts credentials at rest. The first key encrypts; the others still decrypt, so that keys can be rotated."""

    def __init__(self, *keys: str) -> None:
        """`keys` are Fernet keys (32 bytes, base64). Raises ValueError for anything else."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, credentials: dict[str, Any]) -> str:
        return self._fernet.encrypt(orjson.dumps(credentials)).decode()

    def open(self, sealed: str | None) -> dict[str, Any]:
        """The credentials; none for None. Raises SecretLost when no key fits."""
        if sealed is None:
            return {}
        try:
            opened: dict[str, Any] = orjson.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise SecretLost from error
        return opened

    def renewed(self, sealed: str) -> str | None:
        """The same under the first key; None when no key fits."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            return None


class SecretLost(Exception):
    """Credentials were encrypted with a key that is not among the present ones."""


def _nobody_to_wake() -> None:
    """The worker, if there is one, looks for itself."""


def wall_clock() -> Stamp:
    """Our own clock, in microseconds."""
    return time.time_ns() // 1000


def steady_clock() -> Callable[[], Stamp]:
    """The clock of the machine as it was when this was called, and from then on the time that passed: it does not jump
    when somebody sets the clock. Microseconds."""
    started = time.time_ns() - time.monotonic_ns()
    return lambda: (started + time.monotonic_ns()) // 1000


def _nothing_to_hand() -> None:
    """Workers find queued runs in the table."""


def _nothing_to_abort(_job_id: int) -> None:
    """No job carries a run."""


def _nothing_to_recall(_job_id: int) -> bool:
    """No job carries a run."""
    return False


def _nowhere_to_note(_run_id: int) -> None:
    """No note is kept of the last run."""


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every operation by whoever put the process together (`app`, `worker`, `cli`, a test).

    `private_networks` may be reached by connections whose addresses are names. `wake` is called after a run was
    committed. For a queue that brings runs to workers, `dispatch` is called in each transaction after which runs may
    begin that could not before, `abort` in one that wants the run of a job to stop, and `recall` in one that wants a
    waiting job to be made anew: it says whether the job was still waiting. `note_run` is told every run that is taken,
    before anything is done for it; `now` is our own clock, in microseconds. `new_key` makes the keys that we choose for
    new records, each greater than the last. `connector_class` says what makes connectors of a kind (KeyError: it is not
    installed). `lease`: microseconds after which a run whose worker is silent may be taken by another; `range_size`:
    into ranges of how many records a large reading is cut. `steady` tells how much time passed between two moments.
    `kept`: connectors that rest; `flows`: what was prepared of mappings.
    """

    secrets: SecretBox
    private_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    wake: Callable[[], None] = field(default=_nobody_to_wake)
    dispatch: Callable[[], None] = field(default=_nothing_to_hand)
    abort: Callable[[int], None] = field(default=_nothing_to_abort)
    recall: Callable[[int], bool] = field(default=_nothing_to_recall)
    note_run: Callable[[int], None] = field(default=_nowhere_to_note)
    now: Callable[[], Stamp] = field(default=wall_clock)
    steady: Callable[[], Stamp] = field(default_factory=steady_clock)
    new_key: NewKey = uuid7
    connector_class: Callable[[str], Callable[[Mapping[str, Any], Mapping[str, Any]], Connector]] = connector_class
    lease: Stamp = 30_000_000
    kept: Kept = field(default_factory=Kept)
    flows: KeptFlows = field(default_factory=KeptFlows)
    range_size: int = 10_000
