"""A wire that fails at the worst moment: before a server hears what it is asked, or after it did it, or in the midst of
its answer."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html><html><body>Please sign in</body></html>"


@dataclass
class Fault:
    """What goes wrong when a client has said `words`, each after the one before, on one connection: `reset` (the server
    does not hear of it), `drop` (its answer is lost), `half` (a part of its answer arrives), `html` (a page arrives
    instead), `late` (its answer comes after `seconds`)."""

    fault: str
    words: tuple[bytes, ...] = ()
    times: int = 1
    seconds: float = 0
    met: int = field(default=0, init=False)

    def fits(self, said: bytes) -> bool:
        return self.times > 0 and bool(re.search(b".*".join(map(re.escape, self.words)), said, re.DOTALL))


class Wire:
    """Passes everything between clients and a server on this machine, but for what is to go wrong."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def plan(self, *faults: dict[str, Any]) -> list[int]:
        """What goes wrong from now on. How often each fault was met that was planned before."""
        with self._lock:
            met = [one.met for one in self._faults]
            self._faults = [Fault(**one) for one in faults]
        return met

    def cut_after(self, *words: bytes) -> None:
        """Cut once, when the server has answered what had the last of these words in it, after the others on the same
        connection; the answer is lost."""
        self.plan({"fault": "drop", "words": words})

    def close(self) -> None:
        """Whoever waits for something to accept or to receive is woken by an end, and not by closing."""
        _end(self._listener)
        self._listener.close()
        for one in list(self._open):
            _end(one)
        for thread in (self._accepting, *self._threads):
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _met(self, said: bytes) -> Fault | None:
        """The first fault that fits what a client has said."""
        with self._lock:
            found = next((one for one in self._faults if one.fits(said)), None)
            if found is not None:
                found.times -= 1
                found.met += 1
        return found

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            self._open |= {client, server}
            faults: list[Fault] = []
            back = threading.Thread(target=self._answer, args=(server, client, faults), daemon=True)
            back.start()
            said, left = b"", True
            with suppress(OSError):
                while left and (part := client.recv(65536)):
                    said = (said + part)[-200_000:]
                    fault = self._met(said)
                    if fault is not None:
                        said, left = b"", fault.fault in ("late", "drop", "half")
                        faults.append(fault)
                    if fault is not None and fault.fault == "html":
                        client.sendall(PAGE)
                    if left:
                        server.sendall(part)
            if not any(one.fault in ("drop", "half") for one in faults):  # Else whoever waits for the answer ends it.
                _end(server)
            back.join()
            self._open -= {client, server}

    def _answer(self, server: socket.socket, client: socket.socket, faults: list[Fault]) -> None:
        with suppress(OSError):
            while part := server.recv(65536):
                fault = faults[-1] if faults else None
                if fault is not None and fault.fault == "late":
                    time.sleep(fault.seconds)
                    faults.clear()
                elif fault is not None:
                    self.cuts += 1
                    client.sendall(part[: len(part) // 2] if fault.fault == "half" else b"")
                    break
                client.sendall(part)
        _end(client)
        _end(server)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
