"""The questions that a reviewer asks of the log, answered by `tfaudit log` from real entries."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.access import Principal, Role, rights_of
from proxy.app import create_app
from proxy.audit_log import draft
from proxy.cli._common import caller, run, settings
from proxy.program import open_program
from tests.cli.conftest import Tfaudit, json_lines, state

INFRA = {"repository": "acme/infra", "run_id": "42", "ref": "refs/heads/main"}
OTHER = {"repository": "acme/web", "run_id": "43", "ref": "refs/heads/main"}


@pytest.fixture
def busy(data: Path, tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line on a log with failed logins, grants, and what two pipelines did."""
    for name in ("alice", "bob"):
        tfaudit("principal", "create", name)
    tfaudit("grant", "create", "g", "--principal", "alice", "--role", "writer", "--workspace", "*")
    tfaudit("grant", "update", "g", "--role", "reader")
    tfaudit("grant", "delete", "g")

    async def work() -> None:
        async with open_program(settings(data, None), create=True) as program:
            app = create_app(program)
            async with TestClient(TestServer(app)) as client:
                # Ten failures of a source get an entry each, the rest are counted in one.
                for _ in range(25):
                    response = await client.get(
                        "/state/prod", headers={"Authorization": "Bearer x"}
                    )
                    assert 401 == response.status
            for claims in (INFRA, OTHER):
                await as_pipeline(program, claims)

    run(work())
    return tfaudit


async def as_pipeline(program: Any, claims: dict[str, str]) -> None:
    """Write and read a state as the identity of a pipeline."""
    name = claims["repository"]
    principal = Principal(
        "oidc", f"ci:{name}", name, rights_of(Role.WRITER), issuer="ci", claims=claims
    )
    who = caller("test")._replace(principal=principal, via="terraform", ip="10.0.0.7")

    async def body(_: int | None) -> bytes:
        return state(1)

    await program.states.write(who, name, body, None, None)
    await program.states.read(who, name)
    await program.store.write(
        lambda tx: tx.append(draft("access.denied", "denied", "no", who, 403))
    )


def events(output: str) -> list[str]:
    """Return the events of JSON lines."""
    return [line["entry"]["event"] for line in json_lines(output)]


def test_failed_logins_by_address(busy: Tfaudit) -> None:
    """All of them, those too that a flood folded into one entry."""
    query = ("log", "--event", "auth.failed", "--since", "30d", "--count-by", "source_ip")
    (counted,) = json.loads(busy(*query, "--json").stdout)
    assert ("127.0.0.1", 25) == (counted["source_ip"], counted["count"])
    assert counted["first"] < counted["last"]
    table = busy(*query).stdout.splitlines()
    assert ["COUNT", "SOURCE", "IP", "FIRST", "LAST"] == table[0].split()
    assert ["25", "127.0.0.1"] == table[1].split()[:2]
    assert 25 > len(events(busy("log", "--event", "auth.*", "--json").stdout))


def test_every_change_of_a_grant(busy: Tfaudit) -> None:
    """With what was, what is, and who did it."""
    lines = json_lines(busy("log", "--event", "grant.*", "--since", "30d", "--json").stdout)
    assert [
        ("grant.created", None, "writer"),
        ("grant.updated", "writer", "reader"),
        ("grant.deleted", "reader", None),
    ] == [
        (
            line["entry"]["event"],
            (line["entry"]["object"]["before"] or {}).get("role"),
            (line["entry"]["object"]["after"] or {}).get("role"),
        )
        for line in lines
    ]
    assert {"system"} == {line["entry"]["actor"]["type"] for line in lines}


def test_everything_that_one_pipeline_did(busy: Tfaudit) -> None:
    """Reads and refusals too, by what its issuer says of it, or by its name; all must hold."""
    did = ["workspace.created", "state.written", "state.read", "access.denied"]
    for filters, expected in (
        (("--claim", "repository=acme/infra"), did),
        (("--claim", "repository=acme/infra", "--claim", "run_id=42"), did),
        (("--claim", "run_id=42", "--limit", "2"), did[:2]),
        (("--actor", "acme/infra"), did),
        (("--actor", "ci:acme/infra"), did),
        (("--claim", "repository=acme/infra", "--claim", "run_id=43"), []),
    ):
        found = events(busy("log", *filters, "--since", "30d", "--json").stdout)
        assert expected == found
    newest = json_lines(busy("log", "--json", "--limit", "2").stdout)[1]
    assert ["repository=acme/infra", "run_id=43"] == newest["entry"]["query"]["claims"]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (("--claim", "repository"), "write NAME=VALUE"),
        (("--claim", "=x"), "write NAME=VALUE"),
        (("--claim", 'a"b=x'), "is no name of a claim"),
        (("--count-by", "source_ip", "--follow"), "leave --follow away"),
        (("--count-by", "colour"), "colour"),
    ],
)
def test_what_means_nothing_is_wrong_usage(
    tfaudit: Tfaudit, filters: tuple[str, ...], message: str
) -> None:
    """It is not answered with an empty list."""
    assert message in tfaudit("log", *filters, code=2).stderr
