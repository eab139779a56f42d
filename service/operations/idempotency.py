"""The same request twice, carried out once: whose turn it is, and the answer that was given."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from service.core.errors import AccordError, Conflict
from service.operations.context import Context
from service.store import idempotency as store
from service.store.models import IdempotencyKey
from service.store.sql import transaction

REMEMBERED = 24 * 3600 * 1_000_000
"""How long an answer is given again, in microseconds."""

_ABANDONED = 10 * 60 * 1_000_000
"""After this long a request that was never answered is taken to be dead, wherever its process was."""

_LIFE = secrets.token_hex(8)


@dataclass(slots=True)
class _Keeping:
    """A request with a key, being carried out; `kept` holds the transaction of its effect once that has begun."""

    kept: ExitStack
    begun: bool = field(default=False)


_keeping: ContextVar[_Keeping | None] = ContextVar("accord_idempotency", default=None)


class KeyReused(AccordError):
    """The key was used for another request."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


def owner() -> str:
    """This process: its machine, its number, and its life, since numbers are used again."""
    return f"{socket.gethostname()}/{os.getpid()}/{_LIFE}"


def begin(context: Context, principal: str, key: str, digest: str) -> int | Answer:
    """Take the key for a request, or give the answer that it had. Raises KeyReused, Conflict."""
    with transaction():
        store.forget_before(context.now() - REMEMBERED)
        taken = store.reserve(principal, key, digest, owner(), context.now())
    if taken is not None:
        return taken
    known = store.find(principal, key)
    if known is None:
        raise Conflict("idempotency_key_in_use")
    if known.request_digest != digest:
        raise KeyReused
    if known.response_status is not None:
        return _opened(context, known)
    return _taken_over(context, known)


def _opened(context: Context, known: IdempotencyKey) -> Answer:
    body = context.secrets.open(known.response_body)["body"]
    headers = tuple((name, value) for name, value in known.response_headers or [])
    return Answer(known.response_status or 0, headers, body)


def _taken_over(context: Context, known: IdempotencyKey) -> int:
    gone = _is_dead(known.owner) or context.now() - known.created_at > _ABANDONED
    if gone and store.take_over(known.id, known.owner, owner(), context.now()):
        return int(known.id)
    raise Conflict("idempotency_key_in_use")


def _is_dead(other: str) -> bool:
    """Whether a process of this machine is surely gone; of others nobody can tell."""
    machine, number, life = other.rsplit("/", 2)
    if machine != socket.gethostname():
        return False
    if int(number) == os.getpid():
        return life != _LIFE
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@contextmanager
def effect() -> Iterator[None]:
    """The transaction of what a request changes. Under a key it stays open until the answer is kept too.

    For work that talks to a business application first: that is over when its effect begins.
    """
    keeping = _keeping.get()
    if keeping is not None and not keeping.begun:
        keeping.kept.enter_context(transaction())
        keeping.begun = True
    with transaction():
        yield


def carry_out(context: Context, id: int, work: Callable[[], tuple[Any, Answer]], *, at_once: bool) -> Any:
    """Do the work and keep its answer, if it is a success; what was refused changed nothing and is forgotten.

    The answer is kept in the transaction of the effect, so that a crash leaves both or neither. `at_once`: all of the
    work is inside it. Other work talks to a business application first, and begins it by `effect`.
    """
    try:
        with ExitStack() as kept:
            if at_once:
                kept.enter_context(transaction())
            before = _keeping.set(_Keeping(kept, begun=at_once))
            try:
                result = _keep(context, id, *work())
            finally:
                _keeping.reset(before)
    except BaseException:
        store.release(id)
        raise
    context.wake()
    return result


def answer_otherwise(context: Context, principal: str, key: str, answer: Answer) -> None:
    """Give another answer from now on: the one that the caller got in the end, after waiting."""
    known = store.find(principal, key)
    if known is not None:
        _keep(context, known.id, None, answer)


def _keep(context: Context, id: int, result: Any, answer: Answer) -> Any:
    """Bodies may hold a token, which is kept nowhere in the clear."""
    if 200 <= answer.status < 300:
        sealed = context.secrets.seal({"body": answer.body})
        store.finish(id, answer.status, [list(header) for header in answer.headers], sealed)
    else:
        store.release(id)
    return result
