"""Tests of `tfaudit whoami`."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.access import Role
from proxy.cli._remote import ask_who_am_i
from proxy.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.cli.conftest import Tfaudit
from tests.running import Face, a_face


def test_on_the_data_directory_one_is_the_operating_systems_user(tfaudit: Tfaudit) -> None:
    """Who may do all."""
    told = json.loads(tfaudit("whoami", "--workspace", "prod", "--json").stdout)
    assert ("system", ["admin"]) == (told["kind"], told["roles"])
    assert {True} == {each["allowed"] for each in told["permissions"]}


def test_people_get_a_table(tfaudit: Tfaudit) -> None:
    """A line a permission, with the answer and the reason."""
    lines = tfaudit("whoami", "--workspace", "prod/web").stdout.splitlines()
    assert "by access to the data directory" in lines[0]
    assert "On prod/web:" in lines
    assert any(line.startswith("yes  state:write  ") for line in lines)


def test_what_is_no_workspace_is_wrong_usage(tfaudit: Tfaudit) -> None:
    """Exit code 2."""
    tfaudit("whoami", "--workspace", "a//b", code=2)


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over an empty store."""
    async with a_face(tmp_path / "served") as running:
        yield running


async def test_a_server_tells_who_one_is_to_it(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the credentials that Terraform sends, by the state's address that it is given."""
    monkeypatch.setenv("TF_HTTP_USERNAME", "anybody")
    monkeypatch.setenv("TF_HTTP_PASSWORD", await face.token(Role.PLANNER))
    told = await ask_who_am_i(f"http://127.0.0.1:{face.port}/state/prod/web", None)
    assert ("planner", "prod/web") == (told.name, told.workspace)
    allowed = {each.permission.value for each in told.permissions if each.allowed}
    assert {"state:read", "lock:take-to-plan"} == allowed


async def test_a_token_of_the_environment_comes_first(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFAUDIT_TOKEN is for this command alone."""
    monkeypatch.setenv("TF_HTTP_PASSWORD", "wrong")
    monkeypatch.setenv("TFAUDIT_TOKEN", await face.token(Role.READER))
    told = await ask_who_am_i(f"http://127.0.0.1:{face.port}", None)
    assert ("reader", ()) == (told.name, told.permissions)


async def test_a_refusal_is_told_in_the_servers_words(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shows nothing of the credentials."""
    monkeypatch.setenv("TFAUDIT_TOKEN", "tfa_wrong")
    with pytest.raises(
        UnauthenticatedError, match="answered 401: the credentials hold no valid"
    ) as (caught):
        await ask_who_am_i(f"http://127.0.0.1:{face.port}", None)
    assert "tfa_wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, UnavailableError),
        ({"status": 403, "text": "no"}, ForbiddenError),
        ({"status": 200, "text": "<html>"}, UnavailableError),
        ({"status": 200, "text": "x" * ((1 << 20) + 1)}, UnavailableError),
        ({"status": 500, "text": ""}, UnavailableError),
    ],
)
async def test_another_server_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], expected: type[Exception]
) -> None:
    """A redirect is not followed: it could lead the token to somebody else."""
    monkeypatch.setenv("TFAUDIT_TOKEN", "secret-token")
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(**answer)

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with TestServer(app) as server:
        with pytest.raises(expected) as caught:
            await ask_who_am_i(str(server.make_url("")), "prod")
    assert ["/api/v1/whoami"] == asked
    assert "secret-token" not in str(caught.value)


async def test_a_server_that_is_not_there_could_not_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which is no answer."""
    monkeypatch.setenv("TFAUDIT_TOKEN", "secret-token")
    with pytest.raises(UnavailableError, match="could not be asked"):
        await ask_who_am_i("http://127.0.0.1:9", None)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8920",
        "ftp://127.0.0.1",
        "http://user:password@127.0.0.1",
        "http://127.0.0.1:x",
        "http://127.0.0.1/?a=b",
        "http://",
    ],
)
async def test_what_is_no_address_of_a_server_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Before anything is sent; what it may hold of credentials is not repeated."""
    monkeypatch.setenv("TFAUDIT_TOKEN", "secret-token")
    with pytest.raises(InvalidInputError) as caught:
        await ask_who_am_i(url, None)
    assert "password" not in str(caught.value)


async def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which variables to set."""
    monkeypatch.delenv("TF_HTTP_PASSWORD", raising=False)
    with pytest.raises(InvalidInputError, match="TFAUDIT_TOKEN"):
        await ask_who_am_i("http://127.0.0.1:9", None)


def test_credentials_in_clear_are_warned_of(
    tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they stay on this machine."""
    monkeypatch.delenv("TF_HTTP_PASSWORD", raising=False)
    result = tfaudit("whoami", "--url", "http://tfaudit.invalid", code=2)
    assert "go to tfaudit.invalid in clear" in result.stderr
    assert "in clear" not in tfaudit("whoami", "--url", "http://[::1]:9", code=2).stderr
