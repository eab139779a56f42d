"""The number of requests under way follows what the application can take, and a slow answer ends in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from service.connectors.http import HttpClient, NoAuth, Reach, Shared, Timeouts
from service.connectors.http.flight import MOST, Flight
from service.core.failures import SideFailed
from tests.connectors.test_http import site
from tests.odata.certificates import certificate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rounds(flight: Flight, clock: Clock, seconds: float, times: int = 1) -> None:
    """So many times as many requests as may be under way are, and all are answered after so many seconds."""
    for _ in range(times):
        slots = [flight.slot("GET", 0.1) for _ in range(flight.limit)]
        for one in slots:
            one.__enter__()
        clock.now += seconds
        for one in slots:
            one.__exit__(None, None, None)


def test_the_limit_grows_by_one_a_round_and_is_halved_once_by_a_refusal() -> None:
    clock = Clock()
    flight = Flight(now=clock)
    start = flight.limit
    rounds(flight, clock, 0.1, 5)
    assert start + 4 <= flight.limit <= start + 5
    before = flight.limit
    for _ in range(before):  # All that was under way is refused: it is one trouble.
        flight.refused()
    assert flight.limit in (before // 2, before // 2 + 1)
    for _ in range(20):
        clock.now += 2
        flight.refused()
    assert flight.limit == 1
    clock.now += 2
    rounds(flight, clock, 0.1, 200)
    assert flight.limit == MOST


def test_answers_that_take_ever_longer_make_it_shrink_and_usual_ones_do_not() -> None:
    clock = Clock()
    flight = Flight(now=clock)
    rounds(flight, clock, 0.2, 20)
    grown = flight.limit
    for _ in range(3):
        clock.now += 2
        rounds(flight, clock, 2.0)
    assert flight.limit < grown
    small = flight.limit
    clock.now += 2
    rounds(flight, clock, 0.2, 20)
    assert flight.limit > small


def test_what_is_not_made_use_of_does_not_grow() -> None:
    clock = Clock()
    flight = Flight(now=clock)
    start = flight.limit
    for _ in range(500):
        with flight.slot("GET", 0.1):
            clock.now += 0.01
    assert flight.limit == start


def test_who_finds_no_room_in_time_is_told_to_come_back() -> None:
    flight = Flight(most=1)
    with flight.slot("GET", 1), pytest.raises(SideFailed) as refused, flight.slot("GET", 0.05):
        pass
    assert refused.value.failure.code == "rate_limited"


def test_a_service_that_takes_two_requests_at_a_time_gets_about_two_and_later_more() -> None:
    """Eight clients of one user. The service refuses what is too much at once; then it takes all."""
    lock, under_way, most = threading.Lock(), [0], [2]
    peaks: list[int] = []

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        with lock:
            under_way[0] += 1
            now = under_way[0]
            peaks.append(now)
        status = 429 if now > most[0] else 200
        time.sleep(0.005 if status == 200 else 0)
        with lock:
            under_way[0] -= 1
        handler.send_response(status)
        if status == 429:
            handler.send_header("Retry-After", "0")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    shared = Shared()
    with site(reply) as running:
        clients = [
            HttpClient(running.url, shared=shared, auth=NoAuth(), reach=Reach(), timeouts=Timeouts(total=20))
            for _ in range(8)
        ]

        def ask(client: HttpClient, until: Callable[[], bool]) -> None:
            while not until():
                with suppress(SideFailed):  # Refused: there is another time.
                    client.send("GET")

        def asked_by_all(until: Callable[[], bool]) -> None:
            with ThreadPoolExecutor(len(clients)) as pool:
                list(pool.map(lambda client: ask(client, until), clients))

        deadline = time.monotonic() + 20
        asked_by_all(lambda: shared.flight.limit <= 2 or time.monotonic() > deadline)
        assert shared.flight.limit <= 2
        most[0] = 100
        asked_by_all(lambda: shared.flight.limit >= 5 or time.monotonic() > deadline)
        assert shared.flight.limit >= 5
        for client in clients:
            client.close()
    assert max(peaks) <= 8


@contextmanager
def trickling(before: bytes, context: ssl.SSLContext | None) -> Iterator[int]:
    """A server that answers with the beginning of something and then with a byte every so often, for ever."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        plain, _ = listening.accept()
        with plain if context is None else context.wrap_socket(plain, server_side=True) as one:
            one.recv(65536)
            try:
                one.sendall(before)
                while not over.wait(0.05):
                    one.sendall(b"x")
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()
        thread.join(5)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
    ids=["status", "header", "body"],
)
def test_an_answer_that_trickles_ends_in_time(
    before: bytes, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = None
    if secure:
        file = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
    with trickling(before, context) as port:
        url = f"{'https' if secure else 'http'}://127.0.0.1:{port}/"
        times = Timeouts(connect=5, read=0.5, total=0.6)
        client = HttpClient(url, shared=Shared(), auth=NoAuth(), reach=Reach(), timeouts=times)
        began = time.monotonic()
        with pytest.raises(SideFailed) as failed:
            client.send("GET")
        assert failed.value.failure.code == "timeout"
        assert time.monotonic() - began < 5
        client.close()
