"""Clients that are interrupted or killed in the middle: what they leave, and how to go on."""

import json

import pytest

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import (
    APPLY,
    BLOCKED,
    CREATED,
    FORCED,
    NOTHING,
    PLAN,
    READ,
    Ledger,
    early,
    lock_refused,
    locked,
    under_lock,
    unlocked,
    written,
)


def test_sigkill_in_mid_apply(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A killed apply leaves its lock and no state; the record ends with what it had read."""
    terraform = project(terraform_version, BLOCKED)

    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        killed = run.kill()

    assert -9 == killed.returncode
    assert [*early(terraform_version, NOTHING), locked(APPLY), NOTHING] == ledger.steps()
    (left,) = ledger.locks()
    assert APPLY == left["operation"]
    assert terraform_version == left["version"]
    assert ledger.name == left["actor"]


def test_going_on_after_sigkill(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """The next run is refused with the dead run's lock ID; after a force-unlock all is well."""
    terraform = project(terraform_version, BLOCKED)
    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        run.kill()
    (left,) = ledger.locks()
    (terraform.workdir / "go").touch()
    ledger.skip()

    refused = terraform.apply(check=False)
    terraform.run("force-unlock", "-force", left["id"])
    terraform.apply()

    assert 1 == refused.returncode
    assert f"ID={left['id']}" in refused.output
    nothing = early(terraform_version, NOTHING)
    expected = [
        *nothing,
        lock_refused(APPLY),
        *nothing,
        FORCED,
        *nothing,
        *under_lock(APPLY, NOTHING, NOTHING, CREATED, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_sigkill_while_waiting_for_the_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A client that is gone gets no lock: it is refused on record, and the next one has it."""
    terraform = project(terraform_version, env=ledger.backend(wait=60))
    held = ledger.hold()
    ledger.skip()

    with terraform.start("plan") as run:
        run.wait_for("Acquiring state lock")
        run.kill()
    ledger.release(held)
    terraform.run("plan")

    gone = lock_refused(PLAN)._replace(status=503, outcome="error")
    ledger.wait_for(gone)
    steps = ledger.steps()
    steps.remove(gone)  # beside the others: the server finds out when it looks
    nothing = early(terraform_version, NOTHING)
    assert [*nothing, unlocked(APPLY), *nothing, *under_lock(PLAN, NOTHING)] == steps


@pytest.mark.parametrize("signal", ["interrupt", "terminate"])
def test_interrupt_in_the_first_apply(
    ledger: Ledger, project: MakeProject, terraform_version: str, signal: str
) -> None:
    """Terraform saves at once, the same again, then what came of it; and unlocks."""
    terraform = project(terraform_version, BLOCKED)

    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        getattr(run, signal)()
        ended = run.wait(30, check=False)

    assert 1 == ended.returncode
    assert "Interrupt received" in ended.output
    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(
            APPLY, NOTHING, NOTHING, CREATED, written(APPLY), READ, written(APPLY), written(APPLY)
        ),
    ]
    assert expected == ledger.steps()


def test_interrupt_in_a_later_apply(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """With a state there, an interrupt gives two versions: at once, and at the end."""
    terraform = project(terraform_version, BLOCKED)
    (terraform.workdir / "go").touch()
    terraform.apply()
    (terraform.workdir / "go").unlink()
    ledger.skip()

    with terraform.start("apply", "-auto-approve", "-var", "value=two") as run:
        run.wait_for("under way")
        run.interrupt()
        ended = run.wait(30, check=False)

    assert 1 == ended.returncode
    expected = [*early(terraform_version), *under_lock(APPLY, READ, written(APPLY), written(APPLY))]
    assert expected == ledger.steps()


def test_a_repeated_upload_is_one_version(ledger: Ledger, project: MakeProject) -> None:
    """The same bytes again make no version, but each upload is on record."""
    terraform = project(config=BLOCKED)

    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        run.interrupt()
        run.wait(30, check=False)

    writes = [record.entry for record in ledger.records() if record.event == "state.written"]
    assert [1, 1, 2] == [write["state"]["serial"] for write in writes]
    assert writes[1]["message"].endswith("the same bytes again, no new version")
    listed = ledger.command("state", "versions", ledger.workspace(), "--json")
    assert [1, 2] == sorted(version["serial"] for version in json.loads(listed))


def test_going_on_after_an_interrupt(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """The interrupted resource is tainted on record, and the next apply replaces it."""
    terraform = project(terraform_version, BLOCKED)
    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        run.interrupt()
        run.wait(30, check=False)
    (terraform.workdir / "go").touch()
    ledger.skip()

    applied = terraform.apply()

    assert "1 added, 0 changed, 1 destroyed" in applied.stdout
    assert [*early(terraform_version), *under_lock(APPLY, READ, written(APPLY))] == ledger.steps()
