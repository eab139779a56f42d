"""Connection pools of urllib3 whose connections go only to addresses that may be reached."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout

from service.connectors.http.addresses import Reach, resolve


def open_pool(scheme: str, host: str, port: int, timeout: Timeout, reach: Reach) -> HTTPConnectionPool:
    """A pool of one connection. For TLS it trusts the certificates of the machine, or those in SSL_CERT_FILE."""
    if scheme == "https":
        context = ssl.create_default_context()
        return _HttpsPool(host, port, timeout=timeout, maxsize=1, block=True, reach=reach, ssl_context=context)
    return _HttpPool(host, port, timeout=timeout, maxsize=1, block=True, reach=reach)


class _Checked:
    """A connection that goes only to addresses that may be reached."""

    host: str
    port: int
    timeout: Any

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            addresses = resolve(self.host, self.port, connection.reach)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, connection, error) from error
        failure: OSError | None = None
        for family, address in addresses:
            made = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM)
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
    def __init__(self, *args: Any, reach: Reach, **more: Any) -> None:
        self.reach = reach
        super().__init__(*args, **more)


class _HttpsConnection(_Checked, HTTPSConnection):
    def __init__(self, *args: Any, reach: Reach, **more: Any) -> None:
        self.reach = reach
        super().__init__(*args, **more)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
