"""Which network addresses may be reached: decided on the very address that is then connected to.

A name is resolved once, its addresses are checked, and the connection goes to one that passed, so that a name that
resolves differently a moment later gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from service.core.failures import Failure, SideFailed

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

FORBIDDEN: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # unspecified
        "169.254.0.0/16",  # link-local, with the metadata services of most clouds
        "168.63.129.16/32",  # metadata of Azure
        "100.100.100.200/32",  # metadata of Alibaba
        "192.0.0.192/32",  # metadata of Oracle
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, with the broadcast address
        "::/128",  # unspecified
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # metadata of Amazon
        "fd20:ce::254/128",  # metadata of Google
        "ff00::/8",  # multicast
    )
)
"""What no setting opens: nothing there is a business application."""

_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Reach:
    """What a client may reach besides public addresses.

    `networks`: private networks that the administrator of the service lists. `literals`: whether a private address that
    the URL names itself (as an address, or as `localhost`) is meant; a name that merely resolves to one never is.
    """

    networks: tuple[Network, ...] = ()
    literals: bool = True


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks from a list such as "10.0.0.0/8, fd12::/16". ValueError names the first that is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def resolve(host: str, port: int, reach: Reach) -> list[tuple[int, str]]:
    """The addresses of a host that may be connected to, as (family, address). Raises OSError where there are none, and
    SideFailed(`address_refused`) where none may."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((int(family), str(place[0])) for family, _, _, _, place in found))
    refusals = [refusal(host, address, reach) for _, address in addresses]
    allowed = [one for one, refused in zip(addresses, refusals, strict=True) if refused is None]
    if not allowed:
        raise SideFailed(next(refused for refused in refusals if refused is not None))
    return allowed


def refusal(host: str, address: str, reach: Reach) -> Failure | None:
    """Why the address that a host resolved to may not be connected to, None: it may."""
    plain = _innermost(ip_address(address.partition("%")[0]))
    if _within(plain, FORBIDDEN):
        return _refused("forbidden", host, plain)
    if plain.is_global or _within(plain, reach.networks):
        return None
    if reach.literals and _names_itself(host, plain):
        return None
    return _refused("private", host, plain)


def _refused(rule: str, host: str, address: Address) -> Failure:
    return Failure("address_refused", {"rule": rule, "host": host, "address": str(address)}, (rule, host))


def _within(address: Address, networks: Collection[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _innermost(address: Address) -> Address:
    """An IPv4 address that is wrapped in an IPv6 one, in whatever way."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address


def _names_itself(host: str, address: Address) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return address.is_loopback
    try:
        return _innermost(ip_address(host.strip("[]"))) == address
    except ValueError:
        return False
