"""The server is stopped or killed in the middle of an apply: the client notices nothing."""

import pytest

from tests.e2e.conftest import MakeTerraform
from tests.e2e.ledger import BLOCKED, Ledger
from tests.e2e.server import HTTP_BACKEND, Server
from tests.e2e.terraform import Run, Terraform


def blocked(ledger: Ledger, make_terraform: MakeTerraform) -> tuple[Terraform, Run]:
    """Return a client whose first apply is in the middle, and that apply."""
    # The server may need more than the three seconds after which a client gives up by default.
    env = {**ledger.backend(), "TF_HTTP_RETRY_MAX": "10", "TF_HTTP_RETRY_WAIT_MAX": "1"}
    terraform = make_terraform(env=env)
    terraform.write(HTTP_BACKEND + BLOCKED)
    terraform.run("init")
    run = terraform.start("apply", "-auto-approve")
    run.wait_for("under way")
    return terraform, run


def events(ledger: Ledger) -> list[str]:
    """Return the events of the log that tell of the server and of writes, oldest first."""
    told = ("audit.started", "audit.stopped", "audit.unclean_shutdown", "state.")
    return [
        record.event
        for record in ledger.server.log()
        if record.event.startswith(told) and record.event != "state.read"
    ]


def test_stopped_in_mid_apply(server: Server, make_terraform: MakeTerraform) -> None:
    """A stop in order and a new start keep the lock, and the apply saves under it."""
    ledger = Ledger(server, "stopped")
    terraform, run = blocked(ledger, make_terraform)

    with run:
        code = server.stop()
        server.start()
        (terraform.workdir / "go").touch()
        run.wait()

    assert 0 == code
    assert [
        "audit.started",
        "state.locked",
        "audit.stopped",
        "audit.started",
        "state.written",
        "state.unlocked",
    ] == events(ledger)
    assert 0 == server.verify().returncode


def test_killed_in_mid_apply(server: Server, make_terraform: MakeTerraform) -> None:
    """A killed server keeps the lock too, and says afterwards that it was killed."""
    ledger = Ledger(server, "killed")
    terraform, run = blocked(ledger, make_terraform)

    with run:
        server.kill()
        server.start()
        (terraform.workdir / "go").touch()
        run.wait()

    assert [
        "audit.started",
        "state.locked",
        "audit.unclean_shutdown",
        "audit.started",
        "state.written",
        "state.unlocked",
    ] == events(ledger)
    assert 0 == server.verify().returncode


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_away_when_the_apply_saves(server: Server, make_terraform: MakeTerraform, how: str) -> None:
    """An upload to a server that is not there is sent again until it is there: one version."""
    ledger = Ledger(server, "away")
    terraform, run = blocked(ledger, make_terraform)

    with run:
        getattr(server, how)()
        (terraform.workdir / "go").touch()
        run.wait_for("Creation complete")
        server.start()
        run.wait()

    assert ["state.written", "state.unlocked"] == events(ledger)[-2:]
    assert not (terraform.workdir / "errored.tfstate").exists()
    assert 0 == server.verify().returncode
