"""Which couplings a run has met so far, in little memory: a bit for each."""

from __future__ import annotations

MOST = 500_000_000
"""Higher ids are not remembered (64 MB of bits are enough); they count as not met."""


class Seen:
    """A set of coupling ids that only grows. It lives as long as its worker works on the run: another worker begins
    with an empty one, so it may only be used where not having met a coupling costs a look and nothing else."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, id: int) -> None:
        """Remember a coupling."""
        place, bit = divmod(id, 8)
        if id >= MOST:
            return
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << bit

    def __contains__(self, id: int) -> bool:
        place, bit = divmod(id, 8)
        return place < len(self._bits) and bool(self._bits[place] >> bit & 1)
