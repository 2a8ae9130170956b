"""Secrets on command lines: `--password X`, `mysql -pX`, `curl -u bob:X`, `echo bob:X | chpasswd`.

A long flag names its value, as a key does. A short one means a password only with programs that
are known to mean it so.
"""

import re
from collections.abc import Iterator
from typing import Final

from proxy.tfstate.carriers.place import Place
from proxy.tfstate.carriers.quoting import WORD, encode_line, encode_quoted, encode_word

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
    r"|ipmitool|snmp\w*|7z[ar]?|expect|chpasswd|tsm|argocd|influx)"
    r"|(?P<P>sqlcmd|bcp|osql|isql|zip|unzip|ipmitool|mosquitto_pub|kcat)"
    r"|(?P<a>redis-cli|redis-benchmark|keydb-cli|valkey-cli)"
    r"|(?P<w>ldap(?:search|add|modify|delete|whoami|passwd|modrdn|compare|exop|vi)|xfreerdp)"
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
_END: Final = r"(?=[ \t]*+(?:\Z|[\r\n;&|<>()#`\"'\\]))"
"""Where a command ends, so that a sentence about it is none."""

_SETTING: Final = re.compile(
    r"\b(?:aws[ \t]+configure|(?:npm|yarn|pnpm|pulumi|gcloud|gh|pip3?)[ \t]+config|npm)"
    r"[ \t]+set[ \t]+(?:--?\w[\w.-]*+[ \t]+){0,4}"
    rf"[\"']?(?:[^\s\"'=]{{0,128}}[/:])?([\w.-]{{1,128}})[\"']?(?:[ \t]+|=)(?!-)({WORD})"
)
"""A setting with its name, of which the name says what it is."""

_STORED: Final = re.compile(
    r"\b(?:consul[ \t]+kv|etcdctl)[ \t]+put[ \t]+(?:-[\w=.:/-]++[ \t]+){0,8}"
    rf"[\"']?(?:[\w./-]{{0,256}}/)?([\w.-]{{1,128}})[\"']?[ \t]+(?![@-])({WORD})"
)
"""A key of a store with its value, of which the key's last step says what it is."""

_PARAMETER: Final = re.compile(
    r"(?:\bput-parameter\b(?=[^\n]{0,1000}?SecureString)|\bkeyvault[ \t]+secret[ \t]+set\b)"
    rf"[^\n]{{0,1000}}?[ \t]--value[ \t=][ \t]{{0,4}}({WORD})"
)
_SECRET_STRING: Final = re.compile(rf"(?<=[ \t])--secret-string(?:=|[ \t]{{1,4}})({WORD})")
_HTPASSWD: Final = re.compile(
    r"\bhtpasswd2?(?=(?:[ \t]+-\w+(?:[ \t]+\d+(?=[ \t]))?){0,8}?[ \t]+-\w*b)"
    r"(?=(?P<n>(?:[ \t]+-\w+(?:[ \t]+\d+(?=[ \t]))?){0,8}?[ \t]+-\w*n)?)"
    rf"(?:[ \t]+-\w+(?:[ \t]+\d+(?=[ \t]))?)++[ \t]+{WORD}(?(n)|[ \t]+{WORD})[ \t]+({WORD})"
)
"""With `-b`, the password stands behind the user; with `-n`, no file stands before him."""

_CRYPT: Final = re.compile(
    r"\bopenssl[ \t]+passwd(?![^\n;|]{0,200}[ \t]-(?:stdin|in)\b)"
    rf"(?:[ \t]+-(?:salt[ \t]+{WORD}|\w++))*+[ \t]+(?!-)({WORD}){_END}"
)
_BEHIND_USER: Final = re.compile(
    r"\b(?:rabbitmqctl[ \t]+(?:-[\w.@=/-]++[ \t]+(?:[\w.@/-]++[ \t]+(?=-|\w+_))?){0,4}"
    r"(?:add_user|change_password|authenticate_user)"
    rf"|wpa_passphrase)[ \t]+(?:--[ \t]+)?{WORD}[ \t]+(?!-)({WORD})"
)
_BEHIND_WORD: Final = re.compile(
    r"(?:\b(?:mysqladmin|nmcli)\b[^\n;|]{0,200}?[ \t]password"
    r"|(?<![^\s\"'])(?:requirepass|masterauth)|(?<=[ \t])-pw)[ \t]+"
    rf"(?!-)({WORD})"
)
_PERCENT: Final = re.compile(
    r"(?<=[ \t])(?:-U|--user(?:name)?)(?:=|[ \t]{0,4})[\"']?[\w.\\@$-]{1,64}%([^\s\"']++)"
)
"""Samba's `user%password`."""

_ORACLE: Final = re.compile(
    r"\b(?:sqlplus|sqlcl|sqlldr|expdp|impdp)(?:[ \t]+-\w++(?:[ \t]+\d[\d.]*+)?)*+"
    r"[ \t]+[\"']?(?:userid=)?[\w$#]{1,64}/(?![\w.-]{0,256}\.sql\b)(\"[^\"\n]++\"|[^\s@\"'/]++)"
    r"(?=@|[\"']?(?:[ \t\r\n;|<&]|\Z))"
)
_KUBERNETES: Final = re.compile(r"\bcreate[ \t]+secret[ \t]+generic\b")
_LITERAL: Final = re.compile(
    rf"(?<=[ \t])--from-literal(?:=|[ \t]{{1,4}})[\"']?([\w.-]{{1,253}})=({WORD}|[^\"'\n]++)"
)
_VAULT: Final = re.compile(r"\bvault[ \t]+kv[ \t]+(?:put|patch)\b")
_VAULT_PAIR: Final = re.compile(rf"(?<=[ \t])[\"']?([A-Za-z_][\w.-]{{0,127}})=(?!@|-[ \t])({WORD})")
_HERE: Final = re.compile(
    r"\bchpasswd\b[^\n;|]{0,64}<<(?:<[ \t]*[\"']?[\w.$-]{1,64}:([^\s\"']++)"
    r"|[-~]?[ \t]*[\"']?[A-Za-z]\w{0,31}[\"']?[^\n]{0,200}\n)"
)
_HERE_LINE: Final = re.compile(r"[ \t]*+([^\s:]{1,64}):([^\r\n]{1,256})(?:\r?\n|\Z)")
_HERE_LINES: Final = 64
_LOGIN: Final = re.compile(rf"\bvault[ \t]+login[ \t]+(?![\w-]+=|-)({WORD}){_END}")
_SECURE: Final = re.compile(
    r"(?i)ConvertTo-SecureString[ \t]+(?:-String[ \t]+)?([\"'])([^\"'\n]++)\1"
)
_NET_USER: Final = re.compile(
    r"(?i)\bnet[ \t]+user[ \t]+(?:\"[^\"\n]{1,64}\"|[^\s/\"]{1,64})[ \t]+"
    r"(?:\"([^\"\n]++)\"|([^\s/\"*]\S*)(?=[ \t]+/[a-z])|(?=[A-Za-z]*+[^A-Za-z\s/\"*])([^\s/\"*]++)"
    rf"{_END})"
)
_PASSWORDS: Final = (
    *(_CHPASSWD, _STDIN, _LOGIN, _SECURE, _NET_USER, _PARAMETER, _SECRET_STRING, _HTPASSWD),
    *(_CRYPT, _BEHIND_USER, _BEHIND_WORD, _PERCENT, _ORACLE),
)
"""The last group of each is a password."""

_PASS: Final = re.compile(
    r"(?i)pass|pw|user|curl|-p|-P|-a|-w|-k|-U|secure|secret|vault|config|identified|put|masterauth"
    r"|sql|exp|imp|npm"
)
_COMMAND: Final = re.compile(rf"(?:{WORD}|[ \t<>()`$]|(?<=[<>])&)*+")
"""The rest of a command, up to a sign that ends it."""


def command_places(text: str, start: int, end: int) -> list[Place]:
    """The places on the command line that stands from `start` to `end`."""
    places: list[Place] = []
    if _PASS.search(text, start, end) is not None:
        places += _known(text, start, end)
    places += (
        _place(text, *match.span(2), (match[1],)) for match in _FLAG.finditer(text, start, end)
    )
    return places


def _known(text: str, start: int, end: int) -> Iterator[Place]:
    """What is a password because of the program, or of the words before it."""
    yield from _flagged(text, start, end)
    yield from _behind(text, start, end)
    for match in _HERE.finditer(text, start, min(end + 1, len(text))):
        yield from _here(text, match)


def _flagged(text: str, start: int, end: int) -> Iterator[Place]:
    """What stands behind a short flag."""
    program = _PROGRAMS.search(text, start, end)
    programs = 0
    while program is not None and programs < 8:
        following = _PROGRAMS.search(text, program.end(), end)
        border = end if following is None else following.start()
        border = _command_end(text, program.end(), border)
        kind = program.lastgroup or ""
        for match in _SHORT[kind].finditer(text, program.end(), border):
            yield from _short(text, kind, *match.span(1))
        program = following
        programs += 1


def _behind(text: str, start: int, end: int) -> Iterator[Place]:
    """What stands behind words that make it a password, or behind its name."""
    for pattern in _PASSWORDS:
        for match in pattern.finditer(text, start, end):
            group = match.lastindex or 0
            yield _place(text, *match.span(group), ("password",), why="command-line")
    for match in _SQL.finditer(text, start, end):
        group = 1 if match[1] is not None else 2
        yield Place(
            *match.span(group), ("password",), match[group], encode_quoted, why="sql-password"
        )
    for pattern in (_SETTING, _STORED):
        for match in pattern.finditer(text, start, end):
            yield _place(text, *match.span(2), (match[1],))
    for pattern, pair, why in (
        (_KUBERNETES, _LITERAL, "kubernetes-secret"),
        (_VAULT, _VAULT_PAIR, "command-line"),
    ):
        known = pattern.search(text, start, end)
        if known is not None:
            border = _command_end(text, known.end(), end)
            for match in pair.finditer(text, known.end(), border):
                yield _place(text, *match.span(2), (match[1],), why=why)


def _command_end(text: str, start: int, end: int) -> int:
    """Where the command ends that goes on from `start`; `end` if its quotes can't be told."""
    match = _COMMAND.match(text, start, end)
    stop = start if match is None else match.end()
    return stop if text[stop:end][:1] in (";", "&", "|") else end


def _here(text: str, begin: re.Match[str]) -> Iterator[Place]:
    """The accounts in a here-document, or in a here-string, for `chpasswd`."""
    if begin[1] is not None:
        yield _place(text, *begin.span(1), ("password",), why="command-line")
        return
    position = begin.end()
    for _ in range(_HERE_LINES):
        line = _HERE_LINE.match(text, position)
        if line is None:
            return
        why = "" if line[2].startswith("$") else "command-line"
        yield Place(*line.span(2), (line[1],), line[2], encode_line, why=why)
        position = line.end()


def _short(text: str, kind: str, start: int, end: int) -> Iterator[Place]:
    """The value of a short flag."""
    place = _place(text, start, end, ("password",), why="command-line")
    if place.value == "$" or (kind == "p" and _NUMBERS.fullmatch(place.value)):
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
