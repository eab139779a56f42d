"""What an operator should know about an installation: processes, clocks, keys, room on the disk, what was due and did
not happen. Each finding has a code, as those of setup checks have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from service.connectors.base import Check
from service.core.failures import Responsibility
from service.operations.context import Context
from service.operations.upgrading import living
from service.store import condition
from service.store.database import is_postgresql, sqlite_file
from service.store.processes import Seen

LATE = 300_000_000
"""Microseconds after which what was due and did not happen is no coincidence any more."""

APART = 1_000_000
"""Microseconds from which on clocks are worth a word; a sixth of a lease apart they endanger runs."""

LEAST_ROOM = 1 << 30
LARGE_LOG = 1 << 28
LONG_TRANSACTION = 3600.0
"""Bytes and seconds from which on the database's housekeeping suffers."""

_WHO = Responsibility.ADMINISTRATOR.value


def inspect(context: Context) -> list[Check]:
    """Every finding on the installation as a whole, connections aside."""
    present = living()
    looks = (_processes(present), _clocks(context, present), _keys(context), _schedules(context), _runs(context))
    return [*(finding for look in looks for finding in look), *_disk()]


def workers(present: Sequence[Seen]) -> list[Seen]:
    """Those of the living processes that work on runs."""
    return [seen for seen in present if seen.kind in ("worker", "both")]


def _processes(present: Sequence[Seen]) -> Iterator[Check]:
    if alive := workers(present):
        yield _finding("workers_alive", "pass", count=len(alive))
    else:
        yield _finding("workers_alive", "fail" if condition.any_due() else "warn", count=0)
    versions = sorted({f"{seen.version} ({seen.level})" for seen in present})
    if len(versions) > 1:
        yield _finding("versions_differ", "warn", versions=versions)


def _clocks(context: Context, present: Sequence[Seen]) -> Iterator[Check]:
    for seen in present:
        apart = abs(seen.clock_ahead)
        status = "fail" if apart > context.lease // 6 else "warn" if apart > APART else "pass"
        yield _finding("process_clock", status, process=seen.name, seconds=round(apart / 1_000_000, 1))


def _keys(context: Context) -> Iterator[Check]:
    texts = condition.sealed()
    lost = [f"{table} {id}" for table, id, text in texts if context.secrets.renewed(text) is None]
    if lost:
        yield _finding("secret_key_fits", "fail", items=lost)
    elif texts:
        yield _finding("secret_key_fits", "pass")


def _schedules(context: Context) -> Iterator[Check]:
    late = condition.overdue(context.now() - LATE)
    if late:
        minutes = (context.now() - late[0][1]) // 60_000_000
        names = [name for name, _ in late[:10]]
        yield _finding("schedules_kept", "fail", count=len(late), mappings=names, minutes=minutes)
    else:
        yield _finding("schedules_kept", "pass")


def _runs(context: Context) -> Iterator[Check]:
    number, since = condition.waiting(context.now() - LATE)
    if since is not None:
        minutes = (context.now() - since) // 60_000_000
        yield _finding("runs_taken", "warn", count=number, minutes=minutes)
    left = condition.abandoned(context.now() - 2 * context.lease)
    if left:
        yield _finding("runs_gone_on_with", "fail", count=len(left), runs=[str(id) for id in left[:10]])


def _disk() -> Iterator[Check]:
    if is_postgresql():
        seconds = condition.oldest_transaction()
        if seconds > LONG_TRANSACTION:
            yield _finding("transaction_open_long", "warn", minutes=int(seconds // 60))
        return
    folder = sqlite_file().absolute().parent
    free, log = shutil.disk_usage(folder).free, condition.write_ahead_bytes()
    yield _finding("disk_room", "fail" if free < LEAST_ROOM else "pass", folder=str(folder), megabytes=free >> 20)
    if log > LARGE_LOG:
        yield _finding("write_ahead_log_large", "warn", megabytes=log >> 20)


def _finding(code: str, status: str, **params: object) -> Check:
    return Check(code, status, _WHO, params)
