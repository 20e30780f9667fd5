"""Which network addresses belong to the public internet: everything else is somebody's inside. Pure.

Sources: IANA's special-purpose address registries (RFC 6890 and its updates), which Python's `ipaddress` mostly knows;
the ranges below are those that it takes for global in one of the versions this runs on.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # relays of 6to4, withdrawn (RFC 7526)
        "64:ff9b:1::/48",  # translation within one network (RFC 8215)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that was ever given out for the public internet
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet: not private, loopback, link-local, reserved, multicast …

    An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4, NAT64) is what the address inside it is.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = carried(address)
        if inner is not None:
            return is_public(inner)
        if address.scope_id or address not in _UNICAST:
            return False
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that packets to this IPv6 address may end at, or None."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
