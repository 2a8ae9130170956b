"""URLs, and the ways to write one account for a database in one line.

RFC 3986, but passwords are taken as people write them: with `@`, `/`, `#`, `?` and `%` unescaped.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Path, Place, disjoint, rest

URL: Final = r"(?<![A-Za-z0-9+.-])(?:[A-Za-z][A-Za-z0-9+.-]{0,24}:)?[A-Za-z][A-Za-z0-9+.-]{0,24}://"
"""How a URL begins, wherever in a text; `jdbc:` and the like before the scheme included."""

_WHOLE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]{0,24}:){1,3}//")
_HOSTS: Final = re.compile(
    r"(?:[A-Za-z0-9_.-]++|\[[0-9A-Fa-f:.%]++\])(?::[0-9]{1,5}+)?"
    r"(?:,(?:[A-Za-z0-9_.-]++|\[[0-9A-Fa-f:.%]++\])(?::[0-9]{1,5}+)?)*+(?=[/?#;]|\Z)"
)
_NAMED_HOST: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+|localhost|\[")
_WEB_PORT: Final = re.compile(r"[A-Za-z0-9_.-]*+:[0-9]{1,5}|[^:]*+")
_PORT: Final = re.compile(r"(?:[A-Za-z0-9_-]*+\.[A-Za-z0-9_.-]*+|localhost):[0-9]{1,5}|[^:]*+")
"""A host and a port, and no user with the beginning of a password."""
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_PARAMETER: Final = re.compile(r"([^=&;?#\s]{1,128}+)=([^&#\s]*+)")
_REFERENCE: Final = re.compile(
    r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+|%\w+%|\{\{.*\}\}|<[^>]*>|\*+|x+|X+|\{\w+\}|\[redacted [^\]]*\]"
    r"|%5Bredacted.*"
)
_WEB: Final = frozenset({"http", "https", "ws", "wss", "git+https", "git+http"})

_GO_DSN: Final = re.compile(
    r"([^:/@\s]*+):(.*)@(?:tcp|tcp6|udp|unix|cloudsql)\([^()]*\)", re.DOTALL
)
_BARE_DSN: Final = re.compile(
    r"(?!(?:mailto|sips?|acct|xmpp|arn|principal|principalSet|serviceAccount|group|domain|deleted"
    r"|urn|spiffe|tel):)([\w.+-]++):(\S*)@(?!sha256:)[A-Za-z0-9_.-]++(?::[0-9]{1,5}+/?|/)[^\s@]*+\Z"
)
_ORACLE: Final = re.compile(r"jdbc:oracle:\w+:([^/@\s]++)/([^@\s]++)@")


def encode_url(text: str) -> str:
    """Percent-encode what would end or break the part of a URL where the text is to stand."""
    return quote(text, safe=":=,;!*'()$", errors="replace")


def decode_url(literal: str) -> str:
    """The text of a part of a URL; a plus stays one: secrets hold more of them than spaces."""
    return unquote(literal, errors="replace") if "%" in literal else literal


def look(text: str) -> Carrier | None:
    """The secrets' places in a text that is one URL."""
    stripped = text.strip()
    if _WHOLE.match(stripped) is None or len(stripped.split(None, 1)) > 1:
        return None
    start = text.index(stripped)
    places = url_places(text, start, start + len(stripped))
    return Carrier("url", tuple(places)) if places else None


def look_dsn(text: str) -> Carrier | None:
    """The places in `user:password@tcp(host)/database` and its like."""
    if "@" not in text or "://" in text:
        return None
    match = _ORACLE.match(text) or _GO_DSN.match(text) or _BARE_DSN.match(text)
    if match is None:
        return None
    places = _account(text, match.span(1), match.span(2), percent=False)
    places += _parameters(text, match.end(), len(text))
    return Carrier("dsn", tuple(places)) if places else None


def url_places(text: str, start: int, end: int) -> list[Place]:
    """The places in the URL that stands from `start` to `end`: the account and the parameters."""
    begin = text.index("://", start, end) + len("://")
    scheme = text[start : begin - len("://")].lower()
    at = _userinfo_end(text, begin, end, web=scheme in _WEB)
    places: list[Place] = []
    after = begin
    if at > begin:
        colon = text.find(":", begin, at)
        user_end = at if colon < 0 else colon
        places = _account(text, (begin, user_end), (min(user_end + 1, at), at), percent=True)
        after = at + 1
    places += _parameters(text, after, end)
    return disjoint(places)


def _account(
    text: str, user: tuple[int, int], password: tuple[int, int], *, percent: bool
) -> list[Place]:
    """The places of a user and a password, each where it is not empty."""
    places = []
    if user[0] < user[1]:
        places.append(_place(text, *user, ("user",), percent=percent))
    if password[0] < password[1]:
        place = _place(text, *password, ("password",), percent=percent)
        why = "" if _REFERENCE.fullmatch(place.value) else "url-password"
        places.append(place._replace(why=why))
    return places


def _place(text: str, start: int, end: int, path: Path, *, percent: bool) -> Place:
    """One place of a URL."""
    literal = text[start:end]
    if not percent:
        return Place(start, end, path, literal)
    return Place(start, end, path, decode_url(literal), encode_url)


def _userinfo_end(text: str, begin: int, end: int, *, web: bool) -> int:
    """Where the `@` stands that ends user and password, or -1.

    By the standard, it is the last one before the first of `/?#`. But a password may hold these,
    so a later `@` is taken if what follows it is a host, and what precedes it is none; in a URL
    of the web only if a host with a dot follows, since paths hold `@` there.
    """
    match = _AUTHORITY_END.search(text, begin, end)
    border = end if match is None else match.start()
    first = text.rfind("@", begin, border)
    if first < 0:
        if (_WEB_PORT if web else _PORT).fullmatch(text, begin, border) is not None:
            return -1
    elif web and _NAMED_HOST.match(text, first + 1, border):
        return first
    query = _query_start(text, max(begin, first), end)
    last = text.rfind("@", begin, query)
    tries = 0
    while last > first and tries < 16:
        hosts = _HOSTS.match(text[last + 1 : min(end, last + 2_000)])
        if hosts is not None and (not web or _NAMED_HOST.match(hosts[0])):
            return last
        last = text.rfind("@", begin, last)
        tries += 1
    return first


def _query_start(text: str, begin: int, end: int) -> int:
    """Where parameters begin that hold no more than parameters do."""
    match = _QUERY.search(text, begin, end)
    return end if match is None else match.start()


_QUERY: Final = re.compile(r"[?#][\w.%\[\]-]{1,64}=")


def _parameters(text: str, start: int, end: int) -> list[Place]:
    """The places of `name=value` behind a question mark, a hash or a semicolon."""
    mark = _PARAMETERS_START.search(text, start, end)
    if mark is None:
        return []
    places: list[Place] = []
    pattern = _PARAMETER if mark[0] != ";" else _PROPERTY
    for match in pattern.finditer(text, mark.end(), end):
        if len(places) > MAX_PLACES:
            places.append(rest(text, match.start()))
            break
        value_start, value_end = match.span(2)
        if value_start < value_end:
            name = decode_url(match[1]).strip()
            places.append(_place(text, value_start, value_end, (name,), percent=mark[0] != ";"))
    return places


_PARAMETERS_START: Final = re.compile(r"[?#;](?=[^=&;?#\s]{1,128}=)")
_PROPERTY: Final = re.compile(r"([^=;\s]{1,128}+)=([^;]*+)")
