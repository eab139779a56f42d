"""A wire that is cut at the worst moment: after the server did what it was asked, before its answer arrives."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Passes everything between clients and a server on this machine, until a client says what it waits for."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._words: re.Pattern[bytes] | None = None
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut_after(self, *words: bytes) -> None:
        """Cut once, when the server has answered what had the last of these words in it, after the others on the same
        connection; the answer is lost."""
        self._words = re.compile(b".*".join(map(re.escape, words)), re.DOTALL)

    def close(self) -> None:
        _end(self._listener)  # Whoever waits in accept is woken by that, and not by closing.
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            cut = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, cut), daemon=True)
            back.start()
            said = b""
            with suppress(OSError):
                while part := client.recv(65536):
                    said = (said + part)[-200_000:]
                    if self._words is not None and self._words.search(said):
                        self._words = None
                        cut.set()
                    server.sendall(part)
            if not cut.is_set():  # Else whoever waits for the answer to lose ends it.
                _end(server)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while part := server.recv(65536):
                if cut.is_set():
                    self.cuts += 1
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
