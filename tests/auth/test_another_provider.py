"""Identity tokens of an OpenID provider that somebody else wrote (PyPI oidc-provider-mock)."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.auth.test_issuers import MAIN, a_world
from tests.oidc.issuer import GITHUB

CALLBACK = "http://localhost/callback"
CLIENT = "https://tfaudit.example.com"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Run the provider, which knows a run of a CI system; return its TCP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
    user = ("--user-claims", json.dumps(GITHUB))
    with subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(number), *user],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait(number)
            yield number
        finally:
            process.kill()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "the provider did not start"
            time.sleep(0.05)
        else:
            return


def _post(port: int, path: str, **form: str) -> tuple[str, bytes]:
    """Send a form; return where the answer leads, and its body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(form), headers)
        answer = connection.getresponse()
        return answer.getheader("Location") or "", answer.read()
    finally:
        connection.close()


def id_token(port: int, audience: str = CLIENT) -> str:
    """Log in, by the authorization code flow of OpenID Connect Core 1.0 section 3.1."""
    query = {
        "client_id": audience,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
    }
    location, _ = _post(port, f"/oauth2/authorize?{urlencode(query)}", sub=GITHUB["sub"])
    [code] = parse_qs(urlsplit(location).query)["code"]
    _, body = _post(
        port,
        "/oauth2/token",
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        client_id=audience,
        client_secret="x",
    )
    token: str = json.loads(body)["id_token"]
    return token


async def test_another_providers_tokens_are_understood(port: int) -> None:
    """Its discovery document, its keys, its signature, its claims."""
    async with a_world(None) as world:
        url = f"http://127.0.0.1:{port}"
        await world.put("issuer", name="ci", url=url, audience=[CLIENT])
        await world.grant(MAIN)

        principal = await world.ask(id_token(port))

        assert ("acme/infra", "1658821493") == (principal.name, principal.claims["run_id"])
        assert ["g"] == [grant.name for grant in principal.rights.grants]
        assert f"wanted is {CLIENT}" in await world.refusal(id_token(port, "another-client"))
