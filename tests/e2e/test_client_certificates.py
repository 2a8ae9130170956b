"""Real Terraform with a client certificate: to the server itself, and through a real nginx."""

import json
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.certificates import Authority, Pair, authority, client_context
from tests.e2e.conftest import MakeServer, MakeTerraform
from tests.e2e.ledger import VALUE
from tests.e2e.nginx import an_nginx
from tests.e2e.server import HTTP_BACKEND, Record, Server
from tests.e2e.terraform import Terraform

CI = "CN=ci,O=Acme"


def known(server: Server, name: str, certificate: str, role: str = "writer") -> None:
    """Make a principal with a certificate, and let it do what the role allows."""
    principal = {"name": name, "certificates": [certificate]}
    grant = {"name": name, "principal": name, "role": role, "workspaces": ["*"]}
    for kind, fields in (("principals", principal), ("grants", grant)):
        made = server.request(
            "POST",
            f"/api/v1/{kind}",
            json.dumps(fields).encode(),
            token=server.admin_token,
            headers={"Content-Type": "application/json"},
        )
        assert 201 == made.status, made


def settings(address: str, ca: Authority, pair: Pair) -> dict[str, str]:
    """Return the TF_HTTP_* variables of a workspace's address for a client with a certificate."""
    return {
        "TF_HTTP_ADDRESS": address,
        "TF_HTTP_LOCK_ADDRESS": address,
        "TF_HTTP_UNLOCK_ADDRESS": address,
        "TF_HTTP_RETRY_MAX": "0",
        "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM": ca.pem,
        "TF_HTTP_CLIENT_CERTIFICATE_PEM": pair.pem,
        "TF_HTTP_CLIENT_PRIVATE_KEY_PEM": pair.key_pem,
    }


def client(make: MakeTerraform, env: dict[str, str], name: str = "work") -> Terraform:
    """Return a client with a configuration."""
    terraform = make(env=env, name=name)
    terraform.write(HTTP_BACKEND + VALUE)
    return terraform


def of(server: Server, workspace: str) -> list[Record]:
    """Return a workspace's entries."""
    return [record for record in server.log() if record.entry.get("workspace") == workspace]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that asks for client certificates, with one principal that has one."""
    folder = tmp_path_factory.mktemp("secure")
    ca = authority()
    certificate, key = ca.server().files(folder, "server")
    (folder / "ca.pem").write_text(ca.pem)
    options = ["--certificate", certificate, "--private-key", key, "--client-ca", folder / "ca.pem"]
    server = Server(folder / "data", options=[str(each) for each in options])
    server.tls = client_context(ca, folder)
    try:
        server.start()
        known(server, "pipeline", CI)
        yield server
        verified = server.verify()
        assert 0 == verified.returncode, verified.stdout + verified.stderr
    finally:
        server.kill()


def test_a_certificate_alone_is_enough(secure: Server, make_terraform: MakeTerraform) -> None:
    """Written into the backend's block; every entry of the run is the principal's."""
    env = settings(secure.state_url("alone"), authority(), authority().issue(CI))
    terraform = make_terraform()
    block = "\n".join(
        f"    {name.removeprefix('TF_HTTP_').lower()} = {json.dumps(value)}"
        for name, value in env.items()
    )
    terraform.write(f'terraform {{\n  backend "http" {{\n{block}\n  }}\n}}\n{VALUE}')
    terraform.run("init")
    terraform.apply()

    records = of(secure, "alone")
    assert {"state.read", "state.locked", "state.written", "state.unlocked"} <= {
        record.event for record in records
    }
    assert {("certificate", "pipeline", CI)} == {
        (actor["type"], actor["name"], actor["claims"]["certificate"])
        for actor in (record.entry["actor"] for record in records)
    }


def test_a_certificate_of_another_ca_is_refused_by_tls(
    secure: Server, make_terraform: MakeTerraform
) -> None:
    """Nothing was asked, so nothing is on record; the program's own log says why."""
    env = settings(secure.state_url("foreign"), authority(), Authority().issue(CI))
    refused = client(make_terraform, env).run("init", check=False)
    assert 1 == refused.returncode
    assert f'"{secure.state_url("foreign")}": ' in refused.output
    assert [] == of(secure, "foreign")
    assert '"why": "unable to get local issuer certificate"' in secure.stderr


def test_a_certificate_of_nobody_is_told_apart_on_record(
    secure: Server, make_terraform: MakeTerraform
) -> None:
    """It is valid, so its names are known, and what to do with them."""
    env = settings(secure.state_url("nobody"), authority(), authority().issue("CN=new,O=Acme"))
    refused = client(make_terraform, env).run("init", check=False)
    assert 1 == refused.returncode
    assert "requires auth" in refused.output
    entry = [record.entry for record in secure.log() if record.event == "auth.failed"][-1]
    assert ("anonymous", 401) == (entry["actor"]["type"], entry["request"]["status"])
    assert "no principal is known by its names (CN=new,O=Acme)" in entry["message"]


def test_a_token_decides_over_a_certificate(secure: Server, make_terraform: MakeTerraform) -> None:
    """Whoever sends both is who the token says."""
    env = settings(secure.state_url("both"), authority(), authority().issue(CI))
    env |= {"TF_HTTP_USERNAME": "x", "TF_HTTP_PASSWORD": secure.token("writer", name="both")}
    terraform = client(make_terraform, env)
    terraform.run("init")
    terraform.apply()
    actors = [record.entry["actor"] for record in of(secure, "both")]
    assert {("token", "both")} == {(actor["type"], actor["name"]) for actor in actors}


# ---------------------------------------------------------------- through a proxy


def behind(make_server: MakeServer, form: str) -> Server:
    """Run a server that believes a proxy on this machine."""
    return make_server(
        env={
            "TFAUDIT_SERVER_TRUSTED_PROXIES": "127.0.0.1",
            "TFAUDIT_SERVER_CLIENT_CERTIFICATE_HEADER": "X-Client-Cert",
            "TFAUDIT_SERVER_CLIENT_CERTIFICATE_FORM": form,
        }
    )


def status(port: int, context: ssl.SSLContext, **headers: str) -> int:
    """Ask for a state through the proxy; return the answer's status."""
    connection = HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", "/state/proxied", headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_proxy_passes_the_certificate(
    make_server: MakeServer, make_terraform: MakeTerraform, tmp_path: Path
) -> None:
    """And takes away what a client says in its place."""
    server, ca = behind(make_server, "pem"), authority()
    known(server, "pipeline", CI)
    pair = ca.issue(CI)
    with an_nginx(tmp_path / "nginx", ca, server.port) as port:
        address = f"https://127.0.0.1:{port}/state/proxied"
        terraform = client(make_terraform, settings(address, ca, pair))
        terraform.run("init")
        terraform.apply()
        without = client_context(ca, tmp_path)
        forged = {"X_Client_Cert": pair.pem.replace("\n", "%0A")}
        assert [401, 401] == [status(port, without), status(port, without, **forged)]
        foreign = client_context(ca, tmp_path, Authority().issue(CI))
        assert 400 == status(port, foreign)
    records = of(server, "proxied")
    assert "state.written" in {record.event for record in records}
    assert {("certificate", "pipeline")} == {
        (record.entry["actor"]["type"], record.entry["actor"]["name"]) for record in records
    }


def test_a_proxy_passes_the_subject(make_server: MakeServer, tmp_path: Path) -> None:
    """As nginx writes it, which escapes what RFC 4514 says; and it is the same name."""
    subject = r"emailAddress=ci@acme.example,CN=J\C3\BCrgen\, Ci,OU=a\+b \"c\",O=Acme,C=DE"
    name = 'emailAddress=ci@acme.example,CN=J\u00fcrgen\\, Ci,OU=a\\+b \\"c\\",O=Acme,C=DE'
    server, ca = behind(make_server, "subject"), authority()
    known(server, "pipeline", name, "reader")
    with an_nginx(tmp_path / "nginx", ca, server.port, "$ssl_client_s_dn") as port:
        assert 404 == status(port, client_context(ca, tmp_path, ca.issue(subject)))
        other = client_context(ca, tmp_path, ca.issue("CN=ci"))
        assert [401, 401] == [status(port, other), status(port, client_context(ca, tmp_path))]
    assert {"pipeline"} == {record.entry["actor"]["name"] for record in of(server, "proxied")}
