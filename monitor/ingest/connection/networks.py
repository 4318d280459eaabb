"""Networks that peers may come from. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]


def within(address: str, network: IPv4Network | IPv6Network) -> bool:
    """Whether an address, as a socket gives it, lies in a network."""
    found = ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found) in network
