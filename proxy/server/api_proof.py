"""The log for those who check it: receipts, proofs of its growth, tiles (C2SP tlog-tiles)."""

import asyncio
import gzip
import re
from base64 import b64encode
from typing import Annotated, Final

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from proxy import proof_service
from proxy.errors import InvalidInputError
from proxy.server.appkeys import CALLER, CONFIG, PROOFS
from proxy.server.replies import headers_of, json_reply
from proxy.server.requests import read_query, refuse_parameters
from proxy.tlog.receipt import SUFFIX
from proxy.tlog.tiles import Tile, parse_path

TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"
_MAX_SIZE: Final = 2**53 - 1
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_IMMUTABLE: Final = "max-age=31536000, immutable"
_GZIP_LEVEL: Final = 6

_Size = Annotated[int, Meta(ge=0, le=_MAX_SIZE)]
_Hash = Annotated[
    str, Meta(pattern="^[A-Za-z0-9+/]{43}=$", description="A SHA-256 hash in base64.")
]


class GrowthParameters(Struct, frozen=True, rename={"old": "from", "new": "to"}):
    """Between which sizes the log is proved to have grown.

    Attributes:
        old: number of entries then.
        new: number of entries later; left out it is the newest.
    """

    old: _Size
    new: _Size | None = None


class LogAt(Struct, frozen=True):
    """The log at one size.

    Attributes:
        size: number of entries.
        root: root hash of the tree over them.
        checkpoint: the signed checkpoint of this very size; null when no commit ended there.
    """

    size: _Size
    root: _Hash
    checkpoint: str | None


class Growth(Struct, frozen=True, rename={"old": "from", "new": "to"}):
    """Two sizes of the log, and what proves that the larger begins with the smaller.

    Attributes:
        old: the smaller.
        new: the larger, or the same.
        proof: PROOF(from, D[to]) of RFC 6962 section 2.1.2.
        newest: the newest signed checkpoint.
    """

    old: LogAt
    new: LogAt
    proof: list[_Hash]
    newest: str


async def prove_entry(request: web.Request) -> web.Response:
    """Answer an entry's receipt (C2SP tlog-proof), which carries the entry."""
    refuse_parameters(request)
    text = request.match_info["index"]
    if not _INDEX.fullmatch(text):
        raise InvalidInputError("the index in the address must be a whole number from 0")
    proved = await request.app[PROOFS].prove_entry(request[CALLER], int(text))
    headers = headers_of(f"{TEXT}; charset=utf-8", proved.index)
    headers[hdrs.CONTENT_DISPOSITION] = f'inline; filename="entry-{text}{SUFFIX}"'
    return web.Response(body=proved.receipt.text().encode(), headers=headers)


async def prove_growth(request: web.Request) -> web.Response:
    """Answer the proof that the log only grew between two sizes."""
    asked = read_query(request.query, GrowthParameters)
    proved = await request.app[PROOFS].prove_growth(request[CALLER], asked.old, asked.new)
    growth = Growth(
        _log_at(proved.old), _log_at(proved.new), list(map(_base64, proved.proof)), proved.newest
    )
    return json_reply(growth, proved.index)


async def tile(request: web.Request) -> web.Response:
    """Answer a tile or an entry bundle, which never change."""
    refuse_parameters(request)
    wanted = parse_path(f"tile/{request.match_info['path']}")
    content, index = await request.app[PROOFS].tile(request[CALLER], wanted)
    is_public = request.app[CONFIG].audit.public_log
    headers: dict[str, str] = {
        hdrs.CONTENT_TYPE: BYTES,
        # Only who may read it may keep it: a cache on the way knows nobody.
        hdrs.CACHE_CONTROL: f"{'public' if is_public else 'private'}, {_IMMUTABLE}",
    }
    if index is not None:
        headers["Audit-Index"] = str(index)
    if not isinstance(wanted, Tile):
        # Hashes can't be made smaller, entries can (C2SP tlog-tiles, *Log entries*).
        headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if _takes_gzip(request):
            content = await asyncio.to_thread(gzip.compress, content, _GZIP_LEVEL, mtime=0)
            headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=content, headers=headers)


def _takes_gzip(request: web.Request) -> bool:
    """Tell whether the client takes gzip (RFC 9110 section 12.5.3)."""
    for each in ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ())).lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
    return False


def _log_at(found: proof_service.LogAt) -> LogAt:
    return LogAt(found.size, _base64(found.root), found.checkpoint)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
