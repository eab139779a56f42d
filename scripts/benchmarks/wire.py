"""Stands between a process and PostgreSQL and counts what goes over the wire: bytes, statements, round trips, rows.

Counts are kept in a file of the run's folder, so that the process that is measured can read them between two steps.
"""

from __future__ import annotations

import mmap
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from scripts.benchmarks.databases import Place

NAMES = ("bytes", "statements", "roundTrips", "rowsWritten")

_WRITING = (b"INSERT", b"UPDATE", b"DELETE", b"COPY", b"MERGE")


def read(folder: str) -> dict[str, int]:
    """What was counted so far; nothing where nobody counts."""
    file = _file(folder)
    numbers = struct.unpack("4q", file.read_bytes()) if file.exists() else (0,) * len(NAMES)
    return dict(zip(NAMES, numbers, strict=True))


def _file(folder: str | Path) -> Path:
    return Path(folder, "wire")


class _Counts:
    """Numbers in a file that another process reads."""

    def __init__(self, folder: str) -> None:
        file = _file(folder)
        file.write_bytes(bytes(8 * len(NAMES)))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 0)
        self._lock = threading.Lock()

    def add(self, *numbers: int) -> None:
        with self._lock:
            before = struct.unpack("4q", self._map[:])
            self._map[:] = struct.pack("4q", *(one + other for one, other in zip(before, numbers, strict=True)))


@contextmanager
def counted(place: Place) -> Iterator[Place]:
    """The same place with its databases behind a counter, while the block lasts; SQLite has no wire to count on."""
    if not place.server:
        yield place
        return
    counts, server = _Counts(place.folder), urlsplit(place.state)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        target = (server.hostname or "127.0.0.1", server.port or 5432)
        threading.Thread(target=_accept, args=(listener, target, counts), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        erp, crm, state = (_moved(url, address) for url in (place.erp, place.crm, place.state))
        yield replace(place, erp=erp, crm=crm, state=state)
        listener.shutdown(socket.SHUT_RDWR)


def _moved(url: str, address: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{address}"))


def _accept(listener: socket.socket, target: tuple[str, int], counts: _Counts) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.create_connection(target)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_between, args=(client, server, counts), daemon=True).start()


def _between(client: socket.socket, server: socket.socket, counts: _Counts) -> None:
    with client, server:
        asking = threading.Thread(target=_forward, args=(client, server, counts, None), daemon=True)
        asking.start()
        _forward(server, client, counts, _Answers(counts))
        asking.join()


def _forward(source: socket.socket, target: socket.socket, counts: _Counts, answers: _Answers | None) -> None:
    try:
        while content := source.recv(65_536):
            counts.add(len(content), 0, 0, 0)
            if answers is not None:
                answers.feed(content)
            target.sendall(content)
    except OSError:
        pass
    finally:
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class _Answers:
    """Reads what the server says: each message is a letter, a length, and content."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts
        self._rest = b""

    def feed(self, content: bytes) -> None:
        content, at = self._rest + content, 0
        while len(content) - at >= 5:
            letter, length = content[at : at + 1], int.from_bytes(content[at + 1 : at + 5], "big")
            if len(content) - at < length + 1:
                break
            if letter == b"C":
                self._completed(content[at + 5 : at + length])
            elif letter == b"Z":
                self._counts.add(0, 0, 1, 0)
            at += length + 1
        self._rest = content[at:]

    def _completed(self, tag: bytes) -> None:
        words = tag.split()
        written = int(words[-1]) if words[0] in _WRITING and words[-1].isdigit() else 0
        self._counts.add(0, 1, 0, written)
