"""How many requests a caller may send: `RateLimit` and `RateLimit-Policy` in answers, 429 with `Retry-After` beyond.

Each process counts for itself, in memory: what several processes together allow is so many times as much. An address
that tries one wrong token after the other is stopped much earlier, before the next is looked at.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import limits
from flask import Flask, Response, current_app, g, request
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.core.errors import AccordError

GUESSES = "20/minute"
"""How many different wrong tokens an address may try. One that is tried again and again is a forgotten setting, not a
guess, and counts once."""

NOTIFICATIONS = "120/minute"
"""How many notifications without a token a connection takes from an address: each is a hint, and runs that are due look
for themselves."""

_LIMITS = "accord-limits"
_REMEMBERED = 10_000


class TooMany(AccordError):
    """More requests than are allowed; `seconds` says how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too_many_requests", seconds=seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a limit for a caller."""

    most: int
    window: int
    left: int
    reset: int


class Counters(MemoryStorage):
    """Counts in memory, and looks now and then for what is over. The library's own way is a thread that is started by
    nearly every request, which waits until it runs: on a busy machine that takes longer than all else it does."""

    CALLS = 1_000

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and remember for how long that counts."""
        self.get(key)  # Forgets what is over.
        with self.locks[key]:
            self.storage[key] += amount
            if self.storage[key] == amount:
                self.expirations[key] = time.time() + expiry
        self._calls += 1
        if self._calls % self.CALLS == 0:
            for other in list(self.expirations):
                self.get(other)
        return self.storage.get(key, 0)

    def decr(self, key: str, amount: int = 1) -> int:
        """Take a count back."""
        self.get(key)
        with self.locks[key]:
            self.storage[key] = max(self.storage[key] - amount, 0)
        return self.storage.get(key, 0)


class _Limits:
    """The counters of one application."""

    def __init__(self, per_token: str | None) -> None:
        self._counted = SlidingWindowCounterRateLimiter(Counters())
        self._per_token = None if per_token is None else limits.parse(per_token)
        self._guesses = limits.parse(GUESSES)
        self._notifications = limits.parse(NOTIFICATIONS)
        self._lock = threading.Lock()
        self._wrong: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._good: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def count(self, caller: str) -> Standing | None:
        """Count a request of a caller. Raises TooMany; None where there is no limit."""
        return None if self._per_token is None else self._hit(self._per_token, caller)

    def count_notification(self, connection_id: int) -> None:
        """Count a notification without a token. Raises TooMany."""
        if self._per_token is not None:
            self._hit(self._notifications, f"connection:{connection_id}:{address()}")

    def refuse_guessers(self, address: str, token: str) -> None:
        """Raise TooMany for an address that guesses, unless this token was good from there before."""
        stats = self._counted.get_window_stats(self._guesses, address)
        if stats.remaining <= 0 and (address, _digest(token)) not in self._good:
            raise TooMany(_seconds(stats.reset_time))

    def count_wrong(self, address: str, token: str) -> None:
        """A token was wrong."""
        tried = address, _digest(token)
        with self._lock:
            again = tried in self._wrong
            _remember(self._wrong, tried)
        if not again:
            self._counted.hit(self._guesses, address)

    def remember_good(self, address: str, token: str) -> None:
        """A token was good: others behind the same address (a proxy, a household) cannot shut it out by guessing."""
        with self._lock:
            _remember(self._good, (address, _digest(token)))

    def _hit(self, limit: limits.RateLimitItem, caller: str) -> Standing:
        allowed = self._counted.hit(limit, caller)
        stats = self._counted.get_window_stats(limit, caller)
        if not allowed:
            raise TooMany(_seconds(stats.reset_time))
        return Standing(limit.amount, limit.get_expiry(), max(stats.remaining, 0), _seconds(stats.reset_time))


def _remember(kept: OrderedDict[tuple[str, bytes], None], one: tuple[str, bytes]) -> None:
    kept[one] = None
    kept.move_to_end(one)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def _digest(token: str) -> bytes:
    return blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()


def _seconds(until: float) -> int:
    return max(1, math.ceil(until - time.time()))


def counters() -> _Limits:
    """The counters of this application."""
    found: _Limits = current_app.extensions[_LIMITS]
    return found


def count_request(caller: str) -> None:
    """Count a request of a caller who is known. Raises TooMany."""
    g.accord_limit = counters().count(caller)


def address() -> str:
    """Where the request comes from, as far as this process sees."""
    return request.remote_addr or ""


def install(app: Flask, per_token: str | None) -> None:
    """Count by this limit (`6000/minute`), or not at all; say in each answer what is left of it."""
    app.extensions[_LIMITS] = _Limits(per_token)

    @app.after_request
    def say(response: Response) -> Response:
        standing: Standing | None = g.get("accord_limit")
        if standing is not None:
            response.headers["RateLimit-Policy"] = f'"token";q={standing.most};w={standing.window}'
            response.headers["RateLimit"] = f'"token";r={standing.left};t={standing.reset}'
        return response
