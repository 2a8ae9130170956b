"""The life of a state: init, plan, apply, change, destroy, and every way to look at it."""

import json
from hashlib import sha256

import pytest

from tests.e2e.conftest import MakeProject, MakeTerraform
from tests.e2e.ledger import (
    APPLY,
    CREATED,
    INVALID,
    NOTHING,
    PLAN,
    READ,
    REFRESH,
    VALUE,
    Ledger,
    early,
    under_lock,
    written,
)
from tests.e2e.server import HTTP_BACKEND
from tests.e2e.terraform import VERSIONS

FAILING = """
resource "terraform_data" "good" {}
resource "terraform_data" "bad" {
  depends_on = [terraform_data.good]
  provisioner "local-exec" { command = "exit 1" }
}
"""
"""A configuration whose second resource fails after it was made."""

LOOKS = [
    ("output -raw value", 1, "one"),
    ("show", 1, 'output = "one"'),
    ("state list", 1, "terraform_data.a"),
    ("state pull", 1, '"serial": 1'),
    ("state show terraform_data.a", 2, 'output = "one"'),
    ("providers", 1, "terraform.io/builtin/terraform"),
    ("graph", 1, "terraform_data.a"),
]
"""Commands that only look, how often each reads before 1.15, and what it shows."""


def test_init(ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str) -> None:
    """Init reads and finds nothing, without a lock."""
    terraform = make_terraform(terraform_version, env=ledger.backend())
    terraform.write(HTTP_BACKEND + VALUE)

    terraform.run("init")

    assert [*early(terraform_version, NOTHING), NOTHING] == ledger.steps()


def test_first_plan(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A plan takes the lock, finds nothing, and gives the lock back."""
    terraform = project(terraform_version)

    planned = terraform.run("plan", "-detailed-exitcode", check=False)

    assert 2 == planned.returncode
    assert "Plan: 1 to add" in planned.stdout
    expected = [*early(terraform_version, NOTHING), *under_lock(PLAN, NOTHING)]
    assert expected == ledger.steps()


def test_first_apply(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """The first apply asks twice whether there is really no state, and creates the workspace."""
    terraform = project(terraform_version)

    applied = terraform.apply()

    assert "1 added, 0 changed, 0 destroyed" in applied.stdout
    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(APPLY, NOTHING, NOTHING, CREATED, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_change(ledger: Ledger, project: MakeProject) -> None:
    """A change is one write, whose entry says who changed what in which resource."""
    terraform = project(applied=True)

    terraform.apply("-var", "value=two")

    records = ledger.records()
    write = records[-2].entry
    assert "state.written" == write["event"]
    assert ledger.name == write["actor"]["name"]
    assert VERSIONS[0] == write["run"]["terraform_version"]
    assert [1, 2] == [write["state"]["previous_serial"], write["state"]["serial"]]
    assert {"added": 0, "changed": 1, "removed": 0} == write["changes"]["resources"]
    changed = [item["address"] for item in write["changes"]["items"]]
    assert ["terraform_data.a", "output.value"] == changed


def test_steps_of_a_change(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """With a state there, an apply is LOCK, GET, POST and UNLOCK."""
    terraform = project(terraform_version, applied=True)

    terraform.apply("-var", "value=two")

    assert [*early(terraform_version), *under_lock(APPLY, READ, written(APPLY))] == ledger.steps()


def test_the_digest_on_record_is_of_the_bytes_served(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """What Terraform uploaded is what the entry names and what a read gives, byte for byte."""
    terraform = project(terraform_version)
    terraform.apply()
    state = next(r for r in ledger.records() if r.event == "state.written").entry["state"]

    served = ledger.send("GET").body

    assert sha256(served).hexdigest() == state["sha256"]
    assert len(served) == state["size"]
    assert json.loads(served) == json.loads(terraform.run("state", "pull").stdout)
    assert terraform_version == state["terraform_version"]


def test_apply_without_changes(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Nothing is written when nothing changes."""
    terraform = project(terraform_version, applied=True)

    applied = terraform.apply()

    assert "No changes" in applied.stdout
    assert [*early(terraform_version), *under_lock(APPLY, READ)] == ledger.steps()


def test_saved_plan(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A saved plan is made under one lock and applied under another; showing it asks nothing."""
    terraform = project(terraform_version, applied=True)

    terraform.run("plan", "-var", "value=two", "-out=saved")
    terraform.run("show", "saved")
    terraform.run("apply", "saved")

    expected = [
        *early(terraform_version),
        *under_lock(PLAN, READ),
        *early(terraform_version),
        *under_lock(APPLY, READ, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_stale_saved_plan(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A plan that was saved before somebody else's apply is refused by Terraform itself."""
    terraform = project(terraform_version, applied=True)
    terraform.run("plan", "-var", "value=two", "-out=saved")
    terraform.apply("-var", "value=three")
    ledger.skip()

    stale = terraform.run("apply", "saved", check=False)

    assert 1 == stale.returncode
    assert "Saved plan is stale" in stale.output
    assert [*early(terraform_version), *under_lock(APPLY, READ)] == ledger.steps()


def test_refresh(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """Refresh has an operation of its own and writes nothing without drift."""
    terraform = project(terraform_version, applied=True)

    terraform.run("refresh")

    assert [*early(terraform_version), *under_lock(REFRESH, READ)] == ledger.steps()


def test_a_resource_fails(ledger: Ledger, project: MakeProject) -> None:
    """What was done before a failure is saved, and the entry shows what is tainted by it."""
    terraform = project(config=FAILING)

    failed = terraform.apply(check=False)

    assert 1 == failed.returncode
    records = ledger.records()
    write = records[-2].entry
    assert ["workspace.created", "state.written", "state.unlocked"] == [
        record.event for record in records[-3:]
    ]
    assert {"added": 2, "changed": 0, "removed": 0} == write["changes"]["resources"]


def test_destroy(ledger: Ledger, project: MakeProject) -> None:
    """Destroy uploads an empty state; the entry counts what is gone, and the state stays."""
    terraform = project(applied=True)

    destroyed = terraform.run("destroy", "-auto-approve")

    assert "Destroy complete! Resources: 1 destroyed." in destroyed.stdout
    records = ledger.records()
    write = next(record for record in records if record.event == "state.written").entry
    assert {"added": 0, "changed": 0, "removed": 1} == write["changes"]["resources"]
    assert 2 == write["state"]["serial"]
    assert [] == json.loads(ledger.send("GET").body)["resources"]


def test_steps_of_a_destroy(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """To the server a destroy is an apply; no client ever deletes a state."""
    terraform = project(terraform_version, applied=True)

    terraform.run("destroy", "-auto-approve")

    assert [*early(terraform_version), *under_lock(APPLY, READ, written(APPLY))] == ledger.steps()


def test_looking_needs_no_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """While somebody holds the lock, whoever only looks is served; each look is on record."""
    terraform = project(terraform_version, applied=True)
    ledger.hold()
    ledger.skip()
    doubled = 2 if early(terraform_version) else 1

    for command, reads, shown in LOOKS:
        looked = terraform.run(*command.split())

        assert shown in " ".join(looked.stdout.split())
        assert [READ] * reads * doubled == ledger.steps(), command


def test_console(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """The console takes a lock before 1.15, and only reads from then on."""
    terraform = project(terraform_version, applied=True)

    terraform.run("console")

    expected = [READ, READ] if early(terraform_version) else under_lock(INVALID, READ)
    assert expected == ledger.steps()


def test_output_without_a_state(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Asking for outputs of nothing is no error, and the record says that there was nothing."""
    terraform = project(terraform_version)

    told = terraform.run("output", "-json")

    assert {} == json.loads(told.stdout)
    assert [*early(terraform_version, NOTHING), NOTHING] == ledger.steps()


def test_terraform_workspaces_are_not_asked_for(ledger: Ledger, project: MakeProject) -> None:
    """The http backend knows no workspaces: Terraform says so without asking the server."""
    terraform = project()

    refused = terraform.run("workspace", "list", check=False)

    assert 1 == refused.returncode
    assert "workspaces not supported" in refused.output
    assert [] == ledger.steps()


@pytest.mark.parametrize(
    ("dialect", "lock", "unlock"),
    [
        ("terraform", "LOCK /state/{}", "UNLOCK /state/{}"),
        ("gitlab", "POST /state/{}/lock", "DELETE /state/{}/lock"),
        ("post", "POST /state/{}/lock", "POST /state/{}/unlock"),
    ],
)
def test_dialects(
    *,
    ledger: Ledger,
    project: MakeProject,
    terraform_version: str,
    dialect: str,
    lock: str,
    unlock: str,
) -> None:
    """In each dialect an apply is the same on record, but for the methods and paths."""
    terraform = project(terraform_version, env=ledger.backend(dialect=dialect))

    terraform.apply()

    requests = {
        record.event: "{method} {path}".format(**record.entry["request"])
        for record in ledger.records()
        if record.event in {"state.locked", "state.written", "state.unlocked"}
    }
    workspace = ledger.workspace()
    assert {
        "state.locked": lock.format(workspace),
        "state.written": f"POST /state/{workspace}",
        "state.unlocked": unlock.format(workspace),
    } == requests


def test_put_as_the_update_method(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """`update_method = "PUT"` writes as POST does."""
    env = {**ledger.backend(), "TF_HTTP_UPDATE_METHOD": "PUT"}
    terraform = project(terraform_version, env=env)

    terraform.apply()

    write = ledger.records()[-2]
    assert "state.written" == write.event
    assert "PUT" == write.entry["request"]["method"]


def test_a_literal_backend_block(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """The block that people paste works as the environment does; the password stays out of it."""
    terraform = make_terraform(terraform_version, env=ledger.credentials())
    terraform.write(ledger.block() + VALUE)
    terraform.run("init")

    terraform.apply()

    assert written(APPLY) in ledger.steps()
    remembered = (terraform.workdir / ".terraform" / "terraform.tfstate").read_text("utf-8")
    assert ledger.token not in remembered


def test_a_password_in_the_address(
    ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """A token in the URL works too, and is on record nowhere."""
    address = ledger.server.state_url(ledger.workspace())
    terraform = make_terraform(
        terraform_version,
        env={"TF_HTTP_ADDRESS": address.replace("://", f"://me:{ledger.token}@")},
    )
    terraform.write(HTTP_BACKEND + VALUE)
    terraform.run("init")

    records = ledger.records()

    assert records
    assert ledger.token not in json.dumps([record.entry for record in records])
    assert ledger.token not in ledger.server.stderr
