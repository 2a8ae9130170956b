"""Names with values, line by line: `KEY=value`, `key: value`, flags of commands, INI, TOML.

There is no one grammar: the lines may be a `.env`, a properties file, a shell script, a command
line, a log, or what is left of a format that could not be parsed. So each line is read for
itself, and a value is taken as long as any of these formats would take it.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy.tfstate.carriers import encoded, url
from proxy.tfstate.carriers.command_signs import SIGNS
from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Path, Place, disjoint, rest
from proxy.tfstate.carriers.quoting import (
    WORD,
    decode_double,
    decode_word,
    encode_double,
    encode_double_quoted,
    encode_line,
    encode_single,
    encode_word,
)

_NEAR: Final = 200
"""Characters in which a command shows itself as one."""

_QUOTED_LENGTH: Final = 65_536
"""Characters of a quoted value that goes over several lines."""

_STOP: Final = re.compile(
    r"[=@]|:[ \t\r]|:$|-----| -|\[|(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24}"
    r"|(?=[abcdeklmnprs])(?:by '|pass[pw]|login|configure|define"
    r"|(?<!\w)(?:add_user|authenticate_user|kv put|etcdctl put|net user|config set|sqlplus"
    r"|requirepass|masterauth))",
    re.IGNORECASE | re.MULTILINE,
)
"""What makes a line worth reading."""

_SECTION: Final = re.compile(
    r"[ \t]*+\[{1,2}[ \t]*+([\w .:\"'/@*-]{1,200}+)\]{1,2}[ \t]*+(?:[#;].*)?"
)
_ARMOR: Final = re.compile(r"[ \t]*+-----(BEGIN|END) [A-Z0-9 ]{1,40}+-----[ \t]*+")

_HEAD: Final = re.compile(
    r"[ \t]*+(?:(?:[-*]|--|REM|rem|::)[ \t]++|(?:#++|//++|;++)[ \t]*+)?+(?:- )?+"
    r"(?:(?:export|set|setx|local|readonly|declare(?: -\w++)?|typeset(?: -\w++)?|env|setenv"
    r"|ENV|ARG|final|const|var|let|val|def|public|private|static|string|String)[ \t]++){0,3}+:?+"
)
"""What may stand before the key of a line."""

_KEY: Final = r"[A-Za-z_$@%][\w$./\[\]-]{0,127}+(?::[\w$./-]{1,127}+){0,4}+"
_LINE: Final = re.compile(
    rf"(?P<key>{_KEY})(?P<before>[ \t]{{0,16}})(?P<sign>=>|:=|\+=|\?=|=(?!=)|:(?=[ \t]|\Z))[ \t]*+"
)
"""A key at the beginning of a line; of a colon, only with a space behind."""

_TIGHT: Final = re.compile(
    r"([\w.-]{0,64}?(?:password|passwd|passphrase|pwd)):(?=[^\s:/\\])", re.IGNORECASE
)
"""The only keys that need no space behind a colon."""

_SPACED: Final = re.compile(r"[A-Za-z][\w.-]*+(?: [A-Za-z][\w.]*+){1,3}(?=[ \t]++=(?!=))")
"""A key of several words, as in `User ID=sa`, only before an equals sign."""

_INNER: Final = re.compile(
    r"(?<![\w$.%\\/:-])(?:(?P<quote>[\"'])(?P<quoted>[^\"'\n\\]{1,128})(?P=quote)"
    r"[ \t]{0,8}(?::|=>|=(?!=)|,(?=[ \t]*[\"']))"
    r"|(?:-[De](?=\w)|:)?+(?P<key>[A-Za-z_$@][\w$./-]{0,127}+(?::[\w$./-]{1,127}+){0,4}+)"
    r"(?:[ \t]{0,4}(?:=>|:=)|=(?!=)| = (?=[\"'\w])))[ \t]{0,8}"
)
"""A key anywhere in a line: quoted before any sign, or bare before an equals sign."""

_LAST: Final = re.compile(r"(?<![\w.-])[A-Za-z_][\w.-]{0,127}+(?=:[ \t]++[^\s]++[ \t]*+\Z)")
"""The last word of a line before a colon and one word more: `the password: hunter2`."""

_DOUBLE: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_SINGLE: Final = re.compile(r"'([^']*+)'")
_TRIPLE: Final = re.compile(r"(\"\"\"|''')(.*?)\1", re.DOTALL)
_QUOTE_END: Final = re.compile(r"[ \t]*+(?:[;,)\]}#&|].*|\Z|[\r\n]|[ \t])|[;,)\]}]", re.DOTALL)
_WORD: Final = re.compile(WORD)
_ITEM: Final = re.compile(r"[^\s,;\]})\"']++")
"""A bare value behind a quoted key: a number, a word."""

_NEXT: Final = re.compile(r"(?<![ \t,;&])[ \t,;&]++(?=(?:export )?[A-Za-z_][\w.:-]{0,127}=(?!=))")
"""Before the next pair of the same line."""

_COMMENT: Final = re.compile(r"(?<![ \t])[ \t]++(?:#|;|//)(?:[ \t].*)?\Z", re.DOTALL)
_COMMAND: Final = re.compile(
    r"[ \t]++(?:.*?[ \t])?(?:-{1,2}[A-Za-z]|\.{0,2}/[\w.]|[|&<>]|\\\Z)"
    r"|[ \t]++(?:psql|pg_\w+|mysql\w*|mongo\w*|redis-cli|bash|sh"
    r"|sudo|exec|python3?|node|java|npm|make"
    r"|docker|kubectl|helm|terraform|tofu|aws|az|gcloud|curl|wget|ansible\S*|restic|rclone|borg)\b"
)
"""What follows a variable that is set for one command only."""

_COMMENT_SIGN: Final = re.compile(r"[ \t](?:#|;|//)")
_SHELL_LINE: Final = re.compile(
    r"export[ \t]|#!|set -|if \[|fi\Z|done\Z|apt(?:-get)? |yum |sudo |echo |cat "
)
_SENTENCE: Final = re.compile(r"[ \t]")
_BREAKS: Final = re.compile(r"[\r\n]+")
_URL: Final = re.compile(rf"{url.URL}[^\s\"'<>`|\\]++")
_BASE64: Final = re.compile(encoded.RUN)
_HEADER: Final = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization|x-(?:[a-z-]{0,40}-)?(?:token|key|secret|auth)|cookie"
    r"|set-cookie|api-?key)\b[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?"
    r"(?:(?:bearer|basic|token|apikey|negotiate|splunk|genie-?key|key)[ \t]{1,4})?"
    r"(?P<value>[^\s\"',;]++)"
)


def look(text: str) -> Carrier | None:
    """The pairs of a text, if it has any."""
    single = "\n" not in text and "\r" not in text
    reader = _Lines(text, 0, single=single)
    places = reader.places()
    return Carrier(reader.kind, tuple(places)) if places else None


def places(
    text: str, start: int = 0, end: int | None = None, *, single: bool = False
) -> list[Place]:
    """The pairs in the lines of a part of a text.

    Args:
        text: all of it.
        start: the index at which the part begins.
        end: the index behind it; None for the rest of the text.
        single: whether a sentence with a colon is no pair.
    """
    return _Lines(text, start, end, single=single).places()


class _Key(NamedTuple):
    """A key and how it stands to its value."""

    text: str
    sign: str
    inner: bool = False


class _Lines:
    """Reads a text line by line; `kind` says at the end what it looks like."""

    def __init__(self, text: str, start: int, end: int | None = None, *, single: bool) -> None:
        self._text = text
        self._end = len(text) if end is None else end
        self._position = start
        self._single = single
        self._section: Path = ()
        self._shell = text.startswith("#!")
        self._found: list[Place] = []
        self._pairs_only = False
        self._next = (0, -1)
        self._urls: dict[int, int] = {}
        self.kind = "script" if self._shell else "pairs"

    def places(self) -> list[Place]:
        """All places, disjoint."""
        text = self._text
        found = self._found
        armored = False
        while (match := _STOP.search(text, self._position, self._end)) is not None:
            start = max(text.rfind("\n", self._position, match.start()) + 1, self._position)
            newline = text.find("\n", match.start(), self._end)
            end = self._end if newline < 0 else newline
            self._position = end + 1
            if text[end - 1] == "\r":
                end -= 1
            armor = _ARMOR.fullmatch(text, start, end)
            if armor is not None:
                armored = armor[1] == "BEGIN"
                continue
            armored = armored and _BODY.fullmatch(text, start, end) is not None
            if armored:
                continue
            if len(found) > MAX_PLACES:
                found.append(rest(text, start))
                break
            self._line(start, end)
        return disjoint(found)

    def _note_section(self, start: int, end: int) -> None:
        """Remember the section of an INI that begins in this line."""
        match = _SECTION.fullmatch(self._text, start, end)
        if match is not None:
            self._section = (match[1].strip(),)
            self.kind = "ini"

    def _line(self, start: int, end: int) -> None:
        """Read one line."""
        text = self._text
        if _SECTION.fullmatch(text, start, end) is not None:
            self._note_section(start, end)
            return
        if not self._shell and self._section == () and _SHELL_LINE.match(text, start, end):
            self._shell = True
            self.kind = "script"
        line = text[start:end].lower()
        taken = disjoint(self._known(start, end, line))
        position = self._head(start, end, taken)
        self._inner(position, end, taken)
        if len(line) >= encoded.RUN_LENGTH:
            taken += self._encoded(start, end)
        self._found += disjoint(taken)

    def _known(self, start: int, end: int, line: str) -> list[Place]:
        """What is no pair, but known by its form: URLs, HTTP headers, arguments of commands."""
        text = self._text
        found: list[Place] = []
        self._urls = {}
        if "://" in line:
            for match in _URL.finditer(text, start, end):
                self._urls[match.start()] = match.end()
                found += url.url_places(text, match.start(), match.end())
        if any(map(line.__contains__, _HEADERS)):
            found += map(_header, _HEADER.finditer(text, start, end))
        if any(map(line.__contains__, SIGNS)):
            from proxy.tfstate.carriers.commands import command_places  # noqa: PLC0415 - quick start

            found += command_places(text, start, end)
        if len(found) > MAX_PLACES:
            found.sort(key=lambda place: place.start)
            found = [*found[:MAX_PLACES], rest(text, found[MAX_PLACES].start)]
        return found

    def _encoded(self, start: int, end: int) -> Iterator[Place]:
        """The base64 in a line; what goes on in the next lines is read with it."""
        text = self._text
        for match in _BASE64.finditer(text, start, end):
            if match.end() == end and self._end > end:
                match = _BASE64.match(text, match.start(), self._end) or match  # noqa: PLW2901
                self._position = max(self._position, match.end())
            decoded = encoded.decode(match[0])
            if decoded is not None:
                yield Place(*match.span(), self._section, decoded[0], decoded[1])

    def _head(self, start: int, end: int, taken: list[Place]) -> int:
        """Read the pair at the beginning of the line; return where to go on."""
        text = self._text
        head = _HEAD.match(text, start, end)
        begin = start if head is None else head.end()
        self._pairs_only = False
        tight = _TIGHT.match(text, begin, end)
        if tight is not None:
            return self._value(_Key(tight[1], ":"), tight.end(), end, taken)
        match = _LINE.match(text, begin, end)
        spaced = None if match is not None else _SPACED.match(text, begin, end)
        if spaced is not None:
            match = _LINE_SIGN.match(text, spaced.end(), end)
            key = spaced[0]
        elif match is not None:
            key = match["key"]
        if match is None:
            last = _LAST.search(text, begin, end) if ": " in text[begin:end] else None
            if last is not None and not taken:
                value = text.index(":", last.end()) + 1
                value += len(text[value:end]) - len(text[value:end].lstrip())
                return self._value(_Key(last[0], ":"), value, end, taken)
            return begin
        sign = match["sign"]
        value = match.end()
        if value >= end:
            return end
        if (
            sign == ":"
            and self._single
            and text[value] not in "\"'"
            and _SENTENCE.search(text, value, end)
        ):
            return value
        self._pairs_only = sign == "="
        spaces = sign != ":" and (bool(match["before"]) or text[value - 1] in " \t")
        return self._value(_Key(key, sign if not spaces else " = "), value, end, taken)

    def _inner(self, position: int, end: int, taken: list[Place]) -> int:
        """Read the pairs further on in a line."""
        text = self._text
        while position < end:
            if len(taken) > MAX_PLACES:
                taken.append(rest(text, position))
                self._position = len(text)
                return end
            match = _INNER.search(text, position, end)
            if match is None or match.end() >= end:
                return end
            key = _Key(match["quoted"] or match["key"], ":" if match["quoted"] else "=", inner=True)
            before = position
            position = self._value(key, match.end(), end, taken)
            position = max(position, before + 1)
        return position

    def _value(self, key: _Key, start: int, end: int, taken: list[Place]) -> int:
        """Take the value that begins at `start`; return where it ends."""
        path: Path = (*self._section, key.text.strip("\"'"))
        quoted = self._quoted(path, start, end)
        if quoted is not None and key.sign == "=" and _GLUED.match(self._text, quoted[1], end):
            return self._take(_WORD, path, start, end, taken)
        if quoted is not None:
            place, behind = quoted
            if place.end > place.start:
                taken.append(place)
            return behind
        if key.inner and key.sign == ":":
            return self._take(_ITEM, path, start, end, taken)
        if self._text[start] in "{[" and key.sign != "=":
            return start
        stop = end
        if key.sign == "=":
            stop = end if self._shell else self._following(start, end)
            stop = max(stop, self._urls.get(start, stop))
            if self._is_word(start, stop, inner=key.inner):
                return self._take(_WORD, path, start, stop, taken)
        self._take_line(path, start, stop, taken)
        return stop

    def _take_line(self, path: Path, start: int, stop: int, taken: list[Place]) -> None:
        """Take a value without quotes that ends with its line, or before the next pair."""
        value = self._text[start:stop]
        if _COMMENT_SIGN.search(value) is not None:
            value = _COMMENT.sub("", value)
        value = value.rstrip()
        if value[-1:] in (",", ";"):
            value = value[:-1].rstrip()
        if value:
            taken.append(Place(start, start + len(value), path, value, encode_line))

    def _following(self, start: int, end: int) -> int:
        """Where the next pair of the line begins, or the line ends; found once, asked often."""
        searched, found = self._next
        if not searched <= start <= found <= end:
            match = _NEXT.search(self._text, start, end)
            found = end if match is None else match.start()
            self._next = (start, found)
        return found

    def _take(
        self, pattern: re.Pattern[str], path: Path, start: int, end: int, taken: list[Place]
    ) -> int:
        """Take a value without quotes that ends before the next space."""
        match = pattern.match(self._text, start, end)
        if match is None:
            return start
        word = pattern is _WORD
        value = decode_word(match[0]) if word else match[0]
        encode = encode_word if word or self._shell else encode_double_quoted
        taken.append(Place(*match.span(), path, value, encode))
        return match.end()

    def _is_word(self, start: int, end: int, *, inner: bool) -> bool:
        """Whether a value ends at the first space, as in a command, and not with its line."""
        if self._shell or (inner and not self._pairs_only):
            return True
        behind = _word_end(self._text, start, end)
        return _COMMAND.match(self._text, behind, min(end, behind + _NEAR)) is not None

    def _quoted(self, path: Path, start: int, end: int) -> tuple[Place, int] | None:
        """A value in quotes, which may go over several lines."""
        text = self._text
        quote = text[start]
        if quote not in "\"'":
            return None
        if text.startswith(('"""', "'''"), start):
            match = _TRIPLE.match(text, start, start + _QUOTED_LENGTH)
            if match is not None:
                self._position = max(self._position, match.end())
                return Place(*match.span(2), path, match[2]), max(end, match.end())
        pattern = _DOUBLE if quote == '"' else _SINGLE
        match = pattern.match(text, start, end)
        if match is None:
            match = pattern.match(text, start, start + _QUOTED_LENGTH)
            if match is None or _QUOTE_END.match(text, match.end(), match.end() + 2) is None:
                return None
            newline = text.find("\n", match.end())
            self._position = max(self._position, len(text) if newline < 0 else newline + 1)
        if quote == '"':
            return Place(*match.span(1), path, decode_double(match[1]), encode_double), match.end()
        return Place(*match.span(1), path, match[1], encode_single), match.end()


_LINE_SIGN: Final = re.compile(r"(?P<before>[ \t]*+)(?P<sign>=)[ \t]*+")
_GLUED: Final = re.compile(r"[^\s;,)\]}&|<>#]")
"""What stands directly behind a quote if a word goes on there."""

_HEADERS: Final = ("authorization", "cookie", "x-", "apikey", "api-key")
_BODY: Final = re.compile(r"[ \t]*+(?:[A-Za-z0-9+/=]*+|[\w-]++: .*)[ \t]*+")


def _header(match: re.Match[str]) -> Place:
    """The credentials of an HTTP header."""
    name = match["name"]
    why = "http-authorization" if name.lower().endswith("authorization") else ""
    if "$" in match["value"] or "{" in match["value"]:
        why = ""
    return Place(*match.span("value"), (name,), match["value"], why=why)


def _word_end(text: str, start: int, end: int) -> int:
    """Where the word ends that begins there."""
    match = _WORD.match(text, start, end)
    return start if match is None else match.end()
