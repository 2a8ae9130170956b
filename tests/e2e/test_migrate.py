"""Moving states with `init -migrate-state`, and with `tfaudit state import`, which keeps them."""

import json
from typing import Any

from tests.e2e.conftest import MakeTerraform
from tests.e2e.ledger import (
    APPLY,
    CREATED,
    DESTINATION,
    HOLDER,
    NOTHING,
    PLAN,
    READ,
    SOURCE,
    VALUE,
    Ledger,
    Step,
    early,
    lock_refused,
    locked,
    under_lock,
    unlocked,
    written,
)
from tests.e2e.terraform import Terraform

MIGRATE = ("init", "-migrate-state", "-force-copy")


def read_by_init(version: str, step: Step) -> list[Step]:
    """Return the reads of a backend that init opens: one, and two from 1.15 on."""
    return [*early(version, step), step]


def local_project(ledger: Ledger, make_terraform: MakeTerraform, version: str) -> Terraform:
    """Return a project with a local state at serial 1."""
    terraform = make_terraform(version, env=ledger.credentials())
    terraform.write(VALUE)
    terraform.run("init")
    terraform.apply()
    return terraform


def remote_project(
    ledger: Ledger, make_terraform: MakeTerraform, version: str, name: str = "work"
) -> Terraform:
    """Return a project with a state in the main workspace; the ledger begins after that."""
    terraform = make_terraform(version, env=ledger.credentials(), name=name)
    terraform.write(ledger.block() + VALUE)
    terraform.run("init")
    terraform.apply()
    ledger.skip()
    return terraform


def local_state(terraform: Terraform) -> dict[str, Any]:
    """Return the state in the project's folder."""
    found: dict[str, Any] = json.loads((terraform.workdir / "terraform.tfstate").read_bytes())
    return found


def test_local_to_http(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """A migration locks the destination under its own operation and creates the workspace."""
    terraform = local_project(ledger, make_terraform, terraform_version)
    terraform.write(ledger.block() + VALUE)

    terraform.run(*MIGRATE)

    expected = [
        *read_by_init(terraform_version, NOTHING),
        *under_lock(DESTINATION, NOTHING, NOTHING, CREATED, written(DESTINATION)),
        *read_by_init(terraform_version, READ),
    ]
    assert expected == ledger.steps()


def test_nothing_changes_after_a_migration(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """What was local is there: a plan has nothing to do, although the lineage is a new one."""
    terraform = local_project(ledger, make_terraform, terraform_version)
    terraform.write(ledger.block() + VALUE)
    terraform.run(*MIGRATE)
    ledger.skip()

    planned = terraform.run("plan", "-detailed-exitcode")

    assert "No changes" in planned.stdout
    assert [*early(terraform_version), *under_lock(PLAN, READ)] == ledger.steps()
    assert 1 == json.loads(ledger.send("GET").body)["serial"]


def test_migration_onto_a_held_lock(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """Nothing is migrated while somebody holds the destination's lock."""
    terraform = local_project(ledger, make_terraform, terraform_version)
    terraform.write(ledger.block() + VALUE)
    ledger.hold()
    ledger.skip()

    refused = terraform.run(*MIGRATE, check=False)

    assert 1 == refused.returncode
    assert HOLDER in refused.output
    expected = [*read_by_init(terraform_version, NOTHING), lock_refused(DESTINATION)]
    assert expected == ledger.steps()


def test_migration_onto_an_existing_state(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """A forced migration replaces lineage and serial: it is stored, and the entry says so."""
    first = remote_project(ledger, make_terraform, terraform_version, name="first")
    first.apply("-var", "value=two")
    old = json.loads(ledger.send("GET").body)
    terraform = local_project(ledger, make_terraform, terraform_version)
    terraform.write(ledger.block() + VALUE)
    ledger.skip()

    terraform.run(*MIGRATE)

    records = ledger.records()
    expected = [
        *read_by_init(terraform_version, READ),
        *under_lock(DESTINATION, READ, written(DESTINATION)),
        *read_by_init(terraform_version, READ),
    ]
    assert [step.event for step in expected] == [record.event for record in records]
    write = next(record.entry for record in records if record.event == "state.written")
    assert f"(lineage forced from {old['lineage']})" in write["message"]
    assert old["lineage"] != write["state"]["lineage"]


def test_http_to_http(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """Both sides are locked; the source stays as it is."""
    terraform = remote_project(ledger, make_terraform, terraform_version)
    terraform.write(ledger.block("other") + VALUE)

    terraform.run(*MIGRATE)

    expected = [
        *read_by_init(terraform_version, READ),
        *[step.at("other") for step in read_by_init(terraform_version, NOTHING)],
        locked(SOURCE),
        locked(DESTINATION).at("other"),
        READ,
        NOTHING.at("other"),
        NOTHING.at("other"),
        CREATED.at("other"),
        written(DESTINATION).at("other"),
        unlocked(DESTINATION).at("other"),
        unlocked(SOURCE),
        *[step.at("other") for step in read_by_init(terraform_version, READ)],
    ]
    assert expected == ledger.steps()


def test_http_to_local(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """Moving away is a read under a lock: the state stays here, as nobody deletes it."""
    terraform = remote_project(ledger, make_terraform, terraform_version)
    kept = ledger.send("GET").body
    ledger.skip()
    terraform.write(VALUE)

    terraform.run(*MIGRATE)

    expected = [*read_by_init(terraform_version, READ), *under_lock(SOURCE, READ)]
    assert expected == ledger.steps()
    assert json.loads(kept)["resources"] == local_state(terraform)["resources"]
    assert kept == ledger.send("GET").body


def test_import_keeps_lineage_and_serial(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """`tfaudit state import` then `init -reconfigure`: bytes, lineage and serial are kept."""
    terraform = local_project(ledger, make_terraform, terraform_version)
    file = terraform.workdir / "terraform.tfstate"
    content = file.read_bytes()

    ledger.command("state", "import", str(file), "--workspace", ledger.workspace())
    terraform.write(ledger.block() + VALUE)
    file.unlink()
    terraform.run("init", "-reconfigure")
    terraform.apply("-var", "value=two")

    write = next(record for record in ledger.records() if record.event == "state.written").entry
    assert json.loads(content)["lineage"] == write["state"]["lineage"]
    assert json.loads(content)["serial"] == write["state"]["serial"]
    after = json.loads(ledger.send("GET").body)
    assert json.loads(content)["lineage"] == after["lineage"]
    assert json.loads(content)["serial"] + 1 == after["serial"]


def test_import_on_record(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """What follows an import is what follows any state: reads, then an ordinary apply."""
    terraform = local_project(ledger, make_terraform, terraform_version)
    file = terraform.workdir / "terraform.tfstate"
    ledger.command("state", "import", str(file), "--workspace", ledger.workspace())
    terraform.write(ledger.block() + VALUE)
    file.unlink()

    terraform.run("init", "-reconfigure")
    terraform.apply("-var", "value=two")

    expected = [
        CREATED,
        written(),
        *read_by_init(terraform_version, READ),
        *early(terraform_version),
        *under_lock(APPLY, READ, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_rollback(ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str) -> None:
    """After `tfaudit state rollback` Terraform plans from the older state, with the next serial."""
    terraform = remote_project(ledger, make_terraform, terraform_version)
    terraform.apply("-var", "value=two")

    ledger.command("state", "rollback", ledger.workspace(), "1", "--yes")
    planned = terraform.run("plan", "-detailed-exitcode")

    assert "No changes" in planned.stdout
    expected = [
        *early(terraform_version),
        *under_lock(APPLY, READ, written(APPLY)),
        Step("state.rolled_back"),
        *early(terraform_version),
        *under_lock(PLAN, READ),
    ]
    assert expected == ledger.steps()
    assert 3 == json.loads(ledger.send("GET").body)["serial"]
