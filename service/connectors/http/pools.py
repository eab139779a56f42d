"""Connection pools of urllib3 whose connections go only to addresses that may be reached, and wait no longer than they
may for an answer as a whole: a server that sends a byte a second keeps every time-out between two of them."""

from __future__ import annotations

import math
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout

from service.connectors.http.addresses import Reach, resolve


@dataclass(slots=True)
class Bound:
    """What the connections of a client keep to: until when (by the monotonic clock) they wait for anything, and what
    the line of the next request says, None: what the pool makes of it, which takes a step for each character."""

    deadline: float = math.inf
    target: str | None = None


def open_pool(scheme: str, host: str, port: int, timeout: Timeout, reach: Reach, bound: Bound) -> HTTPConnectionPool:
    """A pool of one connection. For TLS it trusts the certificates of the machine, or those in SSL_CERT_FILE."""
    more: dict[str, Any] = {"timeout": timeout, "maxsize": 1, "block": True, "reach": reach, "bound": bound}
    if scheme == "https":
        context = ssl.create_default_context()
        context.sslsocket_class = _BoundTlsSocket
        return _HttpsPool(host, port, ssl_context=context, **more)
    return _HttpPool(host, port, **more)


class _BoundSocket(socket.socket):
    """A socket that waits for what it receives no longer than its bound."""

    bound: Bound = Bound()

    def recv_into(self, *args: Any) -> int:
        _shorten(self, self.bound)
        return super().recv_into(*args)


class _BoundTlsSocket(ssl.SSLSocket):
    """The same over TLS."""

    bound: Bound = Bound()

    def recv_into(self, *args: Any) -> int:
        _shorten(self, self.bound)
        return super().recv_into(*args)


def _shorten(one: socket.socket, bound: Bound) -> None:
    """Let the next wait end at the bound, if it would not end before. TimeoutError where that is over."""
    left = bound.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer did not end in time")
    usual = one.gettimeout()
    if usual is None or left < usual:
        one.settimeout(left)


class _Checked:
    """A connection that goes only to addresses that may be reached."""

    host: str
    port: int
    timeout: Any
    bound: Bound

    def putrequest(self, method: str, url: str, *args: Any, **more: Any) -> None:
        connection: Any = super()
        connection.putrequest(method, self.bound.target or url, *args, **more)

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            addresses = resolve(self.host, self.port, connection.reach)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, connection, error) from error
        failure: OSError | None = None
        for family, address in addresses:
            made = _BoundSocket(socket.AddressFamily(family), socket.SOCK_STREAM)
            made.bound = connection.bound
            try:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
                made.connect((address, self.port))
            except OSError as error:
                made.close()
                failure = error
            else:
                sys.audit("http.client.connect", self, self.host, self.port)
                return made
        if isinstance(failure, socket.timeout):
            raise ConnectTimeoutError(connection, f"no connection to {self.host} within {self.timeout} seconds")
        raise NewConnectionError(connection, f"no connection to {self.host}: {failure}")


class _HttpConnection(_Checked, HTTPConnection):
    def __init__(self, *args: Any, reach: Reach, bound: Bound, **more: Any) -> None:
        self.reach, self.bound = reach, bound
        super().__init__(*args, **more)


class _HttpsConnection(_Checked, HTTPSConnection):
    def __init__(self, *args: Any, reach: Reach, bound: Bound, **more: Any) -> None:
        self.reach, self.bound = reach, bound
        super().__init__(*args, **more)

    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, _BoundTlsSocket):
            self.sock.bound = self.bound


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
