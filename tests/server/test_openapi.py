"""Tests of proxy.server.openapi and of what it says."""

from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.server.openapi import PREFIX, document, path_of
from proxy.server.operations import Route
from proxy.server.routes import ROUTES
from tests.fakes import FakeStore
from tests.server.faces import Serve, api_app

DOCUMENT = document(ROUTES)
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method} {path}": told
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}


def test_the_document_is_one_of_openapi() -> None:
    """As the standard's own schema has it, references included."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_address_of_the_api_is_described() -> None:
    """With its method; nothing else is."""
    expected = {(path_of(r), r.method.lower()) for r in ROUTES if r.path.startswith(PREFIX)}
    assert expected == {(path, method) for path, of in DOCUMENT["paths"].items() for method in of}


def test_a_route_without_a_description_is_a_mistake() -> None:
    """It is named, so that whoever adds one learns of it."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(ValueError, match="GET /api/v1/new has no operation"):
        document([Route("GET", "/api/v1/new", handler)])


def test_operations_have_names_of_their_own() -> None:
    """So that a client that is generated has a function for each."""
    names = [told["operationId"] for told in OPERATIONS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("told", OPERATIONS.values(), ids=OPERATIONS)
def test_whatever_wants_credentials_tells_of_their_refusal(told: dict[str, Any]) -> None:
    """401 for whoever is unknown, and 403 where a permission is wanted; open ones have neither.

    But for a login, which can fail, and for what some may do only to what is their own.
    """
    is_open = [] == told.get("security") and told["operationId"] != "login"
    assert is_open != ("401" in told["responses"])
    assert "Wants `" not in told["description"] or "403" in told["responses"]
    assert not (is_open and "403" in told["responses"])


@pytest.mark.parametrize(
    "name", [name for name, each in DOCUMENT["components"]["schemas"].items() if each.get("title")]
)
def test_every_field_that_is_sent_is_explained(name: str) -> None:
    """From the docstring of its type, or from its own annotation."""
    schema = DOCUMENT["components"]["schemas"][name]
    if name.endswith(("Creation", "Changes")):
        unexplained = [key for key, of in schema["properties"].items() if "description" not in of]
        assert [] == unexplained
        assert schema["additionalProperties"] is False


async def test_anybody_may_read_it(aiohttp_client: Serve) -> None:
    """It says nothing but what the documentation says."""
    client = await aiohttp_client(api_app(FakeStore()))
    response = await client.get("/api/v1/openapi.json")
    assert 200 == response.status
    assert DOCUMENT == await response.json()
