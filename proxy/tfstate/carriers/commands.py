"""Secrets on command lines: `--password X`, `mysql -pX`, `curl -u bob:X`, `echo bob:X | chpasswd`.

A long flag names its value, as a key does. A short one means a password only with programs that
are known to mean it so.
"""

import re
from collections.abc import Iterator
from typing import Final

from proxy.tfstate.carriers.place import Place
from proxy.tfstate.carriers.quoting import WORD, encode_quoted, encode_word

SIGNS: Final = ("-", "/", "pass", "by ", "secure", "login", "configure")
"""One of these stands, in lower case, in every line with a secret that is found here."""

_FLAG: Final = re.compile(
    r"(?<![^\s\"'(`=,])(?:--|(?:-|/)(?=[\w.-]{0,60}?(?:pass|pwd|secret|token|key|cred|auth)))"
    rf"([A-Za-z][\w.-]{{2,63}}+)(?:=|[ \t:]{{1,4}})(?!-)({WORD})"
)
"""A flag with its value: `--name value`, `--name=value`, `-name value`, `/name:value`."""

_PROGRAMS: Final = re.compile(
    r"(?<![\w.-])(?:"
    r"(?P<mysql>mysql(?:dump|admin|import|show|sh|check|slap)?|mariadb(?:-\w+)?)"
    r"|(?P<user>curl|wget|http|https|httpie|ab)"
    r"|(?P<p>sshpass|mongo(?:sh|dump|restore|import|export)?|docker|podman|buildah|skopeo|crane|helm"
    r"|nerdctl|az|useradd|usermod|cqlsh|oc|mc|sqsh|vncpasswd|cf|rabbitmqadmin|mosquitto_(?:pub|sub)"
    r"|ipmitool|snmp\w*|7z[ar]?|expect|chpasswd|ldappasswd|tsm|argocd)"
    r"|(?P<P>sqlcmd|bcp|osql|isql|zip|unzip|ipmitool|mosquitto_pub|kcat)"
    r"|(?P<a>redis-cli|redis-benchmark|keydb-cli|valkey-cli)"
    r"|(?P<w>ldapsearch|ldapadd|ldapmodify|ldapdelete|ldapwhoami|ldappasswd|xfreerdp)"
    r"|(?P<k>openssl)"
    r")(?=[ \t])"
)
_SHORT: Final = {
    "mysql": re.compile(rf"(?<=[ \t])-p({WORD})"),
    "user": re.compile(rf"(?<=[ \t])(?:-u|--user|--proxy-user|-U|-a|--auth)[ \t=]{{0,4}}({WORD})"),
    "p": re.compile(rf"(?<=[ \t])-p[ \t]{{0,4}}({WORD})"),
    "P": re.compile(rf"(?<=[ \t])-P[ \t]{{0,4}}({WORD})"),
    "a": re.compile(rf"(?<=[ \t])-a[ \t]{{1,4}}({WORD})"),
    "w": re.compile(rf"(?<=[ \t])-w[ \t]{{1,4}}({WORD})"),
    "k": re.compile(
        rf"(?<=[ \t])(?:-k[ \t]{{1,4}}|-pass(?:in|out)?[ \t]{{1,4}}[\"']?pass:)({WORD})"
    ),
}
_NUMBERS: Final = re.compile(r"[\d.:/-]+(?:tcp|udp)?")
"""What `-p` of a container engine mostly is: ports."""

_CHPASSWD: Final = re.compile(
    r"(?:echo|printf)[ \t]+(?:-[neE]+[ \t]+)?[\"']?([\w.$-]{1,64}):([^\s\"'|]+)[\"']?"
    r"[ \t]*\|[ \t]*(?:sudo[ \t]+)?chpasswd"
)
_STDIN: Final = re.compile(
    rf"(?:echo|printf)[ \t]+(?:-[neE]+[ \t]+)?({WORD})[ \t]*\|[ \t]*[^|\n]{{0,200}}?"
    r"(?:--?password-?stdin|--stdin|(?<!ch)passwd\b)"
)
_SQL: Final = re.compile(
    r"(?i)(?:\bidentified[ \t]+(?:with[ \t]+\S{1,64}[ \t]+)?(?:by|as)[ \t]+(?:password[ \t]+)?"
    r"|\bpassword[ \t]+(?==?[ \t]*)=?[ \t]*"
    r"|\bset[ \t]+password[^=\n]{0,128}=[ \t]*(?:password\()?[ \t]*)"
    r"(?:N?'((?:[^'\\\n]|''|\\.)++)'|\"((?:[^\"\\\n]|\\.)++)\")"
)
_NAMED: Final = re.compile(rf"\baws[ \t]+configure[ \t]+set[ \t]+([\w.-]{{1,128}})[ \t]+({WORD})")
_LOGIN: Final = re.compile(rf"\bvault[ \t]+login[ \t]+(?![\w-]+=|-)({WORD})")
_SECURE: Final = re.compile(
    r"(?i)ConvertTo-SecureString[ \t]+(?:-String[ \t]+)?([\"'])([^\"'\n]++)\1"
)
_NET_USER: Final = re.compile(
    r"(?i)\bnet[ \t]+user[ \t]+[^\s/]{1,64}[ \t]+([^\s/]\S*)(?=[ \t]+/add)"
)
_PASS: Final = re.compile(r"(?i)pass|user|curl|-p|-P|-a|-w|-k|secure|vault|configure|identified")


def command_places(text: str, start: int, end: int) -> list[Place]:
    """The places on the command line that stands from `start` to `end`."""
    places = [
        _place(text, *match.span(2), (match[1],)) for match in _FLAG.finditer(text, start, end)
    ]
    if _PASS.search(text, start, end) is not None:
        places += _known(text, start, end)
    return places


def _known(text: str, start: int, end: int) -> Iterator[Place]:
    """What is a password because of the program."""
    program = _PROGRAMS.search(text, start, end)
    programs = 0
    while program is not None and programs < 8:
        following = _PROGRAMS.search(text, program.end(), end)
        border = end if following is None else following.start()
        kind = program.lastgroup or ""
        for match in _SHORT[kind].finditer(text, program.end(), border):
            yield from _short(text, kind, *match.span(1))
        program = following
        programs += 1
    for pattern, group in (
        (_CHPASSWD, 2),
        (_STDIN, 1),
        (_LOGIN, 1),
        (_SECURE, 2),
        (_NET_USER, 1),
    ):
        for match in pattern.finditer(text, start, end):
            yield _place(text, *match.span(group), ("password",), why="command-line")
    for match in _SQL.finditer(text, start, end):
        group = 1 if match[1] is not None else 2
        yield Place(
            *match.span(group), ("password",), match[group], encode_quoted, why="sql-password"
        )
    for match in _NAMED.finditer(text, start, end):
        yield _place(text, *match.span(2), (match[1],))


def _short(text: str, kind: str, start: int, end: int) -> Iterator[Place]:
    """The value of a short flag."""
    place = _place(text, start, end, ("password",), why="command-line")
    if kind == "p" and _NUMBERS.fullmatch(place.value):
        return
    if kind == "user":
        colon = text.find(":", place.start, place.end)
        if colon < 0 or colon + 1 == place.end:
            return
        place = place._replace(start=colon + 1, value=place.value.partition(":")[2])
    yield place


def _place(text: str, start: int, end: int, path: tuple[str, ...], why: str = "") -> Place:
    """The place of one word of a shell, without its quotes."""
    word = text[start:end]
    quote = word[0]
    if quote in "\"'" and len(word) > 2 and word[-1] == quote and quote not in word[1:-1]:
        start, end, word = start + 1, end - 1, word[1:-1]
        encode = encode_quoted
    else:
        encode = encode_word
    if why and word.startswith("$"):
        why = ""
    return Place(start, end, path, word, encode, why=why)
