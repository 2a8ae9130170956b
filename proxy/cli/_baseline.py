"""What is known of a log at an index, kept so that the entries before it can go.

``verify`` follows from the entries what the tables beside the log must hold. When entries are
pruned, all that followed from them is written down, and its digest stands in the signed entry
``audit.pruned``: whoever verifies what is left goes on from there.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from hashlib import sha256
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import orjson
import zstandard

from proxy.cli._replay import Replay
from proxy.errors import UnavailableError

_LEVEL: Final = 9
_BYTES: Final = "base64"
_PLAIN: Final = (str, int, bool, Any, object)


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of the entries below an index.

    Attributes:
        until: the index.
        root: root hash of the tree over them, hex.
        last_id: of the last of them.
        last_time: of that one, RFC 3339.
        kept: indices of those that stay, ascending.
        replay: what the tables beside the log must hold by them.
    """

    until: int
    root: str
    last_id: str
    last_time: str
    kept: tuple[int, ...]
    replay: Replay

    def packed(self) -> bytes:
        """Return it as it is kept: canonical JSON, compressed."""
        document = orjson.dumps(frozen(self, Known), option=orjson.OPT_SORT_KEYS)
        return zstandard.ZstdCompressor(level=_LEVEL).compress(document)

    @classmethod
    def unpack(cls, packed: bytes) -> "Known":
        """Read what ``packed`` gave; its digest was compared with a signed one before.

        Raises:
            UnavailableError: another release wrote it.
        """
        try:
            document = orjson.loads(zstandard.ZstdDecompressor().decompress(packed))
            known = thawed(document, cls)
        except (zstandard.ZstdError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise UnavailableError(
                "what is known of the pruned entries was written by another release of tfaudit, "
                "and this one can't read it: verify with the newer of the two"
            ) from error
        assert isinstance(known, cls)  # noqa: S101 - of such a type it was made
        return known


def digest_of(packed: bytes) -> str:
    """Return what ``audit.pruned`` says of a packed baseline: its SHA-256, hex."""
    return sha256(packed).hexdigest()


# ---------------------------------------------------------------- any value as JSON, by its type


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def frozen(value: Any, kind: Any) -> Any:  # noqa: ANN401, PLR0911 - of any type; a case each
    """Return a value as JSON.

    Args:
        value: of dataclasses, named tuples, ``dict``, ``list``, ``set``, ``tuple``, texts, numbers
            and bytes; what is declared as a ``Mapping`` or ``Any`` is JSON already.
        kind: its declared type.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if value is None else frozen(value, _only(args))
    if kind is bytes or (kind is object and isinstance(value, bytes)):
        encoded = b64encode(value).decode()
        return encoded if kind is bytes else {_BYTES: encoded}
    if origin is dict:
        return [[frozen(key, args[0]), frozen(each, args[1])] for key, each in value.items()]
    if origin is list:
        return [frozen(each, args[0]) for each in value]
    if origin in {set, frozenset}:
        return sorted(frozen(each, args[0]) for each in value)
    if origin is tuple:
        return [frozen(each, of) for each, of in zip(value, _each(args, value), strict=True)]
    if (names := _parts(kind)) is not None:
        return {name.strip("_"): frozen(getattr(value, name), _hints(kind)[name]) for name in names}
    if _is_struct(kind):
        return msgspec.to_builtins(value)
    _require_plain(kind, origin)
    return dict(value) if isinstance(value, Mapping) else value


def thawed(value: Any, kind: Any) -> Any:  # noqa: ANN401, PLR0911 - as above
    """Return what ``frozen`` made JSON of; what an older release did not know is the default.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is of another type.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if value is None else thawed(value, _only(args))
    if kind is bytes:
        return b64decode(value, validate=True)
    if kind is object:
        return b64decode(value[_BYTES], validate=True) if isinstance(value, dict) else value
    if origin is dict:
        return {thawed(key, args[0]): thawed(each, args[1]) for key, each in value}
    if origin in {list, set, frozenset}:
        return origin(thawed(each, args[0]) for each in value)
    if origin is tuple:
        return tuple(thawed(each, of) for each, of in zip(value, _each(args, value), strict=True))
    if (names := _parts(kind)) is not None:
        given = {name: value.pop(name.strip("_")) for name in names if name.strip("_") in value}
        if value:
            raise ValueError(f"{kind.__name__} has no {min(value)}")
        return kind(**{name: thawed(each, _hints(kind)[name]) for name, each in given.items()})
    if _is_struct(kind):
        return msgspec.convert(value, kind)
    _require_plain(kind, origin)
    return value


def _is_struct(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _parts(kind: Any) -> list[str] | None:  # noqa: ANN401
    """Return the names of the parts of a dataclass or a named tuple; None of anything else."""
    if is_dataclass(kind):
        return [each.name for each in fields(kind)]
    return list(kind._fields) if hasattr(kind, "_fields") else None


def _only(args: tuple[Any, ...]) -> Any:  # noqa: ANN401
    (kind,) = (each for each in args if each is not type(None))
    return kind


def _each(args: tuple[Any, ...], value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return args[:1] * len(value) if args[-1:] == (...,) else args


def _require_plain(kind: Any, origin: Any) -> None:  # noqa: ANN401
    if kind not in _PLAIN and origin not in {Mapping, Literal}:
        raise TypeError(f"{kind} can't be written down")
