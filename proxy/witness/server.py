"""The witness's HTTP face: ``POST /add-checkpoint``, ``GET /latest-checkpoint/…``, ``/healthz``."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from proxy.errors import UnavailableError
from proxy.logs import Logger
from proxy.tlog.cosignature import Cosigner
from proxy.tlog.note import NoteVerifier
from proxy.tlog.witnessing import (
    LATEST,
    MAX_REQUEST_BYTES,
    PATH,
    SIZE_TYPE,
    Refused,
    check_claim,
    is_retired,
    latest_path,
)
from proxy.witness.ledger import Ledger

_BODY_SECONDS: Final = 10.0

_log = Logger("tfaudit.witness")


class WitnessServer:
    """Answers logs.

    Args:
        cosigner: the witness's key.
        logs: by the origin the checkpoint keys of each log that it watches, the newest last.
        ledger: remembers.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        cosigner: Cosigner,
        logs: Mapping[str, Sequence[NoteVerifier]],
        ledger: Ledger,
        clock: Callable[[], int],
    ) -> None:
        self._cosigner = cosigner
        self._logs = logs
        self._ledger = ledger
        self._clock = clock
        # One thread: requests are decided one after the other, and a slow disk stops no other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def app(self) -> web.Application:
        """Return the application; the file is the caller's to close, after it."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_post(f"/{PATH}", self.add_checkpoint)
        app.router.add_get(f"/{LATEST}/{{log}}", self.latest_checkpoint)
        app.router.add_get("/healthz", self.healthz)

        async def end(_: web.Application) -> None:
            self._thread.shutdown()

        app.on_cleanup.append(end)
        return app

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer 200 while what is remembered can be read."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._ledger.latest, "")
        except UnavailableError as error:
            _log.warning("not healthy", error=str(error))
            return web.Response(status=503, text="what is remembered can't be read\n")
        return web.Response(text="ok\n")

    async def latest_checkpoint(self, request: web.Request) -> web.Response:
        """Show the checkpoint of a log that was cosigned last, as the log signed it.

        It proves to the log, and to anybody, what this witness says when it refuses another.
        """
        names = {f"/{latest_path(origin)}": origin for origin in self._logs}
        origin = names.get(request.path, "")
        loop = asyncio.get_running_loop()
        try:
            note = await loop.run_in_executor(self._thread, self._ledger.note, origin)
        except UnavailableError as error:
            _log.warning("not shown", error=str(error))
            return web.Response(status=503, text="what is remembered can't be read\n")
        if note is None:
            return web.Response(status=404, text="This witness cosigned no such log.\n")
        return web.Response(text=note)

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        """Cosign a checkpoint that follows from the last one (tlog-witness, *add-checkpoint*)."""
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return web.Response(status=408, text="The request took too long.\n")
        except web.HTTPRequestEntityTooLarge:
            return web.Response(
                status=413, text=f"The request is longer than {MAX_REQUEST_BYTES:,} bytes.\n"
            )
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._thread, self._answer, body)
        except UnavailableError as error:
            _log.error("nothing was cosigned", error=str(error))
            return web.Response(
                status=503, text="The witness can't cosign now.\n", headers={"Retry-After": "10"}
            )
        if isinstance(answer, Refused):
            return _refusal(answer)
        return web.Response(text=answer)

    def _answer(self, body: bytes) -> str | Refused:
        """Return the signature line; on the ledger's thread alone."""
        claim = check_claim(body, self._logs)
        if isinstance(claim, Refused):
            _log.info("refused", status=claim.status, reason=claim.reason)
            return claim
        origin = claim.checkpoint.origin
        latest = self._ledger.note(origin)
        if latest is not None and is_retired(claim.request.note, latest, self._logs[origin]):
            reason = "Signed by a key that this log retired: the last checkpoint has a newer one."
            _log.warning("refused", status=403, origin=origin, reason=reason)
            return Refused(403, reason)
        seconds = self._clock()
        answer = self._ledger.advance(claim, seconds)
        about = {"origin": origin, "size": claim.checkpoint.size}
        if isinstance(answer, Refused):
            if answer.is_fork:
                # Two checkpoints of one size and different roots, both signed: who has them needs
                # to trust nobody. The other one is in the ledger.
                _log.error(
                    "THE LOG WAS FORKED", **about, reason=answer.reason, note=claim.request.note
                )
            elif answer.size is not None and answer.size > claim.checkpoint.size:
                _log.error("the log is older than it was", **about, known=answer.size)
            else:
                _log.warning("refused", **about, status=answer.status, reason=answer.reason)
            return answer
        _log.info("cosigned", **about)
        return self._cosigner.cosign(answer.text, seconds)


def _refusal(answer: Refused) -> web.Response:
    if answer.size is None:
        return web.Response(status=answer.status, text=f"{answer.reason}\n")
    return web.Response(
        status=answer.status,
        body=f"{answer.size}\n".encode(),
        headers={"Content-Type": SIZE_TYPE},
    )
