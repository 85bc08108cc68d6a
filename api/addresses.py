"""Addresses of machines: which are this one, and by what a stranger's is known."""

import ipaddress
from typing import Final

_IPV6_NETWORK: Final = 64  # what one customer is given


def names_loopback(host: str) -> bool:
    """Whether it is a name or an address of this machine that no other can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def network_of(host: str) -> str:
    """What an address is known by: of IPv6 the network, since whoever has one address there has many."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
    return str(address)
