"""The cookies of people who logged in, and whether a browser's request is one of our own pages.

Over HTTPS the names begin with ``__Host-``: no other host, and nobody on a connection without TLS,
can set such a cookie (RFC 6265bis section 4.1.3.2). Without TLS, as on one's own machine, a browser
takes neither that nor ``Secure``, so the plain name is used; over HTTPS it is not believed.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from proxy.auth.devices import LIFETIME
from proxy.server.peers import is_among

SESSION: Final = "tfaudit"
DEVICE: Final = "tfaudit-device"
CSRF_HEADER: Final = "X-CSRF-Token"

Network = IPv4Network | IPv6Network
Kind = Literal["tfaudit", "tfaudit-device"]

_HOST: Final = "__Host-"
_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_OWN: Final = frozenset({"same-origin", "none"})
"""What a browser says of requests of our own pages, and of addresses that a person typed
(W3C Fetch Metadata section 2.4)."""
_LONGEST: Final = 256


def is_https(request: web.Request, trusted: tuple[Network, ...]) -> bool:
    """Tell whether the browser reached us by HTTPS: directly, as a trusted proxy says, or itself.

    It tells where a page is from that changes something (``Origin``), and no page makes it lie.
    """
    if request.secure or request.headers.get(hdrs.ORIGIN, "").startswith("https://"):
        return True
    said = request.headers.get(hdrs.X_FORWARDED_PROTO, "")
    # Of several proxies each appends; a list as a whole is HTTPS when every hop was.
    hops = [hop.strip().lower() for hop in said.split(",")]
    return all(hop == "https" for hop in hops) and is_among(request.remote or "", trusted)


def cookie_of(request: web.Request, kind: Kind, trusted: tuple[Network, ...]) -> str | None:
    """Return what the cookie holds; None when there is none."""
    found = request.cookies.get(_HOST + kind)
    if found is None and not is_https(request, trusted):
        found = request.cookies.get(kind)
    return found if found is None or len(found) <= _LONGEST else ""


def set_cookies(
    response: web.Response, request: web.Request, trusted: tuple[Network, ...], **held: str
) -> None:
    """Give the browser cookies.

    Args:
        response: that sets them.
        request: that asked.
        trusted: networks of proxies.
        held: what ``session`` and ``device`` hold; an empty text takes the cookie away.
    """
    secure = is_https(request, trusted)
    prefix = _HOST if secure else ""
    for name, text in held.items():
        kind = SESSION if name == "session" else DEVICE
        # The session's is forgotten with the browser's window, and by the server before.
        age = int(LIFETIME.total_seconds()) if kind == DEVICE else None
        response.set_cookie(
            prefix + kind,
            text,
            max_age=age if text else 0,
            path="/",
            secure=secure,
            httponly=True,
            samesite="Strict",
        )


def is_change(request: web.Request) -> bool:
    """Tell whether the method may change something (RFC 9110 section 9.2.1)."""
    return request.method not in _SAFE


def is_foreign(request: web.Request) -> bool:
    """Tell whether the browser says that a page of another site made the request.

    A program says nothing of that. Of a link to us on another site's page only the visit is ours.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_visit = request.headers.get("Sec-Fetch-Mode") == "navigate" and not is_change(request)
        is_framed = request.headers.get("Sec-Fetch-Dest") in {"object", "embed", "iframe", "frame"}
        return site not in _OWN and not (is_visit and not is_framed)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:
        return True
