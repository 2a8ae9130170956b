"""Commands that change or replace a state without a plan: mv, rm, push, import, taint and more."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import (
    CREATED,
    INVALID,
    NOTHING,
    PUSH,
    READ,
    Ledger,
    Step,
    early,
    under_lock,
    written,
)
from tests.e2e.terraform import Terraform

LINEAGE = "5e3b2b0f-3c54-4d0e-8c1a-6a1d4c2f7b10"


def state_file(terraform: Terraform, **edits: Any) -> Path:
    """Pull the state into a file of the project, with these members of it replaced."""
    state = json.loads(terraform.run("state", "pull").stdout) | edits
    return terraform.write(json.dumps(state), "edited.tfstate")


def write_in(ledger: Ledger) -> dict[str, Any]:
    """Return the entry of the one write since the ledger was last asked."""
    writes = [record.entry for record in ledger.records() if record.event == "state.written"]
    assert 1 == len(writes)
    return writes[0]


def changed_in(ledger: Ledger) -> dict[str, str]:
    """Return the changed addresses of the one write, each with its action."""
    return {item["address"]: item["action"] for item in write_in(ledger)["changes"]["items"]}


def one_write(version: str, operation: str) -> list[Step]:
    """Return the steps of a command that changes the state under a lock of this operation."""
    return [*early(version), *under_lock(operation, READ, written(operation))]


def test_mv(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """`state mv` is one write under its own operation."""
    terraform = project(terraform_version, applied=True)

    terraform.run("state", "mv", "terraform_data.a", "terraform_data.b")

    assert one_write(terraform_version, "state-mv") == ledger.steps()


def test_mv_on_record(ledger: Ledger, project: MakeProject) -> None:
    """The entry of a move names the address that is gone and the one that is new."""
    terraform = project(applied=True)

    terraform.run("state", "mv", "terraform_data.a", "terraform_data.b")

    assert {"terraform_data.a": "delete", "terraform_data.b": "create"} == changed_in(ledger)


def test_mv_of_nothing(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A move of what is not there writes nothing and gives the lock back."""
    terraform = project(terraform_version, applied=True)

    failed = terraform.run("state", "mv", "terraform_data.no", "terraform_data.b", check=False)

    assert 1 == failed.returncode
    assert [*early(terraform_version), *under_lock("state-mv", READ)] == ledger.steps()


def test_rm(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """`state rm` is one write under its own operation."""
    terraform = project(terraform_version, applied=True)

    terraform.run("state", "rm", "terraform_data.a")

    assert one_write(terraform_version, "state-rm") == ledger.steps()
    assert [] == json.loads(ledger.send("GET").body)["resources"]


def test_rm_on_record(ledger: Ledger, project: MakeProject) -> None:
    """The entry of a removal names what is no longer looked after."""
    terraform = project(applied=True)

    terraform.run("state", "rm", "terraform_data.a")

    assert {"terraform_data.a": "delete"} == changed_in(ledger)


def test_replace_provider(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """`state replace-provider` is one write, and the entry tells the provider before and after."""
    terraform = project(terraform_version, applied=True)

    terraform.run(
        "state",
        "replace-provider",
        "-auto-approve",
        "terraform.io/builtin/terraform",
        "registry.example.com/acme/terraform",
    )

    records = ledger.records()
    steps = [(record.event, record.entry["outcome"]) for record in records]
    expected = one_write(terraform_version, "state-replace-provider")
    assert [(step.event, step.outcome) for step in expected] == steps
    assert "registry.example.com/acme/terraform" in json.dumps(records[-2].entry["changes"])


def test_replace_a_provider_that_nobody_uses(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Without a match nothing is written."""
    terraform = project(terraform_version, applied=True)

    terraform.run("state", "replace-provider", "-auto-approve", "hashicorp/null", "acme/null")

    expected = [*early(terraform_version), *under_lock("state-replace-provider", READ)]
    assert expected == ledger.steps()


def test_taint_and_untaint(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """Each of the two is one write under its own operation."""
    terraform = project(terraform_version, applied=True)

    terraform.run("taint", "terraform_data.a")
    terraform.run("untaint", "terraform_data.a")

    expected = [
        *one_write(terraform_version, "taint"),
        *one_write(terraform_version, "untaint"),
    ]
    assert expected == ledger.steps()


def test_taint_on_record(ledger: Ledger, project: MakeProject) -> None:
    """The entries say that the resource was tainted, and that it no longer is."""
    terraform = project(applied=True)

    terraform.run("taint", "terraform_data.a")
    assert {"terraform_data.a": "taint"} == changed_in(ledger)
    terraform.run("untaint", "terraform_data.a")
    assert {"terraform_data.a": "untaint"} == changed_in(ledger)


def test_import(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """`import` is one write; to the server its operation has no name."""
    terraform = project(terraform_version, applied=True)
    terraform.write('resource "terraform_data" "imported" {}\n', "imported.tf")

    terraform.run("import", "terraform_data.imported", "some-id")

    assert one_write(terraform_version, INVALID) == ledger.steps()


def test_push(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """`state push` uploads the file with the next serial after the file's."""
    terraform = project(terraform_version, applied=True)
    newer = state_file(terraform, serial=7)
    ledger.skip()

    terraform.run("state", "push", newer.name)

    assert one_write(terraform_version, PUSH) == ledger.steps()
    assert 8 == json.loads(ledger.send("GET").body)["serial"]


def test_push_of_the_same(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """Pushing what is stored already writes nothing."""
    terraform = project(terraform_version, applied=True)
    same = state_file(terraform)
    ledger.skip()

    terraform.run("state", "push", same.name)

    assert [*early(terraform_version), *under_lock(PUSH, READ)] == ledger.steps()


def test_push_of_an_older_serial(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Terraform itself refuses an older file, after it has read under the lock."""
    terraform = project(terraform_version, applied=True)
    older = state_file(terraform)
    terraform.apply("-var", "value=two")
    ledger.skip()

    refused = terraform.run("state", "push", older.name, check=False)

    assert 1 == refused.returncode
    assert "cannot import state with serial 1 over newer state with serial 2" in refused.output
    assert [*early(terraform_version), *under_lock(PUSH, READ)] == ledger.steps()


def test_push_of_another_lineage(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Terraform itself refuses a file of another lineage."""
    terraform = project(terraform_version, applied=True)
    other = state_file(terraform, lineage=LINEAGE)
    ledger.skip()

    refused = terraform.run("state", "push", other.name, check=False)

    assert 1 == refused.returncode
    assert f'cannot import state with lineage "{LINEAGE}"' in refused.output
    assert [*early(terraform_version), *under_lock(PUSH, READ)] == ledger.steps()


def test_forced_push_of_an_older_serial(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """`state push -force` may lower the serial: it is stored, and the entry says so."""
    terraform = project(terraform_version, applied=True)
    older = state_file(terraform, serial=0)
    terraform.apply("-var", "value=two")
    ledger.skip()

    terraform.run("state", "push", "-force", older.name)

    records = ledger.records()
    expected = one_write(terraform_version, PUSH)
    assert [step.event for step in expected] == [record.event for record in records]
    write = records[-2].entry
    assert [2, 1] == [write["state"]["previous_serial"], write["state"]["serial"]]
    assert "(serial forced from 2 to 1)" in write["message"]


def test_forced_push_of_another_lineage(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """`state push -force` may replace the lineage: it is stored, and the entry says so."""
    terraform = project(terraform_version, applied=True)
    before = json.loads(ledger.send("GET").body)["lineage"]
    other = state_file(terraform, lineage=LINEAGE)
    ledger.skip()

    terraform.run("state", "push", "-force", other.name)

    write = write_in(ledger)
    assert LINEAGE == write["state"]["lineage"]
    assert PUSH == write["run"]["operation"]
    assert f"(lineage forced from {before})" in write["message"]


def test_push_into_an_empty_workspace(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """There a push begins a new lineage at serial 1: the file's own are lost, as always."""
    terraform = project(terraform_version, applied=True)
    newer = state_file(terraform, serial=7)
    elsewhere = project(terraform_version, env=ledger.backend("other"), name="elsewhere")

    elsewhere.run("state", "push", str(newer))

    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(PUSH, NOTHING, NOTHING, CREATED, written(PUSH)),
    ]
    assert [step.at("other") for step in expected] == ledger.steps()
