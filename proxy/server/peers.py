"""Whether a peer is one of the proxies that are trusted to speak for others."""

from ipaddress import IPv4Network, IPv6Network, ip_address


def is_among(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Tell whether the address is in one of the networks; what is no address is in none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
