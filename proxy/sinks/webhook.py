"""Webhooks as Standard Webhooks signs them, with CloudEvents 1.0 as their content.

https://github.com/standard-webhooks/standard-webhooks (spec/standard-webhooks.md) and the HTTP
Protocol Binding of CloudEvents 1.0.2 (structured and batched content mode).
"""

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, ClassVar, Final

import orjson
from msgspec import Meta

from proxy.errors import ConfigError
from proxy.sinks._http import (
    MAX_REQUESTS,
    Http,
    HttpOptions,
    Part,
    Verdict,
    Verdicts,
    address_of,
    header_secret,
    in_order,
    in_parts,
    is_there,
    made,
)
from proxy.sinks._rendering import rendered
from proxy.sinks.contract import Batch, Context, Limits, Options, Receipt
from proxy.sinks.options import AllowHttp, Format, SecretName, Url

MAX_BODY: Final = 1_000_000
"""Bytes of a request with several events; the standard advises to stay small."""
_LEAST_KEY: Final = 24
"""Bytes of a key, by the standard."""
_VERDICTS: Final[Verdicts] = {410: Verdict.GONE}


class WebhookOptions(HttpOptions, frozen=True, kw_only=True):
    """Where a webhook goes, and how it is signed."""

    url: Annotated[Url, Meta(description="Address that events are posted to.")] | None = None
    url_secret: (
        Annotated[
            SecretName,
            Meta(description="Name of the secret that is the address, if a secret is in it."),
        ]
        | None
    ) = None
    signing_secrets: Annotated[
        tuple[SecretName, ...],
        Meta(
            min_length=1,
            max_length=5,
            description="Names of the secrets (`whsec_…`) that sign each request, all of them: to "
            "replace one, add the new, let the receiver take it, then remove the old.",
        ),
    ]
    authorization_secret: (
        Annotated[
            SecretName,
            Meta(description="Name of the secret that is sent as `Authorization`: `Bearer …`."),
        ]
        | None
    ) = None
    format: Format = "cloudevents"
    batch: Annotated[
        int,
        Meta(
            ge=1,
            le=500,
            description="Events in one request. With more than 1, each request has a list: of "
            "CloudEvents in batched content mode.",
        ),
    ] = 1
    allow_http: AllowHttp = False


class Webhook:
    """Posts events to an address of yours, signed as Standard Webhooks says."""

    options_type: ClassVar[type[Options]] = WebhookOptions

    def __init__(self, options: WebhookOptions, context: Context) -> None:
        self.limits = Limits(events=max(MAX_REQUESTS, options.batch))
        self._options = options
        self._now = context.now
        self._url, hidden = address_of(options, context, allow_http=options.allow_http)
        self._headers: dict[str, str] = {}
        keys = [context.secret(name).reveal() for name in options.signing_secrets]
        if options.authorization_secret is not None:
            value = header_secret(context, options.authorization_secret)
            self._headers["Authorization"] = value
            hidden.append(value)
        self._keys = [
            _key(name, text) for name, text in zip(options.signing_secrets, keys, strict=True)
        ]
        self._http = Http(options, context, "the webhook's receiver", [*hidden, *keys])

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch, one request after the other; see contract.Sink."""
        checkpoint = base64.b64encode(batch.checkpoint.encode()).decode()

        async def post(part: Part) -> Receipt:
            if self._options.batch == 1:
                body = part.pieces[0]
                identity = str(batch.events[part.indices[0]].entry["id"])
            else:
                body = b"[" + b",".join(part.pieces) + b"]"
                ids = ",".join(str(batch.events[index].entry["id"]) for index in part.indices)
                identity = f"batch_{hashlib.sha256(ids.encode()).hexdigest()[:32]}"
            headers = self._signed(identity, body) | {"Tfaudit-Checkpoint": checkpoint}
            answer = await self._http.ask("POST", self._url, headers, body)
            return self._http.require_taken(answer, part.indices, _VERDICTS)

        return await in_order(await made(batch, self._parts), post)

    async def probe(self) -> str:
        """Ask for what it would take (OPTIONS); see contract.Sink."""
        return is_there(self._http, await self._http.ask("OPTIONS", self._url, self._headers))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _parts(self, batch: Batch) -> list[Part]:
        pieces = (
            (index, orjson.dumps(rendered(self._options.format, event, batch.origin)))
            for index, event in enumerate(batch.events)
        )
        return in_parts(pieces, most=self._options.batch, size=MAX_BODY)

    def _signed(self, identity: str, body: bytes) -> dict[str, str]:
        """Return the headers of one try: the ID stays the same, the time is the try's."""
        when = str(int(self._now().timestamp()))
        signed = f"{identity}.{when}.".encode() + body
        kind = "json"
        if self._options.format == "cloudevents":
            kind = "cloudevents+json" if self._options.batch == 1 else "cloudevents-batch+json"
        return self._headers | {
            "Content-Type": f"application/{kind}; charset=utf-8",
            "webhook-id": identity,
            "webhook-timestamp": when,
            "webhook-signature": " ".join(
                "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
                for key in self._keys
            ),
        }


def _key(name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < _LEAST_KEY:
        raise ConfigError(
            f"the secret {name} signs no webhook: it must be whsec_ and base64 of at least "
            f'{_LEAST_KEY} random bytes, as echo "whsec_$(openssl rand -base64 32)" makes one'
        )
    return key
