"""Which addresses a user may make us connect to.

The tables are ours because `ipaddress.is_global` is not a guard: it says yes to multicast, to NAT64
and other IPv6 forms that carry an IPv4 address inside, and its answers differ between Python releases.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address
AddressPolicy = Callable[[IpAddress, int], bool]

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this host": Linux connects it to loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep their metadata here
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent behind a public number
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # nothing outside it is public, NAT64 and ::a.b.c.d included
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo and others
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_PRIVATE_4 = tuple(
    IPv4Network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    )
)
_PRIVATE_6 = tuple(IPv6Network(network) for network in ("::1/128", "fc00::/7", "fe80::/10"))
_METADATA_4 = tuple(
    IPv4Network(network)
    for network in (
        "100.80.80.80/32",  # UCloud
        "100.96.0.96/32",  # Volcengine
        "100.100.100.200/32",  # Alibaba
        "169.254.0.23/32",  # Tencent
        "169.254.42.42/32",  # Scaleway
        "169.254.169.0/24",  # Google, Amazon, Azure and most others; GKE answers on .252 as well
        "169.254.170.0/24",  # Amazon's container credentials
    )
)
_METADATA_6 = tuple(
    IPv6Network(network)
    for network in (
        "fd00:42::42/128",  # Scaleway
        "fd00:a9fe:a9fe::/48",  # Linode
        "fd00:c1::a9fe:a9fe/128",  # Oracle
        "fd00:ec2::/32",  # Amazon
        "fd20:ce::/32",  # Google
        "fe80::a9fe:a9fe/128",  # OpenStack
    )
)


def is_public_address(address: IpAddress, port: int) -> bool:
    """Say yes to addresses that anybody on the internet could reach."""
    return _is_public(unmap_ipv4(address))


def is_public_or_private_address(address: IpAddress, port: int) -> bool:
    """Say yes to public, private, loopback and link-local addresses, but never to cloud metadata.

    For installations that watch their own network. The metadata service stays shut even then: it
    hands the machine's credentials to every caller, which no task needs.
    """
    address = unmap_ipv4(address)
    return _is_public(address) or (_is_private(address) and not _is_metadata(address))


def unmap_ipv4(address: IpAddress) -> IpAddress:
    """Return the IPv4 address inside `::ffff:a.b.c.d`: the kernel would connect to that one."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_ip(text: str) -> IpAddress | None:
    """Return the address written in *text*, or None; one with a zone (`fe80::1%eth0`) is none of ours."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return address


@lru_cache(maxsize=4096)
def _is_public(address: IpAddress) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _is_private(address: IpAddress) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _PRIVATE_4)
    return any(address in network for network in _PRIVATE_6)


def _is_metadata(address: IpAddress) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _METADATA_4)
    return any(address in network for network in _METADATA_6)
