"""HTTP for connectors and outgoing notifications: one client that keeps to its own host, its time-outs and its limits.

A `HttpClient` talks to one origin. It raises `SideFailed` when the application cannot be worked with (no answer,
refused credentials, too many requests) and returns every other answer, whatever its status: only its caller knows what
a 404 or a 500 with a body means. Requests of one client go one after another; what clients of the same credentials
share (a pause that the application asked for, access tokens) is in `sharing`.
"""

from service.connectors.http.addresses import Reach, read_networks
from service.connectors.http.auth import Basic, Bearer, ClientCredentials, NoAuth
from service.connectors.http.client import PASSWORD_ENDED, Answer, Auth, HttpClient, Timeouts, encode_query, shorten
from service.connectors.http.sharing import Shared, shared

__all__ = [
    "PASSWORD_ENDED",
    "Answer",
    "Auth",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "HttpClient",
    "NoAuth",
    "Reach",
    "Shared",
    "Timeouts",
    "encode_query",
    "read_networks",
    "shared",
    "shorten",
]
