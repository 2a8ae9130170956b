"""Which texts are IP addresses, for formats that refuse an event over one that is none."""

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=4096)
def is_address(text: str) -> bool:
    """Tell whether it is an IP address without a zone, as Elasticsearch and OCSF take it."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
