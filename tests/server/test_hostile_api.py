"""The API under requests that are made up from its own description (schemathesis), as each role.

Every request is sent by everybody in turn: whatever one may not must be refused however it is
asked for, nothing may fail on our side, and every answer must be as it is described.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as described

from proxy.access import Role
from proxy.server.openapi import document
from proxy.server.routes import ROUTES
from tests.people import quicken
from tests.running import SYSTEM, Face, a_face
from tests.samples import a_state
from tests.test_roles import ABOUT_ONESELF, ANYBODYS, EXPECTED_OPERATIONS, ROLES

SCHEMA: Final = schemathesis.openapi.from_dict(document(ROUTES))
OPERATIONS: Final = {
    each.ok().label: each.ok() for each in SCHEMA.get_all_operations() if isinstance(each, Ok)
}
CASES: Final = [
    pytest.param(label, mode, id=f"{label} {mode.value}")
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    # What takes nothing can't be given anything wrong.
    if mode is GenerationMode.POSITIVE or operation.body or operation.query
]
CHECKS: Final = [
    checks.not_a_server_error,
    described.status_code_conformance,
    described.content_type_conformance,
    described.response_headers_conformance,
    described.response_schema_conformance,
]
NOBODY: Final = "nobody"
LONGEST: Final = 7_000
"""Bytes of a query."""
REFUSED: Final = {400, 403, 413, 415}
"""How it is told that something may not be, or was not even understood."""
NOWHERE: Final = "urn:tfaudit:problem:no-such-address"
"""What is answered when a name made the address one that there is not."""


class Server:
    """The application on a loop of its own, for clients that block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""
        self.tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with a_face(self._directory) as face:
            quicken(face)
            await self._fill(face)
            self.url = f"http://127.0.0.1:{face.port}"
            self._is_ready.set()
            await self._stop.wait()

    async def _fill(self, face: Face) -> None:
        program = face.program
        for role in Role:
            self.tokens[role.value] = await face.token(role)
        await program.directory.create(SYSTEM, "principal", {"name": NOBODY})
        minted = await program.admin.create_token(SYSTEM, NOBODY, "", ["*"], None, principal=NOBODY)
        self.tokens[NOBODY] = minted.text
        await program.states.import_state(SYSTEM, "0", a_state(1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the application over a store with a token for each role."""
    with Server(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_no_request_gets_more_than_the_table_gives(
    server: Server, label: str, mode: GenerationMode
) -> None:
    """Whatever fits the description, and whatever does not, by everybody."""
    operation = OPERATIONS[label]
    # Everybody sends the first one; after that the ends of the table will do.
    groups = iter([(*ROLES, NOBODY)])
    name = operation.definition.raw["operationId"]

    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        # A longer first line is refused by HTTP itself, in plain text, before it is understood.
        assume(len(urlencode(case.query or {}, doseq=True)) < LONGEST)
        with requests.Session() as session:
            for role in next(groups, (Role.ADMIN.value, NOBODY)):
                case.headers = {
                    **{
                        key: value
                        for key, value in (case.headers or {}).items()
                        if key.lower() not in {"authorization", "cookie"}
                    },
                    "Authorization": f"Bearer {server.tokens[role]}",
                }
                case.cookies = {}
                response = case.call(base_url=server.url, session=session)
                case.validate_response(response, checks=CHECKS)
                if name in ABOUT_ONESELF | ANYBODYS or EXPECTED_OPERATIONS[name][role]:
                    continue
                about = (label, role, response.status_code, response.text)
                assert response.status_code in REFUSED or NOWHERE in response.text, about

    ask()
